"""Transcode one file: frame runs through workers, results in order, memory bounded.

`transcode_file` is a pipeline: as many runs are in flight as the budget allows, their results
are written in the order of the frames, whatever the order in which they are wanted. Cancellation
or a kill at any moment leaves either no target or a whole one, and a part file that the next call
goes on from.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import ExitStack, aclosing
from dataclasses import replace
from pathlib import Path

from .byte_budget import ByteBudget
from .copying import copy_file
from .file_writing import FileWriting
from .frame_demand import FrameDemand
from .frame_run import RUN_BYTES, FrameRun, plan_runs
from .outcome import Outcome
from .plan import Job, Plan
from .rearranging import PROGRESSIVE, NotRearrangedError
from .results_ahead import ResultsAhead
from .run_pipeline import runs_in_order
from .submission import submit
from .whole_file import begin

__all__ = ["OnProgress", "transcode_file"]

type OnProgress = Callable[[int, int], None]
"""Called with what was finished since the last call: bytes of decoded frames, and of source."""


async def transcode_file(
    job: Job,
    *,
    executor: Executor,
    budget: ByteBudget,
    jobs: int = 2,
    overwrite: bool = False,
    on_progress: OnProgress | None = None,
    demand: FrameDemand | None = None,
) -> Outcome:
    """Do `job`.

    Parameters
    ----------
    executor
        Runs the CPU work: a WorkerPool, or any Executor that reaches the same files.
    budget
        Bounds what is in flight, in this file and in all that share it.
    jobs
        How many runs the executor works on at once; as many again may wait for it.
    overwrite
        Make the target again where an earlier call made it.
    demand
        Who wants frames while the file is made, and which ones first; it may change meanwhile.

    Raises
    ------
    MerseyError
        The file cannot be transcoded; the error names the instance, and the frame where one
        is to blame. No target appears.
    """
    try:
        return await _transcode(job, executor, budget, jobs, overwrite, on_progress, demand)
    except NotRearrangedError as error:
        if job.target_uid != PROGRESSIVE:
            raise
        where = "" if error.frame is None else f"frame {error.frame}: "
        job = replace(job, not_rearranged=where + error.message)
    return await _transcode(job, executor, budget, jobs, overwrite, on_progress, demand)


async def _transcode(
    job: Job,
    executor: Executor,
    budget: ByteBudget,
    jobs: int,
    overwrite: bool,
    on_progress: OnProgress | None,
    demand: FrameDemand | None,
) -> Outcome:
    size_bytes = await asyncio.to_thread(lambda: Path(job.source).stat().st_size)
    async with budget.hold(min(size_bytes, 3 * RUN_BYTES)):
        future = submit(executor, 30 + size_bytes / 20e6, begin, job, overwrite=overwrite)
        begun = await asyncio.wrap_future(future)
    if isinstance(begun, Plan) and begun.action == "transcode":
        return await _pipeline(begun, executor, budget, jobs, on_progress, demand or FrameDemand())
    outcome = await copy_file(begun) if isinstance(begun, Plan) else begun
    if on_progress is not None:
        on_progress(outcome.pixel_bytes, size_bytes)
    return outcome


async def _pipeline(
    plan: Plan,
    executor: Executor,
    budget: ByteBudget,
    jobs: int,
    on_progress: OnProgress | None,
    demand: FrameDemand,
) -> Outcome:
    writing = FileWriting(plan)
    await asyncio.to_thread(writing.__enter__)
    with ExitStack() as stack:
        stack.push(writing)
        first = writing.done_frames
        ahead = stack.enter_context(ResultsAhead(Path(plan.job.target), first=first))

        def write_next() -> None:
            writing.add(ahead.take())

        demand.begin(plan.frame_count, first=first)
        runs = _runs(plan, demand, first=first, jobs=jobs)
        results = runs_in_order(runs, executor=executor, budget=budget, jobs=jobs)
        async with aclosing(results):
            async for run, result in results:
                at, done = run.frames[0].index, len(run.frames)
                await demand.made(at, done, result.data)
                await asyncio.to_thread(ahead.put, at, result)
                while ahead.is_ready:
                    await asyncio.to_thread(write_next)
                if on_progress is not None:
                    on_progress(
                        done * run.pixels.decoded_bytes,
                        plan.source.size_bytes * done // plan.frame_count,
                    )
        return await asyncio.to_thread(writing.finish)


def _runs(plan: Plan, demand: FrameDemand, *, first: int, jobs: int) -> Iterator[FrameRun]:
    frames, pixels = plan.instance.frames, plan.instance.pixels
    assert frames is not None
    assert pixels is not None
    frame_bytes = plan.run_frame_bytes
    cut = plan_runs(frames, pixels=pixels, jobs=jobs, first=first, frame_bytes=frame_bytes)
    return map(plan.run, demand.runs(list(cut)))
