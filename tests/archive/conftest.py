"""Archives and uploads, each in a folder of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from mersey.engine.archive.catalogue import Catalogue
from mersey.engine.archive.catalogues import CATALOGUE_NAME
from mersey.engine.archive.uploads import Uploads

from .cared_archive import Archive, FolderBlobs
from .uploading import Clock


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    catalogue = Catalogue.open(tmp_path / CATALOGUE_NAME)
    held = Archive(tmp_path, FolderBlobs(tmp_path), catalogue)
    yield held
    held.catalogue.close()


@pytest.fixture
def slices(sample_study) -> list[bytes]:
    return [path.read_bytes() for path in sample_study.ct_series]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def uploads(tmp_path: Path, clock: Clock) -> Uploads:
    return Uploads(tmp_path / "uploads", expiry_s=100, max_bytes=1000, clock=clock)


@pytest.fixture
def upload_folder(tmp_path: Path) -> Callable[[str], Path]:
    """Where an upload is kept, by its name."""
    return lambda name: tmp_path / "uploads" / name
