"""The digest of a file that grows from its beginning."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import mmap
import os
import threading
from pathlib import Path

from ...codecs.errors import IntegrityError
from .page_buffer import PageBuffer

__all__ = ["RunningDigest"]

_PIECE_BYTES = 1 << 20


class RunningDigest:
    """The SHA-256 of the first `at` bytes of a file. For any thread."""

    def __init__(self) -> None:
        self.at = 0
        self._digest = hashlib.sha256()
        self._turn = threading.Lock()

    def extend(self, start: int, data: memoryview) -> None:
        """Take in bytes that go to `start`, if they are the next ones; who reads has them later."""
        if self._turn.acquire(blocking=False):
            try:
                if start == self.at:
                    self._digest.update(data)
                    self.at += len(data)
            finally:
                self._turn.release()

    def read(self, path: Path, upto: int) -> None:
        """Go on with the bytes of the file up to `upto`, past the page cache where they went so.

        Raises
        ------
        IntegrityError
            It is shorter.
        """
        with self._turn:
            descriptor = _opened(path)
            try:
                view = PageBuffer(_PIECE_BYTES).view(0, _PIECE_BYTES)
                while self.at < upto:
                    start = self.at // mmap.PAGESIZE * mmap.PAGESIZE
                    there = start + _read(descriptor, view, start)
                    if there <= self.at:
                        raise IntegrityError("an instance that arrives is shorter than it was")
                    stop = min(there, upto)
                    self._digest.update(view[self.at - start : stop - start])
                    self.at = stop
            finally:
                os.close(descriptor)

    def hexdigest(self) -> str:
        """Of those bytes, in hexadecimal digits."""
        with self._turn:
            return self._digest.hexdigest()


def _opened(path: Path) -> int:
    flags = os.O_RDONLY | os.O_CLOEXEC
    try:
        return os.open(path, flags | getattr(os, "O_DIRECT", 0))
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        return os.open(path, flags)  # a file system that knows no such thing


def _read(descriptor: int, view: memoryview, offset_bytes: int) -> int:
    try:
        return os.preadv(descriptor, [view], offset_bytes)
    except OSError as error:
        flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
        direct = getattr(os, "O_DIRECT", 0)
        if error.errno != errno.EINVAL or not flags & direct:
            raise
        fcntl.fcntl(descriptor, fcntl.F_SETFL, flags & ~direct)  # opened so, but not read so
        return os.preadv(descriptor, [view], offset_bytes)
