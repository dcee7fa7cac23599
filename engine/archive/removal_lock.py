"""A lock that keeps a blob from being removed between its commit and the catalogue's.

Whoever stores bytes that are a blob already only finds that blob there; removed before the
catalogue knows of its new use, it would be missing. So ingest holds the lock together with
others while it commits, and whoever removes blobs holds it alone, from asking the catalogue to
removing. It is a file in the store, so it counts between processes of all machines that mount
it; where blobs are elsewhere it says nothing, and nothing but their age protects them.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ...codecs.errors import ResourceError

__all__ = ["RemovalLock"]

_NAME = ".removal-lock"


class RemovalLock:
    """The lock of the store whose `incoming` folder is given."""

    def __init__(self, incoming: Path) -> None:
        self._path = incoming.parent / _NAME

    @contextmanager
    def committing(self) -> Iterator[None]:
        """Hold it with others; waits while somebody removes."""
        with self._open() as descriptor:
            fcntl.flock(descriptor, fcntl.LOCK_SH)
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
            yield True

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
