"""A Body: what a response or a transfer carries, described before a byte of it is read.

An immutable sequence of segments (literal bytes, slices of files or blobs) with a known length
and a strong entity tag. Never opens or reads a file: whoever sends a Body does.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Self

from ...codecs.errors import UsageError

__all__ = ["BlobSlice", "Body", "FileSlice", "FileStamp", "Segment", "segment_bytes"]


@dataclass(frozen=True, slots=True)
class FileStamp:
    """How a file is known again: another stamp means that the bytes may be others."""

    size_bytes: int
    mtime_ns: int
    inode: int


@dataclass(frozen=True, slots=True)
class FileSlice:
    """`length_bytes` at `offset_bytes` of the file `path`, as it was when it had `stamp`."""

    path: str
    offset_bytes: int
    length_bytes: int
    stamp: FileStamp | None = None


@dataclass(frozen=True, slots=True)
class BlobSlice:
    """`length_bytes` at `offset_bytes` of the blob `key`, which never changes."""

    key: str
    offset_bytes: int
    length_bytes: int


type Segment = bytes | FileSlice | BlobSlice


@dataclass(frozen=True, slots=True, eq=False)
class Body:
    """Segments end to end, seen from byte `start` to byte `stop`.

    Make one with :meth:`of`. A slice shares the segments of the Body it was cut from, and its
    `etag`: an entity tag names the representation, not the part of it that is sent
    (RFC 9110 §8.8.3). `etag` is quoted, as on the wire.
    """

    parts: tuple[Segment, ...]
    ends: tuple[int, ...]
    etag: str
    start: int
    stop: int

    @classmethod
    def of(cls, segments: Iterable[Segment], *, etag: str) -> Self:
        """The Body of `segments` in order; empty ones are dropped."""
        parts = tuple(segment for segment in segments if segment_bytes(segment))
        ends = tuple(accumulate(segment_bytes(segment) for segment in parts))
        return cls(parts, ends, etag, 0, ends[-1] if ends else 0)

    @property
    def length_bytes(self) -> int:
        """How many bytes it is to whoever takes all of it."""
        return self.stop - self.start

    def slice(self, start: int, stop: int) -> Self:
        """Bytes `start` to `stop` of this Body, as a Body; reading it costs O(log n) to begin.

        Raises
        ------
        UsageError
            Not ``0 <= start <= stop <= length_bytes``.
        """
        if not 0 <= start <= stop <= self.length_bytes:
            raise UsageError(f"bytes {start} to {stop} of a body of {self.length_bytes} bytes")
        return type(self)(self.parts, self.ends, self.etag, self.start + start, self.start + stop)

    def segments(self) -> Iterator[Segment]:
        """The segments in order, the first and the last trimmed to this Body's bounds."""
        at = self.start
        index = bisect_right(self.ends, at)
        while at < self.stop:
            segment, end = self.parts[index], self.ends[index]
            begin = end - segment_bytes(segment)
            upto = min(end, self.stop)
            yield _trim(segment, at - begin, upto - begin)
            at = upto
            index += 1


def segment_bytes(segment: Segment) -> int:
    """How many bytes `segment` stands for."""
    return len(segment) if isinstance(segment, bytes) else segment.length_bytes


def _trim(segment: Segment, start: int, stop: int) -> Segment:
    if start == 0 and stop == segment_bytes(segment):
        return segment
    if isinstance(segment, bytes):
        return segment[start:stop]
    return replace(segment, offset_bytes=segment.offset_bytes + start, length_bytes=stop - start)
