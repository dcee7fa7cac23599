"""A lock that keeps a blob from being removed between its commit and the catalogue's.

Whoever stores bytes that are a blob already only finds that blob there; removed before the
catalogue knows of its new use, it would be missing. So ingest holds the lock together with
others while it commits, and whoever removes blobs holds it alone, from asking the catalogue to
removing. It is a file in the store, which counts between processes of all machines that mount
it; and where machines share a catalogue, a lock in its database, which counts between all of
them wherever the blobs are.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ...codecs.errors import ResourceError
from .database import Database

__all__ = ["RemovalLock"]

_NAME = ".removal-lock"
_SHARED_NAME = "mersey: the removal of blobs"


class RemovalLock:
    """The lock of the store whose `incoming` folder, and whose catalogue's database, are given.

    Raises
    ------
    ResourceError
        On entering: the lock cannot be had. On leaving: it was lost meanwhile, with the
        connection to the database; what was stored under it may not be acknowledged.
    """

    def __init__(self, incoming: Path, database: Database) -> None:
        self._path = incoming.parent / _NAME
        self._database = database

    @contextmanager
    def committing(self) -> Iterator[None]:
        """Hold it with others; waits while somebody removes."""
        with self._open() as descriptor:
            fcntl.flock(descriptor, fcntl.LOCK_SH)
            with self._database.holding(_SHARED_NAME, alone=False):
                yield

    @contextmanager
    def removing(self, *, wait: bool) -> Iterator[bool]:
        """Hold it alone; False, and not held, where that needs waiting and `wait` is not set."""
        with self._open() as descriptor:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError:
                yield False
                return
            with self._database.holding(_SHARED_NAME, alone=True, wait=wait) as held:
                yield held

    @contextmanager
    def _open(self) -> Iterator[int]:
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o660)
        except OSError as error:
            raise ResourceError(f"the store cannot be locked: {error.strerror}") from error
        try:
            yield descriptor
        finally:
            os.close(descriptor)
