"""Appending to a file in large aligned blocks, past the page cache where that is allowed.

What is transcoded is written once and read much later. Through the page cache each 4 KiB of
it costs a copy, a page to find and an eviction: a tenth of what encoding it cost. So bytes
are gathered in one aligned block and go out with O_DIRECT (open(2)); what does not fill a
page goes the ordinary way, and so does everything where a file system knows no O_DIRECT.

Never syncs: that is its user's to do.
"""

from __future__ import annotations

import errno
import mmap
import os
from collections.abc import Iterable
from pathlib import Path

from ...codecs.pixels import Buffer

__all__ = ["BlockOutput"]

_BLOCK_BYTES = 4 << 20
_PAGE_BYTES = 4096


class BlockOutput:
    """The growing end of the file `path`, open for reading and writing as `descriptor`.

    `position` is the length of the file with what is gathered and not yet written.
    """

    def __init__(self, path: Path, descriptor: int, *, position: int) -> None:
        self._path = path
        self._descriptor = descriptor
        self._direct: int | None = None
        self._block = memoryview(mmap.mmap(-1, _BLOCK_BYTES))
        self._start = position // _PAGE_BYTES * _PAGE_BYTES
        self._filled = os.preadv(descriptor, [self._block[: position - self._start]], self._start)

    @property
    def position(self) -> int:
        return self._start + self._filled

    def write(self, pieces: Iterable[Buffer]) -> None:
        """Append `pieces`, one after the other."""
        for piece in pieces:
            view = memoryview(piece).cast("B")
            while view.nbytes:
                count = min(view.nbytes, _BLOCK_BYTES - self._filled)
                self._block[self._filled : self._filled + count] = view[:count]
                self._filled += count
                view = view[count:]
                if self._filled == _BLOCK_BYTES:
                    self._write_directly(self._block)
                    self._start += _BLOCK_BYTES
                    self._filled = 0

    def drain(self) -> None:
        """Write what is gathered; what comes next still goes out in whole pages."""
        whole = self._filled // _PAGE_BYTES * _PAGE_BYTES
        _write_all(self._descriptor, self._block[: self._filled], self._start)
        self._block[: self._filled - whole] = self._block[whole : self._filled]
        self._start += whole
        self._filled -= whole

    def patch(self, offset_bytes: int, data: Buffer) -> None:
        """Overwrite bytes that were appended before."""
        self.drain()
        view = memoryview(data).cast("B")
        _write_all(self._descriptor, view, offset_bytes)
        held = max(offset_bytes, self._start)  # what the next drain writes once more
        end = offset_bytes + view.nbytes
        if held < end:
            self._block[held - self._start : end - self._start] = view[held - offset_bytes :]

    def close(self) -> None:
        """Let go of the file; what is gathered is lost."""
        if self._direct is not None and self._direct != self._descriptor:
            os.close(self._direct)
        self._direct = None

    def _write_directly(self, block: memoryview) -> None:
        if self._direct is None:
            self._direct = self._opened_directly()
        try:
            _write_all(self._direct, block, self._start)
        except OSError as error:
            if error.errno != errno.EINVAL or self._direct == self._descriptor:
                raise
            os.close(self._direct)  # it may be opened so, but not written so
            self._direct = self._descriptor
            _write_all(self._direct, block, self._start)

    def _opened_directly(self) -> int:
        try:
            return os.open(self._path, os.O_WRONLY | os.O_DIRECT | os.O_CLOEXEC)
        except OSError:
            return self._descriptor


def _write_all(descriptor: int, view: memoryview, offset_bytes: int) -> None:
    while view.nbytes:
        count = os.pwrite(descriptor, view, offset_bytes)
        view = view[count:]
        offset_bytes += count
