"""Which bytes of a whole are there: disjoint ranges, joined as they meet. Pure."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator

from .ranges import ByteRange

__all__ = ["RangeSet"]


class RangeSet:
    """A set of byte positions, kept as ranges in order."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._stops: list[int] = []

    def __iter__(self) -> Iterator[ByteRange]:
        return (ByteRange(*pair) for pair in zip(self._starts, self._stops, strict=True))

    @property
    def length_bytes(self) -> int:
        """How many positions it holds."""
        return sum(self._stops) - sum(self._starts)

    def add(self, start: int, stop: int) -> None:
        """Put `start` to `stop` in."""
        if start >= stop:
            return
        first = bisect_left(self._stops, start)
        last = bisect_right(self._starts, stop)
        if first < last:
            start = min(start, self._starts[first])
            stop = max(stop, self._stops[last - 1])
        self._starts[first:last] = [start]
        self._stops[first:last] = [stop]

    def remove(self, start: int, stop: int) -> None:
        """Take `start` to `stop` out."""
        if start >= stop:
            return
        first = bisect_right(self._stops, start)
        last = bisect_left(self._starts, stop)
        kept = []
        if first < last:
            kept = [
                (left, right)
                for left, right in (
                    (self._starts[first], start),
                    (stop, self._stops[last - 1]),
                )
                if left < right
            ]
        self._starts[first:last] = [left for left, _ in kept]
        self._stops[first:last] = [right for _, right in kept]

    def holds(self, start: int, stop: int) -> bool:
        """Whether every position from `start` to `stop` is in."""
        index = bisect_right(self._starts, start) - 1
        return start >= stop or (index >= 0 and stop <= self._stops[index])

    def missing(self, start: int, stop: int) -> Iterator[ByteRange]:
        """The ranges between `start` and `stop` that are not in, in order."""
        at = start
        index = bisect_right(self._stops, start)
        while at < stop:
            begin = self._starts[index] if index < len(self._starts) else stop
            if begin > at:
                yield ByteRange(at, min(begin, stop))
            at = self._stops[index] if index < len(self._stops) else stop
            index += 1
