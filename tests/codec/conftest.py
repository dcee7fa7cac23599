"""Makes the codec contract and the images it is tried on importable from here."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

_CONFORMANCE = Path(__file__).resolve().parents[1] / "conformance"

sys.path.insert(0, str(_CONFORMANCE))
pytest.register_assert_rewrite("codec_contract")
