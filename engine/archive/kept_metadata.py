"""The metadata that the catalogue keeps of the instances of a study, in one statement.

Answers about metadata need no entries: to take the record of each of 300 instances apart costs
more than all the rest.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from sqlalchemy import select

from ...codecs.errors import MerseyError
from ..transfer.body import FileStamp
from .database import Database
from .entry import stamp_of
from .tables import instances

__all__ = ["KeptMetadata", "find_kept_metadata"]


@dataclass(frozen=True, slots=True)
class KeptMetadata:
    """What is kept of an instance in `path`, or in a blob; `packed` is None where nothing is."""

    uids: tuple[str, str, str]
    path: str
    stamp: FileStamp
    is_blob: bool
    packed: bytes | None

    @property
    def is_current(self) -> bool:
        """Whether it is of the bytes as they are now. A blob never changes."""
        if self.is_blob:
            return True
        try:
            return stamp_of(os.stat(self.path)) == self.stamp
        except (OSError, MerseyError):
            return False


def find_kept_metadata(
    database: Database,
    study_uid: str,
    series_uid: str | None = None,
    instance_uid: str | None = None,
) -> list[KeptMetadata]:
    """Of every instance that the UIDs name: by series, instance number and UID.

    Raises
    ------
    ResourceError
        The database cannot be read.
    """
    columns = instances.c
    statement = (
        select(
            columns.study_instance_uid,
            columns.series_instance_uid,
            columns.sop_instance_uid,
            columns.path,
            columns.size_bytes,
            columns.mtime_ns,
            columns.inode,
            columns.blob_key,
            columns.metadata_json,
        )
        .where(columns.study_instance_uid == study_uid)
        .order_by(columns.series_instance_uid, columns.instance_number, columns.sop_instance_uid)
    )
    if series_uid is not None:
        statement = statement.where(columns.series_instance_uid == series_uid)
    if instance_uid is not None:
        statement = statement.where(columns.sop_instance_uid == instance_uid)
    with database.reading() as connection:
        rows = connection.execute(statement).all()
    return [
        KeptMetadata(
            (study, series, instance),
            path,
            FileStamp(size_bytes, mtime_ns, inode),
            bool(blob_key),
            packed,
        )
        for study, series, instance, path, size_bytes, mtime_ns, inode, blob_key, packed in rows
    ]
