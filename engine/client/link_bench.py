"""How soon a series is there over a link: raw frames, whole HTJ2K frames, resolution by resolution.

Each way runs over a link and connections of its own, for as long as it may. What arrives is
compared with what the server answers without the link; decoding is not part of the time.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit, urlunsplit

from ...codecs.errors import MerseyError, TransferError, UsageError
from .address import Address
from .link import Link
from .link_profile import LinkProfile
from .load_targets import FoundInstance, find_instances
from .progressive_reading import ProgressiveReading
from .remote import Remote, RemoteSettings
from .series_reading import (
    FrameReading,
    RawReading,
    ResolutionReading,
    SeriesFrames,
    WholeReading,
)

__all__ = ["WAYS", "LinkFigures", "LinkWork", "ResolutionTime", "measure_link"]

WAYS: dict[str, type[FrameReading]] = {
    "raw frames": RawReading,
    ".202 frames": WholeReading,
    ".202 by resolution": ResolutionReading,
    "progressive stream": ProgressiveReading,
}
_EVERY_S = 0.02
_LOOK_S = 60.0
_MOST_POINTS = 2000


@dataclass(frozen=True, slots=True)
class LinkWork:
    """The series that `address` names, or the longest of the server, over a link.

    At most `frames` of its frames over `connections`; each way is stopped after `limit_s`.
    """

    address: Address
    settings: RemoteSettings
    bytes_per_s: float
    rtt_s: float
    connections: int = 6
    frames: int | None = None
    limit_s: float = 120.0


@dataclass(frozen=True, slots=True)
class ResolutionTime:
    """When the first frame was there at a resolution, and when all were; None: not in time."""

    reduce: int
    columns: int
    rows: int
    first_s: float | None
    all_s: float | None


@dataclass(frozen=True, slots=True)
class LinkFigures:
    """What one way took: seconds from the first request; `reason` says why it has none.

    The first picture is a frame at the first resolution that has 64 pixels on a side, or all,
    `first_picture` its columns and rows. `curve` is (seconds, bytes of frames so far).
    """

    way: str
    frames: int = 0
    frames_bytes: int = 0
    first_picture_s: float | None = None
    first_picture: tuple[int, int] | None = None
    resolutions: tuple[ResolutionTime, ...] = ()
    complete_s: float | None = None
    curve: tuple[tuple[float, int], ...] = ()
    reason: str = ""


@dataclass(slots=True)
class _Clock:
    """Marks of one way while it runs."""

    started: float = field(default_factory=time.perf_counter)
    curve: list[tuple[float, int]] = field(default_factory=list)

    def now(self) -> float:
        return time.perf_counter() - self.started


async def measure_link(
    work: LinkWork,
    *,
    ways: Sequence[str] = tuple(WAYS),
    on_progress: Callable[[str, float], None],
    on_done: Callable[[LinkFigures], None],
) -> None:
    """Measure the `ways`, one after the other; a way the server does not offer has a reason.

    Where this is cancelled, `on_done` is still told what there was of the way it was at.

    Raises
    ------
    UsageError
        There is no series with frames, or the service is not plain HTTP.
    TransferError
        The server cannot be searched.
    """
    if urlsplit(work.address.base).scheme != "http":
        raise UsageError("the link is measured over plain http://; https is for its own host alone")
    async with Remote(work.address, settings=work.settings) as remote:
        frames = await series_frames(remote, most=work.frames)
    for name in ways:
        try:
            await _measure(name, work, frames, on_progress, on_done)
        except MerseyError as error:
            on_done(LinkFigures(name, reason=error.message))


async def series_frames(remote: Remote, *, most: int | None) -> SeriesFrames:
    """The frames of the series that has most of them, in order; at most `most`.

    Raises
    ------
    UsageError
        There is no series with frames.
    TransferError
        The server cannot be searched.
    """
    by_series: dict[str, list[FoundInstance]] = {}
    for one in await find_instances(remote):
        by_series.setdefault(one.series, []).append(one)
    if not by_series:
        raise UsageError(f"{remote.address}: no series with frames found")
    longest = max(by_series.values(), key=lambda found: sum(one.frames for one in found))
    paths = [
        f"{one.resource}/frames/{number}" for one in longest for number in range(1, one.frames + 1)
    ]
    first = longest[0]
    return SeriesFrames(
        resource=f"/studies/{first.study}/series/{first.series}",
        paths=tuple(paths[:most]),
        size=(first.columns, first.rows),
        is_all=not remote.address.instance and (most is None or most >= len(paths)),
    )


async def _measure(
    name: str,
    work: LinkWork,
    frames: SeriesFrames,
    on_progress: Callable[[str, float], None],
    on_done: Callable[[LinkFigures], None],
) -> None:
    reading = WAYS[name](frames, connections=work.connections)
    await _look(name, reading, work, len(frames.paths), on_progress)
    async with _through_link(work) as remote:
        clock = _Clock()
        reading.begin(clock.now)
        watch = asyncio.create_task(_watch(reading, clock, name, on_progress))
        try:
            async with asyncio.timeout(work.limit_s):
                await reading.run(remote)
        except TimeoutError:
            on_done(_figures(name, frames, reading, clock, f"stopped after {work.limit_s:g} s"))
        except asyncio.CancelledError:
            on_done(_figures(name, frames, reading, clock, "interrupted"))
            raise
        else:
            on_done(_figures(name, frames, reading, clock, ""))
        finally:
            watch.cancel()


async def _look(
    name: str,
    reading: FrameReading,
    work: LinkWork,
    count: int,
    on_progress: Callable[[str, float], None],
) -> None:
    """Ask for everything without the link; TransferError where that takes too long already."""
    done = 0
    try:
        async with (
            asyncio.timeout(work.limit_s + _LOOK_S),
            Remote(work.address, settings=work.settings) as direct,
        ):
            async for _ in reading.look(direct):
                done += 1
                on_progress(f"{name}: asking without the link", done / count)
    except TimeoutError:
        raise TransferError(
            f"even without the link it took longer than {work.limit_s + _LOOK_S:g} s"
        ) from None


def _figures(
    name: str, frames: SeriesFrames, reading: FrameReading, clock: _Clock, reason: str
) -> LinkFigures:
    now_s = clock.now()
    return LinkFigures(
        way=name,
        frames=len(frames.paths),
        frames_bytes=reading.received_bytes,
        first_picture_s=reading.first_s,
        first_picture=reading.first_size,
        resolutions=tuple(ResolutionTime(*row) for row in reading.resolutions()),
        complete_s=now_s if reading.is_complete else None,
        curve=(*clock.curve, (now_s, reading.received_bytes)),
        reason=reason,
    )


@asynccontextmanager
async def _through_link(work: LinkWork) -> AsyncIterator[Remote]:
    """A session whose server is reached over the link; it sees the name it has without it."""
    parts = urlsplit(work.address.base)
    assert parts.hostname is not None
    profile = LinkProfile.shaped(bytes_per_s=work.bytes_per_s, rtt_s=work.rtt_s)
    async with Link(parts.hostname, parts.port or 80, profile=profile) as link:
        base = urlunsplit(("http", f"127.0.0.1:{link.port}", parts.path, "", ""))
        headers = (*work.settings.headers, ("Host", parts.netloc))
        settings = replace(work.settings, headers=headers)
        async with Remote(replace(work.address, base=base), settings=settings) as remote:
            yield remote


async def _watch(
    reading: FrameReading, clock: _Clock, name: str, on_progress: Callable[[str, float], None]
) -> None:
    """Note how many bytes have come, now and then."""
    every_s = _EVERY_S
    while True:
        clock.curve.append((clock.now(), reading.received_bytes))
        if len(clock.curve) > _MOST_POINTS:
            del clock.curve[1::2]
            every_s *= 2
        on_progress(name, reading.received_bytes / max(reading.expected_bytes, 1))
        await asyncio.sleep(every_s)
