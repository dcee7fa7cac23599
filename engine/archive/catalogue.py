"""The catalogue: which instances there are, what they say of themselves, where they lie.

SQLAlchemy Core on SQLite in WAL mode. Safe in threads, and for several processes on one
file. Blocks while it reads and writes: a server calls it in a thread. It holds no bytes of
the instances; what it says can be had again from the files.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Self

from sqlalchemy import (
    Connection,
    Engine,
    Row,
    create_engine,
    delete,
    event,
    exists,
    func,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.pool import ConnectionPoolEntry

from ..transfer.body import FileStamp
from .entry import Entry
from .indexed_file import IndexedFile, Outcome
from .record import RECORD_VERSION, unpack_instance
from .rows import rows_of
from .tables import SCHEMA_VERSION, files, instances, schema, series, studies, versions

__all__ = ["Catalogue"]

_VERSION = SCHEMA_VERSION * 1000 + RECORD_VERSION
_BUSY_TIMEOUT_MS = 30_000
_INSERTS: dict[str, Callable[..., Any]] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}


class Catalogue:
    """An open catalogue; close it when done."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._insert = _INSERTS[engine.dialect.name]
        self._create()

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open the SQLite catalogue at `path`, or make it.

        One of another version of the schema is emptied: it is an index, the files are not
        touched.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        engine = create_engine(f"sqlite:///{path}")
        event.listen(engine, "connect", _on_connect)
        return cls(engine)

    def close(self) -> None:
        """Give all connections back."""
        self.engine.dispose()

    def find(self, sop_instance_uid: str) -> Entry | None:
        """The instance of that UID; one primary key look-up, whatever the catalogue holds."""
        statement = select(instances).where(instances.c.sop_instance_uid == sop_instance_uid)
        with self.engine.connect() as connection:
            row = connection.execute(statement).one_or_none()
        return None if row is None else _entry(row)

    def entries(self, study_uid: str, series_uid: str | None = None) -> list[Entry]:
        """The instances of a study or a series, by series, instance number and UID."""
        columns = instances.c
        statement = (
            select(instances)
            .where(columns.study_instance_uid == study_uid)
            .order_by(
                columns.series_instance_uid, columns.instance_number, columns.sop_instance_uid
            )
        )
        if series_uid is not None:
            statement = statement.where(columns.series_instance_uid == series_uid)
        with self.engine.connect() as connection:
            return [_entry(row) for row in connection.execute(statement)]

    def metadata(self, sop_instance_uids: Sequence[str]) -> dict[str, bytes]:
        """The kept metadata of those instances that have some, compressed as it was kept."""
        columns = instances.c
        statement = select(columns.sop_instance_uid, columns.metadata_json).where(
            columns.sop_instance_uid.in_(sop_instance_uids), columns.metadata_json.is_not(None)
        )
        with self.engine.connect() as connection:
            return {row[0]: row[1] for row in connection.execute(statement)}

    def keep_metadata(self, made: Mapping[str, tuple[FileStamp, bytes]]) -> None:
        """Keep the compressed metadata of instances, by SOP Instance UID.

        Where the file has another stamp by now, nothing is kept: the metadata is an old one's.
        """
        columns = instances.c
        with self.engine.begin() as connection:
            for uid, (stamp, data) in made.items():
                connection.execute(
                    update(instances)
                    .where(
                        columns.sop_instance_uid == uid,
                        columns.size_bytes == stamp.size_bytes,
                        columns.mtime_ns == stamp.mtime_ns,
                        columns.inode == stamp.inode,
                    )
                    .values(metadata_json=data)
                )

    def add(self, indexed: Iterable[IndexedFile]) -> list[Outcome]:
        """Put in what files were found to be, in one transaction.

        An instance that another file already holds is noted as a duplicate; the file that was
        there first stays the one that is served. Returns what each file was noted as.
        """
        outcomes = []
        with self.engine.begin() as connection:
            forgotten = False
            for file in indexed:
                forgotten |= self._forget(connection, file.folder, file.name)
                outcomes.append(self._add(connection, file))
            if forgotten:
                _prune(connection)
        return outcomes

    def forget(self, folder: str, names: Iterable[str]) -> None:
        """Take files out that are gone, with their instances.

        Other files that held the same instances are forgotten too, so that the next scan looks
        at them anew.
        """
        with self.engine.begin() as connection:
            forgotten = [self._forget(connection, folder, name) for name in names]
            if any(forgotten):
                _prune(connection)

    def known_files(self, folder: str) -> dict[str, tuple[FileStamp, str]]:
        """Name to stamp and outcome, of the files that were looked at in one folder."""
        columns = files.c
        statement = select(
            columns.name, columns.size_bytes, columns.mtime_ns, columns.inode, columns.outcome
        ).where(columns.folder == folder)
        with self.engine.connect() as connection:
            return {
                name: (FileStamp(size_bytes, mtime_ns, inode), outcome)
                for name, size_bytes, mtime_ns, inode, outcome in connection.execute(statement)
            }

    def folders(self) -> list[str]:
        """Every folder in which files are known."""
        with self.engine.connect() as connection:
            return list(connection.scalars(select(files.c.folder).distinct()))

    def count(self) -> tuple[int, int, int]:
        """How many studies, series and instances there are."""
        with self.engine.connect() as connection:
            counts = [
                connection.scalar(select(func.count()).select_from(table)) or 0
                for table in (studies, series, instances)
            ]
        return counts[0], counts[1], counts[2]

    def _add(self, connection: Connection, file: IndexedFile) -> Outcome:
        outcome, uid = file.outcome, ""
        if file.instance is not None:
            entry = Entry(file.instance, file.path, file.stamp)
            uid = entry.instance.sop_instance_uid
            if not self._insert_entry(connection, entry):
                outcome = "duplicate"
        connection.execute(
            files.insert().values(
                folder=file.folder,
                name=file.name,
                size_bytes=file.stamp.size_bytes,
                mtime_ns=file.stamp.mtime_ns,
                inode=file.stamp.inode,
                outcome=outcome,
                sop_instance_uid=uid,
            )
        )
        return outcome

    def _insert_entry(self, connection: Connection, entry: Entry) -> bool:
        study, series_, instance = rows_of(entry)
        held = select(instances.c.sop_instance_uid).where(
            instances.c.sop_instance_uid == instance["sop_instance_uid"]
        )
        if connection.execute(held).first() is not None:
            return False
        for table, row in ((studies, study), (series, series_), (instances, instance)):
            connection.execute(self._insert(table).values(**row).on_conflict_do_nothing())
        return True

    def _forget(self, connection: Connection, folder: str, name: str) -> bool:
        """Take one file out; true where an instance went with it."""
        here = (files.c.folder == folder) & (files.c.name == name)
        known = connection.execute(select(files.c.sop_instance_uid, files.c.outcome).where(here))
        row = known.one_or_none()
        if row is None:
            return False
        uid, outcome = row
        connection.execute(delete(files).where(here))
        if outcome == "instance":
            connection.execute(delete(instances).where(instances.c.sop_instance_uid == uid))
            connection.execute(
                delete(files).where(files.c.sop_instance_uid == uid, files.c.outcome == "duplicate")
            )
        return bool(outcome == "instance")

    def _create(self) -> None:
        with self.engine.begin() as connection:
            versions.create(connection, checkfirst=True)
            found = connection.scalar(select(func.max(versions.c.version)))
            if found is not None and found != _VERSION:
                schema.drop_all(connection)
            schema.create_all(connection)
            if found != _VERSION:
                connection.execute(versions.insert().values(version=_VERSION))


def _prune(connection: Connection) -> None:
    """Take out series without instances and studies without series."""
    of_series = instances.c.series_instance_uid == series.c.series_instance_uid
    of_study = series.c.study_instance_uid == studies.c.study_instance_uid
    connection.execute(delete(series).where(~exists().where(of_series)))
    connection.execute(delete(studies).where(~exists().where(of_study)))


def _entry(row: Row[Any]) -> Entry:
    stamp = FileStamp(row.size_bytes, row.mtime_ns, row.inode)
    return Entry(unpack_instance(row.record), row.path, stamp)


def _on_connect(connection: sqlite3.Connection, _: ConnectionPoolEntry) -> None:
    with closing(connection.cursor()) as cursor:
        cursor.execute(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT_MS}")
        cursor.execute("PRAGMA journal_mode = WAL")
        # An index of files can be made again: no transaction need outlive a power failure.
        cursor.execute("PRAGMA synchronous = NORMAL")
        cursor.execute("PRAGMA foreign_keys = ON")
