"""Frame runs through an Executor: several at once, their results in order, memory bounded."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Iterable
from concurrent.futures import Executor

from .byte_budget import ByteBudget
from .frame_run import FrameRun, RunResult
from .submission import result_of, submit_run

__all__ = ["runs_in_order"]


async def runs_in_order(
    runs: Iterable[FrameRun], *, executor: Executor, budget: ByteBudget, jobs: int
) -> AsyncGenerator[tuple[FrameRun, RunResult]]:
    """Yield each run with its result, in the order of `runs`.

    At most ``2 * jobs`` are in flight, fewer where the budget says so. Closing the generator
    abandons those that are.

    Raises
    ------
    MerseyError
        A frame failed; the error names instance and frame.
    """
    window: deque[tuple[FrameRun, asyncio.Future[RunResult]]] = deque()
    try:
        for run in runs:
            while len(window) >= 2 * jobs:
                yield await _head(window, budget)
            while not budget.try_take(run.weight_bytes):
                if not window:
                    await budget.take(run.weight_bytes)
                    break
                yield await _head(window, budget)
            window.append((run, submit_run(executor, run)))
        while window:
            yield await _head(window, budget)
    finally:
        for run, future in window:
            future.cancel()
            budget.give_back(run.weight_bytes)


async def _head(
    window: deque[tuple[FrameRun, asyncio.Future[RunResult]]], budget: ByteBudget
) -> tuple[FrameRun, RunResult]:
    run, future = window[0]
    result = await result_of(run, future)
    window.popleft()
    budget.give_back(run.weight_bytes)
    return run, result
