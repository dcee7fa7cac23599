"""Fixtures that many tests share."""

from __future__ import annotations

from pathlib import Path

import pytest

_SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real files; tests that need it skip where it is absent."""
    if not (_SHARED / "MANIFEST.tsv").is_file():
        pytest.skip("the real files of ../shared/data are absent")
    return _SHARED
