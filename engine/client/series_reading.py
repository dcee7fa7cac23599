"""Ways to read the frames of a series, as viewers do: several connections, frame after frame.

Each `FrameReading` is used once: `look` asks for everything beforehand and remembers digests,
`run` reads, and compares. What is held of a frame is its beginning alone.
"""

from __future__ import annotations

import asyncio
import functools
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from ...codecs.codestream import CodestreamLayout, prefix_length, scan_codestream
from ...codecs.errors import CodestreamError, IntegrityError, MerseyError
from ...codecs.reduction import reduced_size
from ..transfer.multipart_reader import MultipartReader, PartData
from .load import boundary_of
from .remote import Remote

__all__ = [
    "FrameReading",
    "RawReading",
    "ResolutionReading",
    "SeriesFrames",
    "WholeReading",
    "is_picture",
]

_RAW = 'multipart/related; type="application/octet-stream"; transfer-syntax=1.2.840.10008.1.2.1'
_PROGRESSIVE = "image/jphc; transfer-syntax=1.2.840.10008.1.2.4.202"
_PROGRESSIVE_PARTS = 'multipart/related; type="image/jphc"; transfer-syntax=1.2.840.10008.1.2.4.202'
_FIRST_GUESS_BYTES = 1024
_MOST_HEAD_BYTES = 1 << 20

_PICTURE_SIDE = 64

type _Row = tuple[int, int, int, float | None, float | None]


@dataclass(frozen=True, slots=True)
class SeriesFrames:
    """The frames to read: their paths below the service, of the series `resource`.

    `size` is columns and rows of the first one. `is_all` says that the series has no others.
    """

    resource: str
    paths: tuple[str, ...]
    size: tuple[int, int]
    is_all: bool


def is_picture(size: tuple[int, int], *, full: tuple[int, int]) -> bool:
    """Whether an image of that size shows something: 64 pixels on a side, or all there are."""
    return max(size) >= min(_PICTURE_SIDE, max(full))


class FrameReading(Protocol):
    """One way to read all frames of a series."""

    received_bytes: int
    expected_bytes: int
    first_s: float | None
    first_size: tuple[int, int] | None

    def __init__(self, frames: SeriesFrames, *, connections: int) -> None: ...

    @property
    def is_complete(self) -> bool:
        """Whether every frame is there, whole, and what it was without the link."""
        ...

    def look(self, remote: Remote) -> AsyncIterator[None]:
        """Ask for all of it without the link: what to expect, and whether it is offered."""
        ...

    def begin(self, now: Callable[[], float]) -> None:
        """Have `now` tell the seconds since the start."""
        ...

    async def run(self, remote: Remote) -> None:
        """Read everything; may be cancelled at any time.

        Raises
        ------
        IntegrityError
            Other bytes came than without the link.
        TransferError
            The connection broke.
        """
        ...

    def resolutions(self) -> Iterator[_Row]:
        """Reduction, columns, rows, first and all seconds; the smallest resolution first."""
        ...


class WholeReading:
    """Frames as .202 codestreams, each whole in one answer."""

    accept = f"{_PROGRESSIVE}, {_PROGRESSIVE_PARTS}"

    def __init__(self, frames: SeriesFrames, *, connections: int) -> None:
        self._urls = frames.paths
        self._connections = connections
        self._size = frames.size
        self._now: Callable[[], float] = lambda: 0.0
        self._expected: list[bytes] = []
        self._lengths: list[int] = []
        self._done = 0
        self._all_s: float | None = None
        self.received_bytes = self.expected_bytes = 0
        self.first_s: float | None = None
        self.first_size: tuple[int, int] | None = None

    @property
    def is_complete(self) -> bool:
        return self._done == len(self._urls)

    async def look(self, remote: Remote) -> AsyncIterator[None]:
        for url in self._urls:
            digest, length, head = hashlib.sha256(), 0, b""
            async for data in self._payload(remote, url):
                head += data[: _MOST_HEAD_BYTES - len(head)]
                digest.update(data)
                length += len(data)
            self._noted(head, length)
            self._expected.append(digest.digest())
            self._lengths.append(length)
            self.expected_bytes += length
            yield

    def begin(self, now: Callable[[], float]) -> None:
        self._now = now

    async def run(self, remote: Remote) -> None:
        await self._each(lambda index: self._read(remote, index))

    def resolutions(self) -> Iterator[_Row]:
        yield (0, *self._size, self.first_s, self._all_s)

    def _noted(self, head: bytes, length: int) -> None:
        """A frame was looked at: its first bytes, and how many there are."""
        scan_codestream(head, complete=len(head) == length)

    async def _read(self, remote: Remote, index: int) -> None:
        digest = hashlib.sha256()
        async for data in self._payload(remote, self._urls[index]):
            self.received_bytes += len(data)
            digest.update(data)
        self._compare(index, digest.digest())
        self._done += 1
        if self.first_s is None:
            self.first_s, self.first_size = self._now(), self._size
        if self.is_complete:
            self._all_s = self._now()

    def _compare(self, index: int, digest: bytes) -> None:
        if digest != self._expected[index]:
            raise IntegrityError(f"{self._urls[index]}: other bytes than without the link")

    async def _payload(self, remote: Remote, url: str) -> AsyncIterator[bytes | memoryview]:
        headers = {"Accept": self.accept}
        url = remote.address.base + url
        async with remote.request("GET", url, headers=headers) as response:
            boundary = boundary_of(response.headers.get("Content-Type", ""))
            reader = None if boundary is None else MultipartReader(boundary)
            async for piece in response.content.iter_any():
                if reader is None:
                    yield piece
                    continue
                for event in reader.feed(piece):
                    if isinstance(event, PartData):
                        yield event.data

    async def _each(self, work: Callable[[int], Awaitable[None]]) -> None:
        """Do all frames in order, as many at once as there are connections."""
        indices = iter(range(len(self._urls)))

        async def take() -> None:
            for index in indices:
                await work(index)

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(self._connections, len(self._urls))):
                    group.create_task(take())
        except* MerseyError as errors:
            failures = errors
            while isinstance(failure := failures.exceptions[0], ExceptionGroup):
                failures = failure
            raise failure from None


class RawReading(WholeReading):
    """Frames as uncompressed samples, each whole in one answer."""

    accept = _RAW

    def _noted(self, head: bytes, length: int) -> None:
        del head, length  # samples are no codestream


class ResolutionReading(WholeReading):
    """.202 frames by Range: the smallest resolution of all, then what the next one adds."""

    accept = _PROGRESSIVE

    def __init__(self, frames: SeriesFrames, *, connections: int) -> None:
        super().__init__(frames, connections=connections)
        count = len(frames.paths)
        self._layouts: list[CodestreamLayout | None] = [None] * count
        self._heads = [b""] * count
        self._have = [0] * count
        self._digests = [hashlib.sha256() for _ in range(count)]
        self._guess: dict[int, int] = {}
        self._times: dict[int, tuple[float | None, float | None]] = {}
        self._levels = 0

    def _noted(self, head: bytes, length: int) -> None:
        layout = scan_codestream(head, complete=len(head) == length)
        if layout.cut_points is None:
            raise CodestreamError(f"frames without cut points: {layout.why_no_cut_points}")
        self._levels = max(self._levels, layout.decompositions)

    async def run(self, remote: Remote) -> None:
        for level in range(self._levels, -1, -1):
            await self._each(functools.partial(self._reach, remote, level))
            first_s, _ = self._times[level]
            self._times[level] = (first_s, self._now())

    def resolutions(self) -> Iterator[_Row]:
        for level in range(self._levels, -1, -1):
            first_s, all_s = self._times.get(level, (None, None))
            yield (level, *self._at(level), first_s, all_s)

    def _at(self, level: int) -> tuple[int, int]:
        columns, rows = (reduced_size(side, reduce=level) for side in self._size)
        return columns, rows

    async def _reach(self, remote: Remote, level: int, index: int) -> None:
        """Read on until the frame is complete at `level`."""
        while True:
            layout = self._layouts[index]
            if layout is None:
                # As much as others took, and the more where that was not enough.
                goal = max(self._guess.get(level, _FIRST_GUESS_BYTES), 2 * self._have[index])
            elif level == 0:
                goal = self._lengths[index]  # padding of the fragment counts
            else:
                goal = prefix_length(layout, min(level, layout.decompositions))
            goal = min(goal, self._lengths[index])
            if layout is not None and self._have[index] >= goal:
                break
            await self._read_up_to(remote, index, goal)
        self._guess[level] = max(self._guess.get(level, 0), goal)
        if self._times.get(level) is None:
            self._times[level] = (self._now(), None)
        if self.first_s is None and is_picture(self._at(level), full=self._size):
            self.first_s, self.first_size = self._now(), self._at(level)
        if level == 0:
            self._compare(index, self._digests[index].digest())
            self._done += 1

    async def _read_up_to(self, remote: Remote, index: int, end: int) -> None:
        start = self._have[index]
        headers = {"Accept": self.accept, "Range": f"bytes={start}-{end - 1}"}
        url = remote.address.base + self._urls[index]
        answers = frozenset({206})
        async with remote.request("GET", url, headers=headers, may_answer=answers) as response:
            async for piece in response.content.iter_any():
                self.received_bytes += len(piece)
                self._have[index] += len(piece)
                self._digests[index].update(piece)
                if self._layouts[index] is None:
                    self._heads[index] += piece
        if self._have[index] != end:
            raise IntegrityError(f"{url}: a range of another length than was asked for")
        if self._layouts[index] is None:
            self._scan(index)

    def _scan(self, index: int) -> None:
        """Find the cut points in what has come of a frame, if that is enough."""
        is_whole = self._have[index] == self._lengths[index]
        try:
            layout = scan_codestream(self._heads[index], complete=is_whole)
        except CodestreamError:
            if is_whole:
                raise
            return
        if layout.cut_points is not None:
            self._layouts[index] = layout
            self._heads[index] = b""
