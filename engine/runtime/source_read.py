"""Reading the frames of a run: few reads, only what the frames need.

`plan_reads` decides, `read_frames` does it. A worker maps what is large, which saves a copy: a
file that shrinks meanwhile kills it (SIGBUS), so that no other process may do so.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ...codecs.errors import FormatError
from ..dicom.frame_index import Frame, Span
from .beacon import is_worker

__all__ = ["plan_reads", "read_frames", "read_span"]

_GAP_BYTES = 4096  # less than a page of the kernel's cache: cheaper to read than to skip
_READ_BYTES = 1 << 20  # what a core keeps close while it encodes it
_MAP_BYTES = 16 << 20  # a run of frames
_MADV_POPULATE_READ = 22  # Linux 5.14; has no name in Python's mmap yet


def plan_reads(spans: Sequence[Span], *, most_bytes: int = _READ_BYTES) -> tuple[Span, ...]:
    """The reads that cover `spans`, in order.

    Spans that nearly touch are read together (item tags lie between fragments), up to
    `most_bytes` a read; a larger span is read alone, whole.
    """
    reads: list[Span] = []
    for span in spans:
        if reads and _joins(reads[-1], span, most_bytes=most_bytes):
            last = reads[-1]
            length = span.offset_bytes + span.length_bytes - last.offset_bytes
            reads[-1] = Span(last.offset_bytes, length)
        else:
            reads.append(span)
    return tuple(reads)


def _joins(read: Span, span: Span, *, most_bytes: int) -> bool:
    gap = span.offset_bytes - (read.offset_bytes + read.length_bytes)
    end = span.offset_bytes + span.length_bytes
    return 0 <= gap <= _GAP_BYTES and end - read.offset_bytes <= most_bytes


def read_frames(path: str, frames: Sequence[Frame]) -> Iterator[tuple[Frame, memoryview]]:
    """Yield each frame with its bytes; fragments of a frame are joined.

    The bytes are writable and private (some codecs insist). Raises FormatError where the file
    ends before a frame does.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        most_bytes = _MAP_BYTES if is_worker() else _READ_BYTES
        spans = [span for frame in frames for span in frame.spans]
        reads = iter(plan_reads(spans, most_bytes=most_bytes))
        held = _Held(Span(0, 0), memoryview(b""))
        for frame in frames:
            parts = []
            for span in frame.spans:
                while not held.holds(span):
                    read = next(reads)
                    held = _Held(read, _mapped(descriptor, read) or read_span(descriptor, read))
                parts.append(held.part(span))
            yield frame, parts[0] if len(parts) == 1 else memoryview(bytearray(b"".join(parts)))
    finally:
        os.close(descriptor)


@dataclass(frozen=True, slots=True)
class _Held:
    span: Span
    data: memoryview

    def holds(self, span: Span) -> bool:
        start = span.offset_bytes - self.span.offset_bytes
        return start >= 0 and start + span.length_bytes <= self.span.length_bytes

    def part(self, span: Span) -> memoryview:
        start = span.offset_bytes - self.span.offset_bytes
        return self.data[start : start + span.length_bytes]


def _mapped(descriptor: int, span: Span) -> memoryview | None:
    """`span` mapped, where that is worth it and can be done; a write to it copies the page."""
    if span.length_bytes < _READ_BYTES or not is_worker():
        return None
    start = span.offset_bytes // mmap.ALLOCATIONGRANULARITY * mmap.ALLOCATIONGRANULARITY
    length = span.offset_bytes + span.length_bytes - start
    try:
        mapped = mmap.mmap(descriptor, length, access=mmap.ACCESS_COPY, offset=start)
        mapped.madvise(_MADV_POPULATE_READ)  # all pages at once, and what cannot be read is told
    except (OSError, ValueError):
        return None
    return memoryview(mapped)[span.offset_bytes - start :]


def read_span(descriptor: int, span: Span) -> memoryview:
    """Read exactly `span` of an open file, or raise FormatError with where the file ended."""
    data = np.empty(span.length_bytes, np.uint8).data  # unlike a bytearray, not zeroed first
    position = 0
    while position < span.length_bytes:
        count = os.preadv(descriptor, [data[position:]], span.offset_bytes + position)
        if count == 0:
            end = span.offset_bytes + position
            raise FormatError(
                f"the file ends at byte {end}, expected {span.length_bytes} bytes "
                f"at {span.offset_bytes}",
                offset_bytes=end,
            )
        position += count
    return data
