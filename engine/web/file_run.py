"""Slices of files that go from the page cache to a socket, without passing through here.

Only for those who verify what they receive: between the check of a file and the moment that its
pages leave, somebody may write into it. The answer is cut short then; what has gone has gone.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from itertools import groupby

from ...codecs.pixels import Buffer
from ..archive.blobs import BlobStore
from ..transfer.body import Body, FileSlice, Segment
from .file_reading import pieces
from .open_file import OpenFile
from .status import Reason, RefusedError

__all__ = ["FileRun", "pieces_and_runs"]

_LEAST_BYTES = 64 << 10
_TAIL_BYTES = 16 << 10
_AT_ONCE_BYTES = 4 << 20


class FileRun:
    """Slices end to end, sent by one thread at a time; its length is that of what they hold."""

    def __init__(self, slices: Sequence[FileSlice]) -> None:
        self._slices = slices
        self._index, self._position = 0, 0
        self._file = OpenFile()
        self._length_bytes = sum(one.length_bytes for one in slices)

    def __len__(self) -> int:
        return self._length_bytes

    def open(self) -> None:
        """Open the first file of it.

        Raises
        ------
        RefusedError
            It is gone, or another by now.
        """
        self._file.open(self._slices[0])

    def write(self, descriptor: int) -> int:
        """Send what the socket takes without waiting, some megabytes at most; how much that was.

        Raises
        ------
        RefusedError
            A file is gone, or is no longer the one that was meant.
        OSError
            The client has gone.
        """
        written = 0
        while written < _AT_ONCE_BYTES and self._index < len(self._slices):
            wanted = self._slices[self._index]
            source = self._file.open(wanted)
            left = wanted.length_bytes - self._position
            try:
                count = os.sendfile(
                    descriptor,
                    source,
                    wanted.offset_bytes + self._position,
                    min(left, _AT_ONCE_BYTES - written),
                )
            except BlockingIOError:
                break
            if not count:
                raise RefusedError("the file is shorter than it was", reason=Reason.CHANGED)
            written += count
            self._position += count
            if count == left:
                self._file.check()
                self._index, self._position = self._index + 1, 0
        return written

    def close(self) -> None:
        self._file.close()


async def pieces_and_runs(
    body: Body, *, blobs: BlobStore | None = None
) -> AsyncGenerator[Buffer | FileRun]:
    """As `pieces`, but long slices of files come as runs, the first file of each opened.

    The last bytes are never in a run: where a file has changed meanwhile the answer has no end.
    """
    split = max(0, body.length_bytes - _TAIL_BYTES)
    for is_straight, group in groupby(body.slice(0, split).segments(), _is_straight):
        segments = list(group)
        if is_straight:
            run = FileRun([one for one in segments if isinstance(one, FileSlice)])
            try:
                run.open()
                yield run
            finally:
                run.close()
        else:
            async with aclosing(pieces(Body.of(segments, etag=body.etag), blobs=blobs)) as read:
                async for piece in read:
                    yield piece
    async with aclosing(pieces(body.slice(split, body.length_bytes), blobs=blobs)) as read:
        async for piece in read:
            yield piece


def _is_straight(segment: Segment) -> bool:
    return isinstance(segment, FileSlice) and segment.length_bytes >= _LEAST_BYTES
