"""A file open for positional reads, which knows how much of it was read."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Self

from ...codecs.errors import UsageError

__all__ = ["SourceFile"]


class SourceFile:
    """A regular file, open as long as the ``with`` block runs.

    `size_bytes` is its length when it was opened, `bytes_read` what was read so far.

    Raises
    ------
    OSError
        The file cannot be opened or read.
    UsageError
        It is a folder, a pipe or a device.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.bytes_read = 0
        # Without O_NONBLOCK a pipe nobody writes to would hang here.
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        status = os.fstat(self._descriptor)
        if not stat.S_ISREG(status.st_mode):
            os.close(self._descriptor)
            raise UsageError(f"{path} is not a regular file")
        self.size_bytes = status.st_size

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)

    def read_at(self, offset_bytes: int, length_bytes: int, /) -> bytes:
        """Read `length_bytes` at `offset_bytes`; fewer only at the end of the file."""
        data = os.pread(self._descriptor, length_bytes, offset_bytes)
        self.bytes_read += len(data)
        return data
