"""What a catalogue is asked: which instances there are, where they lie, what was seen in folders.

Each call is a statement, or a few; none of it writes. All of it blocks, and is safe in threads.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from sys import intern
from typing import Any

from sqlalchemy import select

from ..dicom.instance import Instance
from ..transfer.body import FileStamp
from .database import Database, in_groups
from .entry import Entry, Place
from .record import unpack_instance
from .stored import Reference
from .tables import files, instances, versions
from .totals import Totals, count_rows, count_totals
from .unpacked import UnpackedInstances

__all__ = ["CatalogueReader"]

_PAGE = 500
_ENTRY = (
    instances.c.record,
    instances.c.path,
    instances.c.size_bytes,
    instances.c.mtime_ns,
    instances.c.inode,
    instances.c.blob_key,
    instances.c.sha256,
    instances.c.served_sha256,
    instances.c.served_crc32,
)


class CatalogueReader:
    """The catalogue in `database`; of files in place it knows those that `scope` has seen."""

    def __init__(self, database: Database, *, scope: str = "") -> None:
        self.database = database
        self.scope = scope
        self._unpacked = UnpackedInstances()

    @property
    def needs_rebuild(self) -> bool:
        """Whether there may be blobs that this catalogue does not know, since it was made anew."""
        with self.database.reading() as connection:
            return bool(connection.scalar(select(versions.c.to_be_rebuilt)))

    def find(self, sop_instance_uid: str) -> Entry | None:
        """The instance of that UID; one primary key look-up, whatever the catalogue holds."""
        statement = select(*_ENTRY).where(instances.c.sop_instance_uid == sop_instance_uid)
        with self.database.reading() as connection:
            row = connection.execute(statement).one_or_none()
        return None if row is None else _entry(row, self._unpacked.of(row.record))

    def references(self, sop_instance_uids: Sequence[str]) -> dict[str, Reference]:
        """Those of the instances that are here, by their UIDs."""
        columns = instances.c
        statement = select(
            columns.sop_class_uid,
            columns.study_instance_uid,
            columns.series_instance_uid,
            columns.sop_instance_uid,
        )
        with self.database.reading() as connection:
            return {
                uid: Reference(intern(sop_class), intern(study), intern(series), uid)
                for group in in_groups(sop_instance_uids)
                for sop_class, study, series, uid in connection.execute(
                    statement.where(columns.sop_instance_uid.in_(group))
                )
            }

    def places(self, sop_instance_uids: Sequence[str]) -> dict[str, Place]:
        """Where those of the instances are that are here, by their UIDs."""
        columns = instances.c
        statement = select(
            columns.sop_instance_uid,
            columns.sop_class_uid,
            columns.path,
            columns.size_bytes,
            columns.mtime_ns,
            columns.inode,
            columns.blob_key,
        )
        with self.database.reading() as connection:
            return {
                uid: Place(intern(sop_class), path, FileStamp(*stamp), blob_key)
                for group in in_groups(sop_instance_uids)
                for uid, sop_class, path, *stamp, blob_key in connection.execute(
                    statement.where(columns.sop_instance_uid.in_(group))
                )
            }

    def kept_as(self, sop_instance_uids: Sequence[str]) -> dict[str, tuple[str, str]]:
        """SHA-256 and blob key of those of the instances that have a digest, by their UIDs.

        The key is "" where a file in place holds it.
        """
        columns = instances.c
        statement = select(columns.sop_instance_uid, columns.sha256, columns.blob_key).where(
            columns.sha256 != ""
        )
        with self.database.reading() as connection:
            return {
                row.sop_instance_uid: (row.sha256, row.blob_key)
                for group in in_groups(sop_instance_uids)
                for row in connection.execute(statement.where(columns.sop_instance_uid.in_(group)))
            }

    def entries(self, study_uid: str, series_uid: str | None = None) -> list[Entry]:
        """The instances of a study or a series, by series, instance number and UID."""
        columns = instances.c
        statement = (
            select(*_ENTRY)
            .where(columns.study_instance_uid == study_uid)
            .order_by(
                columns.series_instance_uid, columns.instance_number, columns.sop_instance_uid
            )
        )
        if series_uid is not None:
            statement = statement.where(columns.series_instance_uid == series_uid)
        with self.database.reading() as connection:
            rows = connection.execute(statement).all()
        return [_entry(row, self._unpacked.of(row.record)) for row in rows]

    def every_entry(self) -> Iterator[Entry]:
        """Every instance by UID, a page at a time: what changes meanwhile may or may not be met."""
        column = instances.c.sop_instance_uid
        after = ""
        while True:
            statement = select(*_ENTRY, column).where(column > after).order_by(column).limit(_PAGE)
            with self.database.reading() as connection:
                rows = connection.execute(statement).all()
            yield from (_entry(row, unpack_instance(row.record)) for row in rows)
            if len(rows) < _PAGE:
                return
            after = rows[-1].sop_instance_uid

    def newest(self, limit: int) -> list[Entry]:
        """The instances that came last, the last one first."""
        statement = select(*_ENTRY).order_by(instances.c.received.desc()).limit(limit)
        with self.database.reading() as connection:
            rows = connection.execute(statement).all()
        return [_entry(row, unpack_instance(row.record)) for row in rows]

    def blob_keys(self) -> Iterator[str]:
        """The key of every blob that an instance refers to, once, in order."""
        column = instances.c.blob_key
        after = ""
        while True:
            statement = select(column).where(column > after).distinct().order_by(column)
            with self.database.reading() as connection:
                keys = list(connection.scalars(statement.limit(_PAGE * 10)))
            yield from keys
            if len(keys) < _PAGE * 10:
                return
            after = keys[-1]

    def metadata(self, sop_instance_uids: Sequence[str]) -> dict[str, bytes]:
        """The kept metadata of those instances that have some, compressed as it was kept."""
        columns = instances.c
        found = {}
        with self.database.reading() as connection:
            for group in in_groups(sop_instance_uids):
                statement = select(columns.sop_instance_uid, columns.metadata_json).where(
                    columns.sop_instance_uid.in_(group), columns.metadata_json.is_not(None)
                )
                found.update({row[0]: row[1] for row in connection.execute(statement)})
        return found

    def known_files(self, folder: str) -> dict[str, tuple[FileStamp, str]]:
        """Name to stamp and outcome, of the files that were looked at in one folder."""
        columns = files.c
        statement = select(
            columns.name, columns.size_bytes, columns.mtime_ns, columns.inode, columns.outcome
        ).where(columns.scope == self.scope, columns.folder == folder)
        with self.database.reading() as connection:
            return {
                name: (FileStamp(size_bytes, mtime_ns, inode), outcome)
                for name, size_bytes, mtime_ns, inode, outcome in connection.execute(statement)
            }

    def folders(self) -> list[str]:
        """Every folder in which files are known, of this scope."""
        statement = select(files.c.folder).where(files.c.scope == self.scope).distinct()
        with self.database.reading() as connection:
            return list(connection.scalars(statement))

    def count(self) -> tuple[int, int, int]:
        """How many studies, series and instances there are."""
        return count_rows(self.database)

    def totals(self) -> Totals:
        """How much there is of everything."""
        return count_totals(self.database)


def _entry(row: Any, instance: Instance) -> Entry:
    return Entry(
        instance,
        row.path,
        FileStamp(row.size_bytes, row.mtime_ns, row.inode),
        blob_key=row.blob_key,
        sha256=row.sha256,
        served_sha256=row.served_sha256,
        served_crc32=row.served_crc32,
    )
