"""Measures a server under load, one number of connections after the other.

The load comes from processes of its own, so that one Python is not what is measured; what
they took of the CPU is part of the result, since a client that is busy measures itself.
"""

from __future__ import annotations

import functools
import math
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass, replace

from ..runtime.abandoning import abandon
from ..runtime.worker_pool import WorkerPool
from .latency import Latencies
from .load import LoadResult, LoadWork, run_load, shares, warm
from .load_board import LoadBoard

__all__ = ["LoadFigures", "load_figures"]

_TICK_S = 0.1
_STOP_S = 3.0

type OnTick = Callable[[int, float, int, int], None]


@dataclass(frozen=True, slots=True)
class LoadFigures:
    """One number of connections: what was answered rightly in `seconds`, and what was not.

    `client_cores` is how many cores the client's `processes` kept busy: near to `processes` it
    is the client that was measured.
    """

    connections: int
    processes: int
    seconds: float
    latencies: Latencies
    first_byte: Latencies
    answered: int
    body_bytes: int
    pixel_bytes: int
    errors: tuple[tuple[str, int], ...]
    client_cores: float

    @property
    def requests_per_s(self) -> float:
        return self.answered / self.seconds if self.seconds else 0.0

    @property
    def mb_per_s(self) -> float:
        """MB of bodies a second."""
        return self.body_bytes / 1e6 / self.seconds if self.seconds else 0.0

    @property
    def pixel_mb_per_s(self) -> float:
        """MB of uncompressed pixels a second; 0 where it is not known how many there were."""
        return self.pixel_bytes / 1e6 / self.seconds if self.seconds else 0.0

    @property
    def error_count(self) -> int:
        return sum(count for _, count in self.errors)


def load_figures(
    work: LoadWork,
    *,
    connections: Sequence[int],
    processes: int,
    on_tick: OnTick,
) -> Iterator[LoadFigures]:
    """Measure each number of `connections`; the processes end with it, whatever happens.

    `on_tick` is told often: which step it is at, counted from 0, the part of it that is over by
    the clock, answers and bytes so far. Ctrl-C ends it after what there was of the step.
    """
    pool = WorkerPool(jobs=processes)
    try:
        with LoadBoard.create() as board:
            for begun in [pool.submit(warm) for _ in range(2 * processes)]:
                begun.result()
            for step, number in enumerate(connections):
                board.clear()
                whole = replace(work, connections=number, board=board.path)
                works = shares(whole, processes=processes)
                futures = [pool.submit_within(one.longest_s, run_load, one) for one in works]
                try:
                    _follow(futures, work.duration_s, board, functools.partial(on_tick, step))
                except KeyboardInterrupt:
                    board.stop()
                    done = wait(futures, timeout=_STOP_S).done
                    if done:
                        yield _together(number, [future.result() for future in done])
                    raise
                yield _together(number, [future.result() for future in futures])
    finally:
        abandon(pool)


def _follow(
    futures: Sequence[Future[LoadResult]],
    duration_s: float,
    board: LoadBoard,
    on_tick: Callable[[float, int, int], None],
) -> None:
    """Tell how it goes until all are done."""
    began = time.monotonic()
    while wait(futures, timeout=_TICK_S).not_done:
        part = (time.monotonic() - began) / duration_s
        on_tick(min(part, 0.99), *board.totals())


def _together(connections: int, results: Sequence[LoadResult]) -> LoadFigures:
    errors: Counter[str] = Counter()
    for result in results:
        errors.update(dict(result.errors))
    seconds = max(result.seconds for result in results)
    return LoadFigures(
        connections=connections,
        processes=len(results),
        seconds=seconds,
        latencies=Latencies.of([one for result in results for one in result.latencies_s]),
        first_byte=Latencies.of([one for result in results for one in result.first_byte_s]),
        answered=sum(result.answered for result in results),
        body_bytes=sum(result.body_bytes for result in results),
        pixel_bytes=sum(result.pixel_bytes for result in results),
        errors=tuple(errors.most_common()),
        client_cores=math.fsum(result.cpu_s for result in results) / seconds if seconds else 0.0,
    )
