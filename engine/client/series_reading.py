"""Ways to read the frames of a series, as viewers do: several connections, frame after frame.

Each `FrameReading` is used once: `look` asks for everything beforehand and remembers digests,
`run` reads, and compares. What is held of a frame is its beginning alone.
"""

from __future__ import annotations

import asyncio
import functools
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from typing import Protocol

from ...codecs.codestream import CodestreamLayout, prefix_length, scan_codestream
from ...codecs.errors import CodestreamError, IntegrityError, MerseyError
from ...codecs.reduction import reduced_size
from ..transfer.multipart_reader import MultipartReader, PartData
from .load import boundary_of
from .remote import Remote

__all__ = ["FrameReading", "RawReading", "ResolutionReading", "WholeReading"]

_RAW = 'multipart/related; type="application/octet-stream"; transfer-syntax=1.2.840.10008.1.2.1'
_PROGRESSIVE = "image/jphc; transfer-syntax=1.2.840.10008.1.2.4.202"
_PROGRESSIVE_PARTS = 'multipart/related; type="image/jphc"; transfer-syntax=1.2.840.10008.1.2.4.202'
_FIRST_GUESS_BYTES = 1024
_MOST_HEAD_BYTES = 1 << 20

type _Row = tuple[int, int, int, float | None, float | None]


class FrameReading(Protocol):
    """One way to read all frames of a series."""

    received_bytes: int
    expected_bytes: int
    first_s: float | None
    first_size: tuple[int, int] | None

    def __init__(self, urls: Sequence[str], *, connections: int, sizes: Sequence[int]) -> None: ...

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
        """Read everything; may be cancelled at any time."""
        ...

    def resolutions(self) -> Iterator[_Row]:
        """Reduction, columns, rows, first and all seconds; the smallest resolution first."""
        ...


class WholeReading:
    """Frames as .202 codestreams, each whole in one answer."""

    accept = f"{_PROGRESSIVE}, {_PROGRESSIVE_PARTS}"

    def __init__(self, urls: Sequence[str], *, connections: int, sizes: Sequence[int]) -> None:
        self._urls = urls
        self._connections = connections
        self._sizes = sizes
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
        if self.first_size is not None:
            yield (0, *self.first_size, self.first_s, self._all_s)

    def _noted(self, head: bytes, length: int) -> None:
        """A frame was looked at: its first bytes, and how many there are."""
        if self.first_size is None:
            layout = scan_codestream(head, complete=len(head) == length)
            self.first_size = (layout.width, layout.height)

    async def _read(self, remote: Remote, index: int) -> None:
        digest = hashlib.sha256()
        async for data in self._payload(remote, self._urls[index]):
            self.received_bytes += len(data)
            digest.update(data)
        self._compare(index, digest.digest())
        self._done += 1
        if self.first_s is None:
            self.first_s = self._now()
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
        del head, length  # samples tell no size


class ResolutionReading(WholeReading):
    """.202 frames by Range: the smallest resolution of all, then what the next one adds."""

    accept = _PROGRESSIVE

    def __init__(self, urls: Sequence[str], *, connections: int, sizes: Sequence[int]) -> None:
        super().__init__(urls, connections=connections, sizes=sizes)
        self._layouts: list[CodestreamLayout | None] = [None] * len(urls)
        self._heads = [b""] * len(urls)
        self._have = [0] * len(urls)
        self._digests = [hashlib.sha256() for _ in urls]
        self._guess: dict[int, int] = {}
        self._times: dict[int, tuple[float | None, float | None]] = {}
        self._size = (0, 0)
        self._levels = 0

    def _noted(self, head: bytes, length: int) -> None:
        layout = scan_codestream(head, complete=len(head) == length)
        if layout.cut_points is None:
            raise CodestreamError(f"frames without cut points: {layout.why_no_cut_points}")
        self._levels = max(self._levels, layout.decompositions)
        self._size = (max(self._size[0], layout.width), max(self._size[1], layout.height))

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
            else:
                goal = prefix_length(layout, min(level, layout.decompositions))
            goal = min(goal, self._lengths[index])
            if layout is not None and self._have[index] >= goal:
                break
            await self._read_up_to(remote, index, goal)
        self._guess[level] = max(self._guess.get(level, 0), goal)
        if self._times.get(level) is None:
            self._times[level] = (self._now(), None)
        if self.first_s is None:
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
