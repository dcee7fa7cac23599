"""Bytes on their way to become a blob: a file in the store's `incoming` folder, and its digests.

The file is locked for as long as whoever receives it lives: `BlobStore.collect` in another
process leaves it alone, and what a process that died left behind has no lock.
"""

from __future__ import annotations

import errno
import fcntl
import os
import uuid
from collections.abc import Buffer
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from ...codecs.errors import MerseyError, ResourceError
from .writing_digest import WritingDigest

__all__ = ["Received", "Receiving", "no_space"]

_WRITE_BACK_BYTES = 8 << 20
_READ_BYTES = 1 << 20
_MANY = 16
_NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


@dataclass(frozen=True, slots=True)
class Received:
    """A file in `incoming` with all bytes of an original; `sha256` is hexadecimal."""

    path: str
    size_bytes: int
    sha256: str
    crc32: int


class Receiving:
    """Takes the bytes of one original, one `write` after the other. For one thread at a time.

    Everything may block. End it with `abandon`, or with `release` once the file has become a
    blob; until then the file is locked.

    Raises
    ------
    ResourceError
        The file cannot be made or written; `no_space` says whether the disk is full.
    """

    def __init__(self, incoming: Path) -> None:
        self.path = ""
        self.size_bytes = 0
        self._begun_bytes = 0
        self._digest = WritingDigest()
        self._descriptor = -1
        try:
            while not self._begin(incoming):
                self.abandon()
        except OSError as error:
            self.abandon()
            raise _failure(error) from error

    def _begin(self, incoming: Path) -> bool:
        """Make the file and lock it; False where it was collected before it was locked."""
        self.path = os.fspath(incoming / f"{uuid.uuid4().hex}.part")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        self._descriptor = os.open(self.path, flags, 0o640)
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        return os.fstat(self._descriptor).st_nlink > 0

    @classmethod
    def adopt(cls, path: Path, incoming: Path) -> Self:
        """All bytes of an original that lie in a file already, which keeps its name.

        They are read, for their digests, and shared, not copied: nobody may change them.
        """
        receiving = cls.__new__(cls)
        receiving.path = ""
        receiving.size_bytes = receiving._begun_bytes = 0
        receiving._digest = WritingDigest()
        try:
            receiving._descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except OSError as error:
            raise _failure(error) from error
        try:
            # Locked before it is there under the other name: `collect` never sees it unlocked.
            fcntl.flock(receiving._descriptor, fcntl.LOCK_EX)
            receiving._link(path, incoming)
            with open(receiving._descriptor, "rb", buffering=0, closefd=False) as file:
                while piece := file.read(_READ_BYTES):
                    receiving._digest.update(piece)
                    receiving.size_bytes += len(piece)
        except OSError as error:
            receiving.abandon()
            raise _failure(error) from error
        return receiving

    def _link(self, path: Path, incoming: Path) -> None:
        """Give the file a name in `incoming` that says which file it is.

        Who died with the same file left such a name too, which `collect` takes for ours while
        we hold the lock: so it goes now.
        """
        which = f"{os.fstat(self._descriptor).st_ino:x}-"
        for name in os.listdir(incoming):
            if name.startswith(which):
                with suppress(FileNotFoundError):
                    os.unlink(incoming / name)
        self.path = os.fspath(incoming / f"{which}{uuid.uuid4().hex}.part")
        os.link(path, self.path)

    def write(self, *pieces: Buffer) -> None:
        """Append `pieces`, digested and written without the interpreter's lock."""
        if len(pieces) > _MANY:
            pieces = (b"".join(pieces),)  # a system call for each costs more than a copy
        try:
            self._digest.write(self._descriptor, pieces)
            self.size_bytes += sum(memoryview(piece).nbytes for piece in pieces)
            self._begin_write_back()
        except OSError as error:
            raise _failure(error) from error

    def _begin_write_back(self) -> None:
        """Have what came so far on its way to the disk, which is then less to wait for.

        Linux begins to write dirty pages that are "not needed", and drops none of them yet.
        """
        new_bytes = self.size_bytes - self._begun_bytes
        if new_bytes >= _WRITE_BACK_BYTES and hasattr(os, "posix_fadvise"):
            advice = os.POSIX_FADV_DONTNEED
            os.posix_fadvise(self._descriptor, self._begun_bytes, new_bytes, advice)
            self._begun_bytes = self.size_bytes

    def finish(self) -> Received:
        """What was received. The file stays locked."""
        return Received(self.path, self.size_bytes, self._digest.sha256, self._digest.crc32)

    def release(self) -> None:
        """Let go of the file, which has become a blob or belongs to nobody now."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def abandon(self) -> None:
        """Remove the file, if it is there still."""
        if self.path:
            with suppress(FileNotFoundError):
                os.unlink(self.path)
        self.release()


def no_space(error: BaseException) -> bool:
    """Whether `error` or its cause is that of a full disk."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno in _NO_SPACE:
            return True
        cause = cause.__cause__
    return False


def _failure(error: OSError) -> MerseyError:
    what = "the store is full" if no_space(error) else "the store cannot be written"
    return ResourceError(f"{what}: {error.strerror}")
