"""Reads segments through to their end in the thread that asks: for digests of what is served.

A file whose stamp is another by now is not read on: its digest would be of other bytes.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterable, Iterator

from ...codecs.errors import IntegrityError, MerseyError
from ...codecs.pixels import Buffer
from ..transfer.body import BlobSlice, FileSlice, Segment
from .blobs import BlobStore
from .entry import stamp_of

__all__ = ["crc32_of", "read_segments"]

_PIECE_BYTES = 1 << 20


def crc32_of(segments: Iterable[Segment], *, blobs: BlobStore | None = None) -> int:
    """The CRC-32 of `segments` end to end, as ZIP has it. Blocks.

    Raises
    ------
    IntegrityError
        A file or blob is gone, or is another.
    """
    crc = 0
    for piece in read_segments(segments, blobs=blobs):
        crc = zlib.crc32(piece, crc)
    return crc


def read_segments(
    segments: Iterable[Segment], *, blobs: BlobStore | None = None
) -> Iterator[Buffer]:
    """The bytes of `segments` in order; what is given is overwritten by what comes next. Blocks.

    Raises
    ------
    IntegrityError
        A file or blob is gone, or is another.
    """
    held = bytearray(_PIECE_BYTES)
    for segment in segments:
        if isinstance(segment, FileSlice):
            yield from _file_pieces(segment, held)
        elif isinstance(segment, BlobSlice):
            yield from _blob_pieces(segment, blobs)
        else:
            yield segment


def _file_pieces(wanted: FileSlice, held: bytearray) -> Iterator[Buffer]:
    try:
        descriptor = os.open(wanted.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise IntegrityError(f"the file cannot be read: {error.strerror}") from error
    try:
        position, end = wanted.offset_bytes, wanted.offset_bytes + wanted.length_bytes
        with memoryview(held) as view:
            while position < end:
                room = view[: min(len(held), end - position)]
                count = os.preadv(descriptor, [room], position)
                if count == 0 or not _is_same(descriptor, wanted):
                    raise IntegrityError("the file has changed since it was indexed")
                yield room[:count]
                position += count
    finally:
        os.close(descriptor)


def _is_same(descriptor: int, wanted: FileSlice) -> bool:
    try:
        return wanted.stamp is None or stamp_of(os.fstat(descriptor)) == wanted.stamp
    except MerseyError:
        return False


def _blob_pieces(wanted: BlobSlice, blobs: BlobStore | None) -> Iterator[Buffer]:
    if blobs is None:
        raise IntegrityError("there is no store to read the blob from")
    position, end = wanted.offset_bytes, wanted.offset_bytes + wanted.length_bytes
    while position < end:
        data = blobs.read_at(wanted.key, position, min(_PIECE_BYTES, end - position))
        if not data:
            raise IntegrityError("the blob is shorter than it was")
        yield data
        position += len(data)
