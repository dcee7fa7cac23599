"""A series read as Mersey's progressive stream: one answer, low resolution of every frame first."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable, Iterator

from ...codecs.errors import IntegrityError, UnsupportedError
from ...codecs.reduction import reduced_size
from ..transfer.progressive_reader import FrameArrived, ProgressiveReader
from .remote import RefusedByPeerError, Remote
from .series_reading import SeriesFrames, is_picture

__all__ = ["ProgressiveReading"]

type _Row = tuple[int, int, int, float | None, float | None]


class ProgressiveReading:
    """The whole series over one connection; see `FrameReading`."""

    def __init__(self, frames: SeriesFrames, *, connections: int) -> None:
        del connections  # one answer needs no more than one
        self._path = f"{frames.resource}/progressive"
        self._size = frames.size
        self._is_all = frames.is_all
        self._now: Callable[[], float] = lambda: 0.0
        self._expected = b""
        self._best: dict[int, int] = {}
        self._times: dict[int, tuple[float, float | None]] = {}
        self._counts: dict[int, int] = {}
        self.is_complete = False
        self.received_bytes = self.expected_bytes = 0
        self.first_s: float | None = None
        self.first_size: tuple[int, int] | None = None

    async def look(self, remote: Remote) -> AsyncIterator[None]:
        """Read it once without the link.

        Raises
        ------
        UnsupportedError
            Only some frames are wanted, or the server has no such stream.
        """
        if not self._is_all:
            raise UnsupportedError(
                "not of a part of the series: leave --frames out", feature="part of a series"
            )
        digest = hashlib.sha256()
        try:
            async with remote.request("GET", remote.address.base + self._path) as response:
                async for piece in response.content.iter_any():
                    digest.update(piece)
                    self.expected_bytes += len(piece)
        except RefusedByPeerError as error:
            if not error.is_missing:
                raise
            raise UnsupportedError(
                "the server has no progressive stream", feature="progressive stream"
            ) from error
        self._expected = digest.digest()
        yield

    def begin(self, now: Callable[[], float]) -> None:
        """Have `now` tell the seconds since the start."""
        self._now = now

    async def run(self, remote: Remote) -> None:
        """Read the stream; what is whole is let go."""
        digest = hashlib.sha256()
        async with remote.request("GET", remote.address.base + self._path) as response:
            reader = ProgressiveReader(response.headers.get("Content-Type", ""))
            async for piece in response.content.iter_any():
                digest.update(piece)
                self.received_bytes += len(piece)
                for arrived in reader.feed(piece):
                    self._mark(arrived, reader)
        if digest.digest() != self._expected or not reader.is_finished:
            raise IntegrityError(f"{self._path}: other bytes than without the link")
        self.is_complete = not reader.missing(until=0)

    def resolutions(self) -> Iterator[_Row]:
        """Reduction, columns, rows, first and all seconds; the smallest resolution first."""
        for level in sorted(self._times, reverse=True):
            yield (level, *self._at(level), *self._times[level])

    def _mark(self, arrived: FrameArrived, reader: ProgressiveReader) -> None:
        assert reader.description is not None
        now_s, level = self._now(), arrived.reduction
        before = self._best.get(arrived.frame)
        self._best[arrived.frame] = level
        # A frame without more halvings than this is as sharp at every one above.
        reached = range(level, 33) if before is None else range(level, before)
        for one in reached:
            self._counts[one] = self._counts.get(one, 0) + 1
        self._times.setdefault(level, (now_s, None))
        for one, (begun_s, all_s) in self._times.items():
            if all_s is None and self._counts.get(one, 0) == reader.description.frame_count:
                self._times[one] = (begun_s, now_s)
        if self.first_s is None and is_picture(self._at(level), full=self._size):
            self.first_s, self.first_size = now_s, self._at(level)
        if arrived.is_whole:
            reader.release(arrived.frame)

    def _at(self, level: int) -> tuple[int, int]:
        columns, rows = (reduced_size(side, reduce=level) for side in self._size)
        return columns, rows
