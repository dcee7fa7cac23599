"""What one file is found to be. `index_files` runs wherever an Executor takes it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ...codecs.errors import MerseyError
from ..dicom.indexing import index_instance
from ..dicom.instance import Instance
from ..transfer.body import FileStamp
from .entry import is_uid, stamp_of
from .rows import LightRows

__all__ = ["IndexedFile", "Outcome", "index_file", "index_files"]

type Outcome = Literal["instance", "duplicate", "other", "broken"]

_PREFIX_AT = 128


@dataclass(frozen=True, slots=True)
class IndexedFile:
    """A file and what it is.

    `outcome` is ``instance``; ``other`` where it is not DICOM, or no composite instance
    (DICOMDIR); ``broken`` where it says it is DICOM and cannot be read, `message` why. An
    instance comes with itself, or with the `rows` that were made of it where it was read.
    """

    folder: str
    name: str
    stamp: FileStamp
    outcome: Outcome
    instance: Instance | None = None
    message: str = ""
    rows: LightRows | None = None

    @property
    def path(self) -> str:
        return os.path.join(self.folder, self.name)


def index_files(folder: str, names: Sequence[str]) -> list[IndexedFile]:
    """Index the files of one folder; those that cannot be read are left out."""
    found = (index_file(folder, name) for name in names)
    return [file for file in found if file is not None]


def index_file(folder: str, name: str) -> IndexedFile | None:
    """Find out what a file is, reading headers only; None where it cannot be read."""
    try:
        descriptor = os.open(os.path.join(folder, name), os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        return _index(descriptor, folder, name)
    finally:
        os.close(descriptor)


def _index(descriptor: int, folder: str, name: str) -> IndexedFile | None:
    def read_at(offset_bytes: int, length_bytes: int, /) -> bytes:
        return os.pread(descriptor, length_bytes, offset_bytes)

    try:
        stamp = stamp_of(os.fstat(descriptor))
    except MerseyError:
        return None
    try:
        instance = index_instance(read_at, size_bytes=stamp.size_bytes, source=name)
    except OSError:
        return None
    except MerseyError as error:
        claims = read_at(_PREFIX_AT, 4) == b"DICM"
        return IndexedFile(folder, name, stamp, "broken" if claims else "other", message=str(error))
    uids = (instance.study_instance_uid, instance.series_instance_uid, instance.sop_instance_uid)
    if not all(uids):
        return IndexedFile(folder, name, stamp, "other", message="no Study, Series or SOP UID")
    if not all(map(is_uid, uids)):
        return IndexedFile(folder, name, stamp, "broken", message="a UID that is no UID")
    return IndexedFile(folder, name, stamp, "instance", instance)
