"""Reads the bytes of a Body, piece by piece, without ever holding up the event loop.

What the kernel has in its cache is read at once; what has to come from a disk is read in a
thread. A file whose stamp is another by now is not read: wrong bytes are never sent.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Iterable

from ...codecs.errors import IntegrityError, MerseyError
from ...codecs.pixels import Buffer
from ..archive.blobs import BlobStore
from ..archive.entry import stamp_of
from ..transfer.body import BlobSlice, Body, FileSlice, Segment
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
    files = _OpenFile()
    try:
        for segment in body.segments():
            if isinstance(segment, FileSlice):
                async for piece in _file_pieces(files, segment):
                    yield piece
            elif isinstance(segment, BlobSlice):
                async for blob_piece in _blob_pieces(blobs, segment):
                    yield blob_piece
            else:
                for start in range(0, len(segment), PIECE_BYTES):
                    yield segment[start : start + PIECE_BYTES]
    finally:
        files.close()


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


class _OpenFile:
    """The file that was read last: consecutive slices mostly lie in one file."""

    def __init__(self) -> None:
        self.slice: FileSlice | None = None
        self.descriptor = -1

    def open(self, wanted: FileSlice) -> int:
        held = self.slice
        if held is not None and held.path == wanted.path and held.stamp == wanted.stamp:
            return self.descriptor
        self.close()
        try:
            self.descriptor = os.open(wanted.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except FileNotFoundError:
            raise RefusedError("the file is gone", reason=Reason.GONE) from None
        except OSError as error:
            raise RefusedError(
                f"the file cannot be read: {error.strerror}", reason=Reason.GONE
            ) from error
        self.slice = wanted
        self.check()
        return self.descriptor

    def check(self) -> None:
        """Raise RefusedError where the open file is not the one that was meant, or not any more."""
        assert self.slice is not None
        if self.slice.stamp is None:
            return
        try:
            same = stamp_of(os.fstat(self.descriptor)) == self.slice.stamp
        except MerseyError:
            same = False
        if not same:
            raise RefusedError("the file has changed since it was indexed", reason=Reason.CHANGED)

    def close(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)
        self.slice, self.descriptor = None, -1


async def _file_pieces(files: _OpenFile, wanted: FileSlice) -> AsyncGenerator[Buffer]:
    descriptor = files.open(wanted)
    position, end = wanted.offset_bytes, wanted.offset_bytes + wanted.length_bytes
    while position < end:
        piece = bytearray(min(PIECE_BYTES, end - position))
        await _fill(descriptor, piece, position)
        files.check()
        yield piece
        position += len(piece)


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


async def _fill(descriptor: int, piece: bytearray, offset_bytes: int) -> None:
    done = _read_cached(descriptor, piece, offset_bytes)
    if done == len(piece):
        return
    # The thread has its own descriptor: ours may be closed under it when we are cancelled.
    own = os.dup(descriptor)
    with memoryview(piece) as view:
        whole = await asyncio.to_thread(_read_and_close, own, view[done:], offset_bytes + done)
    if not whole:
        raise RefusedError("the file is shorter than it was", reason=Reason.CHANGED)


def _read_cached(descriptor: int, piece: bytearray, offset_bytes: int) -> int:
    """Read what the page cache holds; 0 where it holds nothing or cannot be asked."""
    if not _NOWAIT:
        return 0
    try:
        return os.preadv(descriptor, [piece], offset_bytes, _NOWAIT)
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
