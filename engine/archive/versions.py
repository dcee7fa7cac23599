"""Catalogues of other versions: an old one on SQLite is moved aside, one on PostgreSQL refused.

An index of files in place is made again by a scan; what it knows of blobs is not dropped
silently, but read from the blobs again (`Catalogue.needs_rebuild`).
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from sqlalchemy import Connection, inspect, select, text

from ...codecs.errors import IntegrityError, ResourceError, UsageError
from .database import Database
from .record import RECORD_VERSION
from .tables import SCHEMA_VERSION, commitments, schema, versions

__all__ = ["VERSION", "create_tables", "prepare_file"]

VERSION = SCHEMA_VERSION * 1000 + RECORD_VERSION
_CREATING = "mersey: the tables"


def create_tables(
    connection: Connection, database: Database, *, anew: bool, with_blobs: bool
) -> None:
    """Make the tables where there are none; `anew` drops those that are there first.

    `with_blobs` says that there are blobs, which tables that are made now do not know.

    Raises
    ------
    UsageError
        The tables are of another version.
    """
    database.lock(connection, [_CREATING])
    found = _version_in(connection)
    if anew and found is not None:
        # Another version may have had other tables, which hang on these.
        for table in reversed(schema.sorted_tables):
            cascade = " CASCADE" if connection.dialect.name == "postgresql" else ""
            connection.execute(text(f'DROP TABLE IF EXISTS "{table.name}"{cascade}'))
    elif found is not None and found != VERSION:
        raise UsageError(
            f"the catalogue is of version {found}, this is version {VERSION}: "
            "`mersey store rebuild` makes it anew from the blobs"
        )
    if found is None or anew:
        schema.create_all(connection)
        connection.execute(
            versions.insert().values(version=VERSION, to_be_rebuilt=with_blobs or found is not None)
        )
    else:
        commitments.create(connection, checkfirst=True)  # younger than the version


def _version_in(connection: Connection) -> int | None:
    if not inspect(connection).has_table(versions.name):
        return None
    version = connection.scalar(select(versions.c.version))
    return 0 if version is None else int(version)


def prepare_file(path: Path, *, anew: bool = False) -> bool:
    """Have a file at `path` for a SQLite catalogue of this version; whether one was moved aside.

    One of another version, and with `anew` any, is moved to ``<name>.<version>.old``. Processes
    that start at once do it once.

    Raises
    ------
    IntegrityError
        The file is there, and is no database.
    ResourceError
        Another process has one open that is to be moved.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path.with_name(path.name + ".lock"), "wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        version = _version_of(path) if path.exists() else None
        moved = version is not None and (anew or version != VERSION)
        if moved:
            _empty_log(path)
            os.replace(path, path.with_name(f"{path.name}.{version}.old"))
        if moved or version is None:
            with _opened(path) as connection:
                # Kept in the file. Of two that do this at once, one would fail.
                connection.execute("PRAGMA journal_mode = WAL")
        return moved


def _version_of(path: Path) -> int | None:
    """The version of a catalogue; None where the file holds none yet."""
    with _opened(path) as connection:
        tables = connection.execute("SELECT name FROM sqlite_master WHERE name = 'versions'")
        if tables.fetchone() is None:
            return None
        (version,) = connection.execute("SELECT max(version) FROM versions").fetchone()
        return int(version or 0)


def _empty_log(path: Path) -> None:
    """Have everything in the one file: the write-ahead log goes with its last reader."""
    with _opened(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    log = path.with_name(path.name + "-wal")
    if log.exists():
        raise ResourceError(f"another process has {path} open, which is of another version")


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    try:
        with closing(sqlite3.connect(path, timeout=30)) as connection:
            yield connection
    except sqlite3.OperationalError as error:
        raise ResourceError(f"{path} cannot be opened: {error}") from error
    except sqlite3.DatabaseError as error:
        raise IntegrityError(f"{path} is no catalogue: {error}") from error
