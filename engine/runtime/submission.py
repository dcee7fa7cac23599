"""Handing work to an Executor and waiting for it, with errors that name the place.

A WorkerPool gets a time limit with each call; any other Executor has its own ways.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor, Future

from .frame_run import FrameRun, RunResult, execute_run
from .worker import WorkerError
from .worker_pool import WorkerPool

__all__ = ["result_of", "run_frames", "submit", "submit_run"]


def submit[**P, T](
    executor: Executor, time_limit_s: float, fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs
) -> Future[T]:
    """Submit a call, with `time_limit_s` where the executor can enforce it."""
    if isinstance(executor, WorkerPool):
        return executor.submit_within(time_limit_s, fn, *args, **kwargs)
    return executor.submit(fn, *args, **kwargs)


def submit_run(executor: Executor, run: FrameRun) -> asyncio.Future[RunResult]:
    """Start `run`; await it through `result_of`."""
    return asyncio.wrap_future(submit(executor, run.time_limit_s, execute_run, run))


async def result_of(run: FrameRun, future: asyncio.Future[RunResult]) -> RunResult:
    """Wait for a run. The death of its worker is told with instance and frame."""
    try:
        return await future
    except WorkerError as error:
        index = run.frames[0].index if error.frame_index is None else error.frame_index
        raise error.at(instance=run.instance_uid or None, frame=index + 1)  # noqa: B904


async def run_frames(executor: Executor, run: FrameRun) -> RunResult:
    """Execute `run` and wait for its result.

    Raises
    ------
    MerseyError
        A frame failed; the error names instance and frame. Cancellation abandons the run: it
        may still be executed, and its result is dropped.
    """
    return await result_of(run, submit_run(executor, run))
