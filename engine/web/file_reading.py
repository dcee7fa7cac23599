"""Reads the bytes of a Body, piece by piece, without ever holding up the event loop.

What the kernel has in its cache is read at once; what has to come from a disk is read in a
thread. A file whose stamp is another by now is not read: wrong bytes are never sent.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing

from ...codecs.errors import IntegrityError
from ...codecs.pixels import Buffer
from ..archive.blobs import BlobStore
from ..transfer.body import BlobSlice, Body, FileSlice, Segment, segment_bytes
from .open_file import OpenFile
from .status import Reason, RefusedError

__all__ = ["PIECE_BYTES", "pieces", "read_blobs", "read_whole"]

PIECE_BYTES = 256 << 10

_NOWAIT: int = getattr(os, "RWF_NOWAIT", 0)  # Linux 4.14; 0 elsewhere


async def pieces(body: Body, *, blobs: BlobStore | None = None) -> AsyncGenerator[Buffer]:
    """Yield the bytes of `body` in order, at most `PIECE_BYTES` at a time.

    `blobs` is where its blobs are; one piece of a blob is read ahead.

    Raises
    ------
    RefusedError
        A file is gone, or is no longer the one that was meant. What was yielded before is
        right.
    IntegrityError
        A blob is gone, or shorter than it was.
    """
    files = OpenFile()
    piece = _Piece(body.length_bytes)
    try:
        for segment in body.segments():
            if isinstance(segment, BlobSlice):
                async with aclosing(_blob_pieces(blobs, segment)) as read:
                    # A blob that is lost is told before what stands before it.
                    first = await anext(read)
                    if piece.filled:
                        yield piece.taken()
                    yield first
                    async for blob_piece in read:
                        yield blob_piece
                piece.passed(segment.length_bytes)
                continue
            position, length = 0, segment_bytes(segment)
            while position < length:
                count = min(piece.room, length - position)
                into = piece.part(count)
                if isinstance(segment, bytes):
                    into[:] = segment[position : position + count]
                else:
                    descriptor = files.open(segment)
                    await _fill(descriptor, into, segment.offset_bytes + position)
                    files.check()
                position += count
                if not piece.room:
                    yield piece.taken()
        if piece.filled:
            yield piece.taken()
    finally:
        files.close()


class _Piece:
    """What is sent next, as it fills: many short segments make one piece."""

    def __init__(self, left_bytes: int) -> None:
        self._left_bytes = left_bytes
        self._start()

    @property
    def room(self) -> int:
        return len(self._data) - self.filled

    def part(self, count: int) -> memoryview:
        """The next `count` bytes, to be filled."""
        start = self.filled
        self.filled += count
        return memoryview(self._data)[start : self.filled]

    def taken(self) -> Buffer:
        """The piece as far as it is filled; another one begins."""
        data, filled = self._data, self.filled
        self.passed(filled)
        return data if filled == len(data) else memoryview(data)[:filled]

    def passed(self, count: int) -> None:
        """So many bytes have gone: no piece is longer than what is left."""
        self._left_bytes -= count
        self._start()

    def _start(self) -> None:
        self.filled = 0
        self._data = bytearray(min(PIECE_BYTES, self._left_bytes))


async def read_whole(body: Body, *, blobs: BlobStore | None = None) -> bytes:
    """All bytes of a short `body`."""
    return b"".join([bytes(piece) async for piece in pieces(body, blobs=blobs)])


async def read_blobs(
    segments: Iterable[Segment], *, blobs: BlobStore | None
) -> tuple[bytes | FileSlice, ...]:
    """`segments` for a process that has no store: slices of blobs are their bytes."""
    return tuple(
        [
            await read_whole(Body.of([segment], etag=""), blobs=blobs)
            if isinstance(segment, BlobSlice)
            else segment
            for segment in segments
        ]
    )


async def _blob_pieces(blobs: BlobStore | None, wanted: BlobSlice) -> AsyncGenerator[bytes]:
    """The bytes of a blob, read in a thread: the next piece while the last one is sent."""
    if blobs is None:
        raise IntegrityError("there is no store to read the blob from")
    end = wanted.offset_bytes + wanted.length_bytes

    def begin(position: int) -> asyncio.Future[bytes]:
        length_bytes = min(PIECE_BYTES, end - position)
        return asyncio.ensure_future(
            asyncio.to_thread(blobs.read_at, wanted.key, position, length_bytes)
        )

    position = wanted.offset_bytes
    ahead = begin(position)
    try:
        while True:
            piece = await ahead
            if len(piece) < min(PIECE_BYTES, end - position):
                raise IntegrityError("the blob is shorter than it was")
            position += len(piece)
            if position == end:
                break
            ahead = begin(position)
            yield piece
        yield piece
    finally:
        ahead.cancel()


async def _fill(descriptor: int, into: memoryview, offset_bytes: int) -> None:
    done = _read_cached(descriptor, into, offset_bytes)
    if done == len(into):
        return
    # The thread has its own descriptor: ours may be closed under it when we are cancelled.
    own = os.dup(descriptor)
    whole = await asyncio.to_thread(_read_and_close, own, into[done:], offset_bytes + done)
    if not whole:
        raise RefusedError("the file is shorter than it was", reason=Reason.CHANGED)


def _read_cached(descriptor: int, into: memoryview, offset_bytes: int) -> int:
    """Read what the page cache holds; 0 where it holds nothing or cannot be asked."""
    if not _NOWAIT:
        return 0
    try:
        return os.preadv(descriptor, [into], offset_bytes, _NOWAIT)
    except OSError:  # nothing cached (EAGAIN), or the file system does not know the flag
        return 0


def _read_and_close(descriptor: int, view: memoryview, offset_bytes: int) -> bool:
    try:
        done = 0
        while done < len(view):
            count = os.preadv(descriptor, [view[done:]], offset_bytes + done)
            if count == 0:
                return False
            done += count
        return True
    finally:
        os.close(descriptor)
