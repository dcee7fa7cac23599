"""An instance whose bytes are a blob: what ingest gives the catalogue, and what becomes of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from sys import intern
from typing import Literal

from ..dicom.instance import Instance
from ..transfer.body import FileStamp
from .entry import Entry
from .rows import Rows, rows_of

__all__ = ["OnConflict", "Reference", "Settled", "SettledAs", "StoredInstance", "entry_of"]

type OnConflict = Literal["reject", "replace", "keep"]
"""What to do with an instance whose UID is taken by other bytes."""

type SettledAs = Literal["new", "same", "replaced", "kept", "rejected"]
"""``same``: these very bytes were there. ``kept``: other bytes are, and stay, by `OnConflict`."""


@dataclass(frozen=True, slots=True)
class StoredInstance:
    """An instance and its blob.

    `size_bytes`, `sha256` are of the original; `served_sha256`, `served_crc32` of the bytes that
    `part10_body.file_segments` gives. `metadata` is its DICOM JSON, compressed (`metadata`).
    `rows` are the catalogue's, where they were made already.
    """

    instance: Instance
    blob_key: str
    size_bytes: int
    sha256: str
    served_sha256: str
    served_crc32: int
    metadata: bytes
    rows: Rows | None = None

    @property
    def reference(self) -> Reference:
        instance = self.instance
        return Reference(
            intern(instance.sop_class_uid),
            intern(instance.study_instance_uid),
            intern(instance.series_instance_uid),
            instance.sop_instance_uid,
        )

    def with_rows(self) -> StoredInstance:
        """The same with its rows made, so that the process that stores it need not."""
        return replace(self, rows=rows_of(entry_of(self), received=0, metadata=self.metadata))


@dataclass(frozen=True, slots=True)
class Reference:
    """What an instance is referred to by: light, for those of which there are many."""

    sop_class_uid: str
    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of a `StoredInstance`; `unneeded_key` names a blob that nothing refers to now."""

    outcome: SettledAs
    unneeded_key: str = ""
    message: str = ""


def entry_of(stored: StoredInstance) -> Entry:
    """The entry that the catalogue has of an instance that it stored."""
    if stored.rows is not None:
        return stored.rows.entry
    return Entry(
        stored.instance,
        "",
        FileStamp(stored.size_bytes, 0, 0),
        blob_key=stored.blob_key,
        sha256=stored.sha256,
        served_sha256=stored.served_sha256,
        served_crc32=stored.served_crc32,
    )
