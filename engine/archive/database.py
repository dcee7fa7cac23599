"""The database under a catalogue: how it is reached, what a transaction is, how it fails.

SQLite in WAL mode, where a writing transaction holds the file's one write lock from its start;
or PostgreSQL by psycopg, where it holds advisory locks on the studies that it changes. Knows no
tables. A database that cannot be reached or written is a `ResourceError`, whose cause is an
`OSError` with ENOSPC where its disk is full; the next call tries again.
"""

from __future__ import annotations

import errno
import hashlib
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, exc, func, make_url, select
from sqlalchemy.pool import ConnectionPoolEntry

from ...codecs.errors import IntegrityError, ResourceError, UnsupportedError, UsageError

__all__ = ["Database", "in_groups", "open_postgres", "open_sqlite"]

_BUSY_TIMEOUT_MS = 30_000
_CONNECT_TIMEOUT_S = 5
_POOLED = 8
_POOL_OVERFLOW = 32
_POOL_TIMEOUT_S = 15
_ATTEMPTS = 8
# A page of a thousand instances takes 5 MiB, of which SQLite's own 2 MiB keep nothing for the next
# time. Only a connection that such pages are read on is to keep so much.
_WIDE_CACHE = f"PRAGMA cache_size = -{8 << 10}"
# A database takes only so many values in one statement: SQLite 32,766, PostgreSQL 65,535.
_VALUES_AT_ONCE = 5000
# Serialization failure, deadlock detected, unique violation (PostgreSQL's Appendix A): another
# process was first; from the start it goes well.
_WORTH_ANOTHER_TRY = frozenset({"40001", "40P01", "23505"})
_FULL_CODES = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE)
_FULL_STATE = "53100"
_TRANSACTION = "mersey_transaction"


class Database:
    """Connections to one database, for any number of threads.

    `is_shared` says that other writers may be at it at once: `lock` is needed.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.is_shared = engine.dialect.name == "postgresql"
        # Every read is one statement: no transaction needs to be begun and ended around it.
        self._reads = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._writes = engine.execution_options(**{_TRANSACTION: "writes"})
        self._durable = engine.execution_options(**{_TRANSACTION: "durable"})

    @contextmanager
    def reading(self, *, much: bool = False) -> Iterator[Connection]:
        """A connection to read from; each statement sees what is committed when it starts.

        With `much`, it is for statements that read thousands of rows.

        Raises
        ------
        ResourceError
            The database cannot be reached, or is too busy.
        """
        engine = self._reads if self.is_shared else self.engine
        with _translated(), engine.connect() as connection:
            if much and not self.is_shared:
                connection.exec_driver_sql(_WIDE_CACHE)
            yield connection

    def write[T](self, work: Callable[[Connection], T], *, durable: bool = False) -> T:
        """Do `work` in one transaction: all of it is there afterwards, or nothing.

        Where another process was in its way, `work` is done again from the start. `durable`
        says that it must outlive a power failure once this returns.

        Raises
        ------
        ResourceError
            The database cannot be reached or written. If the connection broke while it was
            committing, the work may be done all the same.
        """
        engine = self._durable if durable else self._writes
        with _translated():
            for _ in range(_ATTEMPTS - 1):
                try:
                    with engine.begin() as connection:
                        return work(connection)
                except exc.DBAPIError as error:
                    if getattr(error.orig, "sqlstate", None) not in _WORTH_ANOTHER_TRY:
                        raise
            with engine.begin() as connection:
                return work(connection)

    def lock(self, connection: Connection, names: Iterable[str]) -> None:
        """Hold `names` against other writers until the transaction ends.

        Always taken in one order and before anything else, so that nobody waits in a ring. On
        SQLite the transaction holds everything already.
        """
        if self.is_shared:
            for key in sorted({_lock_key(name) for name in names}):
                connection.execute(select(func.pg_advisory_xact_lock(key)))

    @contextmanager
    def holding(self, name: str, *, alone: bool, wait: bool = True) -> Iterator[bool]:
        """Hold `name` against other processes, together with others or `alone`.

        For longer than a transaction of ours, on a connection of its own. Yields False, and holds
        nothing, where that needs waiting and `wait` is not set. Does nothing on SQLite, whose
        processes share a machine and a folder.

        Raises
        ------
        ResourceError
            The database cannot be reached, or the connection broke in between: then `name` was
            not held all the time, and what was done meanwhile is not to be relied on.
        """
        if not self.is_shared:
            yield True
            return
        kind = "" if alone else "_shared"
        key = _lock_key(name)
        with _translated(), self.engine.connect() as connection, connection.begin():
            # Nobody is to end a transaction that only waits for bytes to arrive elsewhere.
            connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")
            if wait:
                connection.execute(select(getattr(func, f"pg_advisory_xact_lock{kind}")(key)))
            elif not connection.scalar(
                select(getattr(func, f"pg_try_advisory_xact_lock{kind}")(key))
            ):
                yield False
                return
            yield True
            connection.execute(select(1))  # whoever hears an answer has held it till now

    def close(self) -> None:
        """Give all connections back."""
        self.engine.dispose()


def open_sqlite(path: Path) -> Database:
    """The SQLite database at `path`, which is in WAL mode (`versions.prepare_file`)."""
    engine = create_engine(
        URL.create("sqlite", database=str(path)),
        pool_size=_POOLED,
        max_overflow=_POOL_OVERFLOW,
        pool_timeout=_POOL_TIMEOUT_S,
        pool_use_lifo=True,  # one whose cache is warm
    )
    event.listen(engine, "connect", _on_connect)
    event.listen(engine, "begin", _on_begin)
    return Database(engine)


def open_postgres(url: str) -> Database:
    """The PostgreSQL database at ``postgresql://user:password@host/name``.

    Raises
    ------
    UsageError
        It is no such address.
    UnsupportedError
        psycopg is not installed.
    """
    try:
        address = make_url(url)
    except (exc.ArgumentError, ValueError):
        raise UsageError("the address of the catalogue is not of the form of a URL") from None
    if address.get_backend_name() not in ("postgresql", "postgres"):
        kind = address.get_backend_name()
        raise UsageError(f"a catalogue is at postgresql://…, not at {kind}://…")
    try:
        import psycopg  # noqa: F401
    except ImportError as error:
        raise UnsupportedError(
            "a catalogue on PostgreSQL needs psycopg: pip install 'mersey[postgres]'",
            feature="postgres",
        ) from error
    engine = create_engine(
        address.set(drivername="postgresql+psycopg"),
        pool_size=_POOLED,
        max_overflow=_POOL_OVERFLOW,
        pool_timeout=_POOL_TIMEOUT_S,
        pool_pre_ping=True,  # the server may have been restarted since
        connect_args={"connect_timeout": _CONNECT_TIMEOUT_S, "application_name": "mersey"},
    )
    return Database(engine)


def in_groups[T](values: Sequence[T]) -> Iterator[Sequence[T]]:
    """`values`, as many at a time as a statement takes."""
    for start in range(0, len(values), _VALUES_AT_ONCE):
        yield values[start : start + _VALUES_AT_ONCE]


@contextmanager
def _translated() -> Iterator[None]:
    """Errors of the database as ours. Their own messages may tell values: they are left out."""
    try:
        yield
    except exc.TimeoutError as error:
        raise ResourceError("all connections to the catalogue are in use") from error
    except (exc.OperationalError, exc.InterfaceError, exc.InternalError) as error:
        if _is_full(error):
            full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            raise ResourceError("the disk of the catalogue is full") from full
        raise ResourceError(f"the catalogue cannot be used now: {_reason(error)}") from error
    except exc.DatabaseError as error:
        if type(error.orig) is not sqlite3.DatabaseError:
            raise
        raise IntegrityError(f"the catalogue is damaged: {error.orig}") from error


def _is_full(error: exc.DBAPIError) -> bool:
    cause: Any = error.orig
    if isinstance(cause, sqlite3.Error):
        return getattr(cause, "sqlite_errorcode", None) in _FULL_CODES
    return getattr(cause, "sqlstate", None) == _FULL_STATE


def _reason(error: exc.DBAPIError) -> str:
    cause: Any = error.orig
    if isinstance(cause, sqlite3.Error):
        return str(cause)
    state = getattr(cause, "sqlstate", None)
    # psycopg's message names hosts and users: it is in the error's cause.
    return f"PostgreSQL says {state}" if state else "PostgreSQL cannot be reached"


def _lock_key(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)


def _on_connect(connection: sqlite3.Connection, _: ConnectionPoolEntry) -> None:
    connection.isolation_level = None  # transactions begin in `_on_begin`, not by themselves
    with closing(connection.cursor()) as cursor:
        cursor.execute(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT_MS}")
        cursor.execute("PRAGMA foreign_keys = ON")


def _on_begin(connection: Connection) -> None:
    kind = connection.get_execution_options().get(_TRANSACTION)
    if kind is None:
        return
    # An index of files can be made again; what was acknowledged must outlive a power failure.
    level = "FULL" if kind == "durable" else "NORMAL"
    connection.exec_driver_sql(f"PRAGMA synchronous = {level}")
    connection.exec_driver_sql("BEGIN IMMEDIATE")
