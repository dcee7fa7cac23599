"""Where the frames of an instance lie: a FrameIndex is built once and answers in O(1).

Holds offsets only; it never reads, and never holds pixels. Frames are counted from 0 here
(`index`); DICOM's frame *numbers*, counted from 1, are for URLs, messages and people.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from ...codecs.errors import UsageError

__all__ = ["Frame", "FrameIndex", "Span"]

type _Offsets = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True, slots=True)
class Span:
    """`length_bytes` bytes at `offset_bytes` of the instance's stream.

    The stream is the file, or for a deflated transfer syntax what its data set inflates to
    (counted from the start of the data set).
    """

    offset_bytes: int
    length_bytes: int

    def __reduce__(self) -> tuple[type[Self], tuple[int, int]]:
        # Frames go to workers by the thousand; the pickles of a dataclass take 7 times as long.
        return (type(self), (self.offset_bytes, self.length_bytes))


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame: its spans (fragments) in order.

    `bit_offset` (0–7) is where the first sample starts in the first byte and is other than 0
    only for Bits Allocated 1, where frames need not start on a byte (PS3.5 §8.2).
    """

    index: int
    spans: tuple[Span, ...]
    bit_offset: int = 0

    def __reduce__(self) -> tuple[type[Self], tuple[int, tuple[Span, ...], int]]:
        return (type(self), (self.index, self.spans, self.bit_offset))

    @property
    def length_bytes(self) -> int:
        return sum(span.length_bytes for span in self.spans)


@dataclass(frozen=True, slots=True, eq=False)
class FrameIndex:
    """Offset and length of every frame of one instance.

    Uncompressed frames follow each other: `first_offset_bytes` and `frame_bits` say all.
    Encapsulated frames list their fragments: `offsets` and `lengths` hold one entry a
    fragment (values without item tags), `starts` the first fragment of each frame, plus the
    number of fragments at the end. Item padding is part of a fragment's length.
    """

    count: int
    first_offset_bytes: int = 0
    frame_bits: int = 0
    offsets: _Offsets | None = None
    lengths: _Offsets | None = None
    starts: _Offsets | None = None

    @classmethod
    def uniform(cls, *, count: int, first_offset_bytes: int, frame_bits: int) -> Self:
        """The index of `count` uncompressed frames that follow each other."""
        return cls(count=count, first_offset_bytes=first_offset_bytes, frame_bits=frame_bits)

    @classmethod
    def encapsulated(
        cls, *, offsets: Iterable[int], lengths: Iterable[int], starts: Iterable[int]
    ) -> Self:
        """The index of encapsulated frames; `starts` has one entry more than frames."""
        first = _int64(starts)
        return cls(
            count=len(first) - 1, offsets=_int64(offsets), lengths=_int64(lengths), starts=first
        )

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Frame:
        """The frame at `index`, counted from 0; O(1)."""
        if not 0 <= index < self.count:
            raise UsageError(f"frame number {index + 1} of an instance of {self.count} frames")
        if self.offsets is None or self.lengths is None or self.starts is None:
            first_bit = index * self.frame_bits
            last_bit = first_bit + self.frame_bits
            start, end = first_bit // 8, -(-last_bit // 8)
            span = Span(self.first_offset_bytes + start, end - start)
            return Frame(index, (span,), first_bit % 8)
        fragments = range(int(self.starts[index]), int(self.starts[index + 1]))
        return Frame(
            index, tuple(Span(int(self.offsets[i]), int(self.lengths[i])) for i in fragments)
        )

    @property
    def is_encapsulated(self) -> bool:
        return self.offsets is not None

    def to_bytes(self) -> bytes:
        """A compact form for a catalogue; `from_bytes` is its inverse."""
        if self.offsets is None or self.lengths is None or self.starts is None:
            return _int64([self.count, self.first_offset_bytes, self.frame_bits]).tobytes()
        head = _int64([self.count, -1, len(self.offsets)])
        return b"".join(part.tobytes() for part in (head, self.offsets, self.lengths, self.starts))

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Rebuild an index from :meth:`to_bytes`."""
        words = np.frombuffer(data, dtype="<i8")
        count, first, third = (int(word) for word in words[:3])
        if first >= 0:
            return cls.uniform(count=count, first_offset_bytes=first, frame_bits=third)
        offsets, lengths, starts = np.split(words[3:], [third, 2 * third])
        return cls(count=count, offsets=offsets, lengths=lengths, starts=starts)


def _int64(values: Iterable[int]) -> _Offsets:
    if isinstance(values, np.ndarray):
        return values.astype("<i8", copy=False)
    return np.array(list(values), dtype="<i8")
