"""Load on a DICOMweb server: many connections, each asking for one thing after the other.

`LoadWork` describes what one client process does and pickles; `run_load` does it. `checked`
asks for everything twice beforehand: what is timed is known to be answered, and how.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import resource
import time
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import uvloop

from ...codecs.errors import FormatError, IntegrityError, MerseyError, TransferError
from ..transfer.multipart_reader import End, MultipartEvent, MultipartReader, PartData, PartEnd
from .address import Address
from .load_board import LoadBoard
from .load_targets import LoadTarget
from .remote import RefusedByPeerError, Remote, RemoteSettings

__all__ = [
    "Checked",
    "LoadResult",
    "LoadWork",
    "boundary_of",
    "checked",
    "run_load",
    "shares",
    "warm",
]

_MOST_SAMPLES = 500_000
_MOST_KINDS = 8
_GRACE_S = 30.0
_BOUNDARY = re.compile(r'boundary=(?:"([^"]{1,70})"|([^\s;,"]{1,70}))', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Checked:
    """A target that answers alike each time; `length_bytes` is the length of its body."""

    target: LoadTarget
    length_bytes: int


@dataclass(frozen=True, slots=True)
class LoadWork:
    """What one client process does: `connections` at once, for `duration_s` or `requests`.

    `first` is the target to begin with, so that several processes do not ask for the same.
    `board` is the path of a LoadBoard to count on, in `slot`, and to heed.
    """

    address: Address
    settings: RemoteSettings
    targets: tuple[Checked, ...]
    connections: int
    duration_s: float
    requests: int | None = None
    first: int = 0
    slot: int = 0
    board: str = ""

    @property
    def longest_s(self) -> float:
        """After this a process is to be given up."""
        return self.duration_s + 2 * _GRACE_S


@dataclass(frozen=True, slots=True)
class LoadResult:
    """What came of it. `latencies_s` are those of whole answers, `first_byte_s` of their heads.

    `answered`, `body_bytes` and `pixel_bytes` count what was answered rightly; `errors` counts
    the rest by kind. `seconds` is from the first request to the last answer, `cpu_s` what this
    process took.
    """

    seconds: float
    latencies_s: tuple[float, ...]
    first_byte_s: tuple[float, ...]
    answered: int
    body_bytes: int
    pixel_bytes: int
    errors: tuple[tuple[str, int], ...]
    cpu_s: float


def shares(work: LoadWork, *, processes: int) -> tuple[LoadWork, ...]:
    """The same load, shared out to at most `processes` processes."""
    count = max(1, min(processes, work.connections))
    requests = [None] * count if work.requests is None else _parts(work.requests, count)
    return tuple(
        replace(
            work,
            connections=connections,
            requests=most,
            first=index * len(work.targets) // count,
            slot=index,
        )
        for index, (connections, most) in enumerate(
            zip(_parts(work.connections, count), requests, strict=True)
        )
    )


def _parts(number: int, count: int) -> list[int]:
    return [number * (index + 1) // count - number * index // count for index in range(count)]


async def checked(
    remote: Remote,
    targets: Sequence[LoadTarget],
    *,
    limit_s: float = 30.0,
    on_checked: Callable[[int, int], None] | None = None,
) -> tuple[Checked, ...]:
    """Ask for every target twice: the answers must be alike, and something must be in them.

    Those that there is no time for within `limit_s` are left out, but for the first.

    Parts of multipart answers are compared, not their boundaries, which some servers draw anew.

    Raises
    ------
    IntegrityError
        Two answers differ, or one is empty.
    TransferError
        A target is not answered.
    """
    found: list[Checked] = []
    end = time.monotonic() + limit_s
    for target in targets:
        if found and time.monotonic() > end:
            break
        first = await _look(remote, target)
        second = await _look(remote, target)
        if first.digest != second.digest:
            raise IntegrityError(f"{target.url}: two answers with other bytes")
        if not first.payload_bytes:
            raise IntegrityError(f"{target.url}: an empty answer")
        found.append(Checked(target, first.length_bytes))
        if on_checked is not None:
            on_checked(len(found), len(targets))
    return tuple(found)


@dataclass(slots=True)
class _Look:
    """What was answered: the digest of its payload, and lengths with and without delimiters."""

    digest: str = ""
    length_bytes: int = 0
    payload_bytes: int = 0


async def _look(remote: Remote, target: LoadTarget) -> _Look:
    look, digest = _Look(), hashlib.sha256()
    async with remote.request("GET", target.url, headers={"Accept": target.accept}) as response:
        boundary = boundary_of(response.headers.get("Content-Type", ""))
        reader = None if boundary is None else MultipartReader(boundary)
        async for piece in response.content.iter_any():
            look.length_bytes += len(piece)
            for data in (piece,) if reader is None else _payload(reader.feed(piece)):
                digest.update(data)
                look.payload_bytes += len(data)
        for _ in () if reader is None else _payload(reader.finish()):
            pass
    look.digest = digest.hexdigest()
    return look


def boundary_of(content_type: str) -> str | None:
    """The boundary of a multipart answer; None where it is none.

    Raises
    ------
    FormatError
        It is one, and names no boundary.
    """
    if not content_type.lower().startswith("multipart/"):
        return None
    found = _BOUNDARY.search(content_type)
    if found is None:
        raise FormatError("a multipart answer without a boundary")
    return found[1] or found[2]


def _payload(events: Iterable[MultipartEvent]) -> Iterator[bytes | memoryview]:
    """The bytes of the parts; raises FormatError where one is broken."""
    for event in events:
        if isinstance(event, PartData):
            yield event.data
        elif isinstance(event, PartEnd | End) and event.error is not None:
            raise event.error


def warm() -> None:
    """Nothing: to be called in a process that has imported all this by then."""


def run_load(work: LoadWork) -> LoadResult:
    """Put the load on the server from this process."""
    board = LoadBoard(work.board) if work.board else None
    _allow_sockets()
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(_Load(work, board).run())
    finally:
        if board is not None:
            board.close()


def _allow_sockets() -> None:
    """Have as many open files as the system lets a process have: one a connection."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


class _Load:
    """The load of one process while it runs."""

    def __init__(self, work: LoadWork, board: LoadBoard | None) -> None:
        self._work = work
        self._board = board
        self._begun = 0
        self._latencies_s = array("d")
        self._first_byte_s = array("d")
        self._answered = self._body_bytes = self._pixel_bytes = 0
        self._errors: Counter[str] = Counter()

    async def run(self) -> LoadResult:
        async with Remote(self._work.address, settings=self._work.settings) as remote:
            started, cpu_before = time.perf_counter(), time.process_time()
            end = started + self._work.duration_s
            try:
                async with (
                    asyncio.timeout(self._work.duration_s + _GRACE_S),
                    asyncio.TaskGroup() as group,
                ):
                    for _ in range(self._work.connections):
                        group.create_task(self._ask_on(remote, end))
            except TimeoutError:
                self._errors[f"no whole answer {_GRACE_S:.0f} s after the end"] += 1
            seconds, cpu_s = time.perf_counter() - started, time.process_time() - cpu_before
        return LoadResult(
            seconds=seconds,
            latencies_s=tuple(self._latencies_s),
            first_byte_s=tuple(self._first_byte_s),
            answered=self._answered,
            body_bytes=self._body_bytes,
            pixel_bytes=self._pixel_bytes,
            errors=tuple(self._errors.most_common(_MOST_KINDS)),
            cpu_s=cpu_s,
        )

    async def _ask_on(self, remote: Remote, end: float) -> None:
        targets = self._work.targets
        while self._goes_on(end):
            wanted = targets[(self._work.first + self._begun) % len(targets)]
            self._begun += 1
            try:
                await self._ask(remote, wanted)
            except MerseyError as error:
                self._errors[_kind(error)] += 1
                # A server that refuses at once is not to be asked a million times.
                await asyncio.sleep(0.01)

    def _goes_on(self, end: float) -> bool:
        if self._board is not None and self._board.is_stopped:
            return False
        most = self._work.requests
        return time.perf_counter() < end and (most is None or self._begun < most)

    async def _ask(self, remote: Remote, wanted: Checked) -> None:
        target = wanted.target
        began = time.perf_counter()
        headers = {"Accept": target.accept}
        async with remote.request("GET", target.url, headers=headers) as response:
            head_s = time.perf_counter() - began
            length = 0
            async for piece in response.content.iter_any():
                length += len(piece)
        latency_s = time.perf_counter() - began
        if length != wanted.length_bytes:
            raise IntegrityError("a body of another length")
        self._answered += 1
        self._body_bytes += length
        self._pixel_bytes += target.pixel_bytes
        if self._board is not None:
            self._board.count(self._work.slot, length)
        if len(self._latencies_s) < _MOST_SAMPLES:
            self._latencies_s.append(latency_s)
            self._first_byte_s.append(head_s)


def _kind(error: MerseyError) -> str:
    """What counts as one kind of error."""
    if isinstance(error, RefusedByPeerError):
        return f"status {error.status}"
    if isinstance(error, TransferError):
        return error.message.rpartition(": ")[2][:60] or "connection"
    return error.message[:60]
