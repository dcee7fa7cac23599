"""Measures transcoding into a scratch folder that is gone afterwards: speed, CPU, memory.

The workers have started and imported what they need before the clock starts.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import uvloop

from ...codecs.quality import Quality
from .abandoning import abandon
from .batch import Failure, Summary, plan_jobs, run_batch
from .byte_budget import ByteBudget
from .frame_run import warm
from .outcome import Outcome
from .plan import Job
from .process_tree import Footprint, cpu_seconds
from .verification import Verify
from .worker_pool import WorkerPool

__all__ = ["TranscodeFigures", "TranscodeWork", "measure_transcode"]

_BUDGET_BYTES = 192 << 20


@dataclass(frozen=True, slots=True)
class TranscodeWork:
    """What to transcode, and to what; no file is begun after `limit_s`."""

    sources: tuple[Path, ...]
    target_uid: str
    verify: Verify = "independent"
    quality: Quality | None = None
    limit_s: float = 120.0
    scratch: Path | None = None


@dataclass(frozen=True, slots=True)
class TranscodeFigures:
    """What `jobs` workers did in `seconds`.

    `cpu_s` and `peak_bytes` (PSS) are those of all processes together; `memory` is (seconds,
    bytes) over the time. `complete` says that every file was done, `interrupted` that
    the user had enough.
    """

    jobs: int
    seconds: float
    cpu_s: float
    peak_bytes: int
    memory: tuple[tuple[float, int], ...]
    files: int
    frames: int
    pixel_bytes: int
    bytes_in: int
    bytes_out: int
    failures: tuple[Failure, ...]
    complete: bool
    interrupted: bool = False

    @property
    def mb_per_s(self) -> float:
        """MB of uncompressed pixels a second."""
        return self.pixel_bytes / 1e6 / self.seconds if self.seconds else 0.0

    @property
    def files_per_s(self) -> float:
        return self.files / self.seconds if self.seconds else 0.0

    @property
    def cpu_s_per_gb(self) -> float | None:
        """Seconds of CPU for each GB of uncompressed pixels; None where there were none."""
        return self.cpu_s / (self.pixel_bytes / 1e9) if self.pixel_bytes else None


def measure_transcode(
    work: TranscodeWork, *, jobs: int, on_progress: Callable[[int, int], None]
) -> TranscodeFigures:
    """Transcode everything once with `jobs` workers; Ctrl-C ends it with what was done.

    Raises
    ------
    UsageError
        A source does not exist.
    """
    with (
        tempfile.TemporaryDirectory(prefix="mersey-bench-", dir=work.scratch) as folder,
        WorkerPool(jobs=jobs) as pool,
    ):
        target = Path(folder, "out")
        target.mkdir()
        plans = list(
            plan_jobs(
                work.sources,
                target,
                target_uid=work.target_uid,
                verify=work.verify,
                quality=work.quality,
            )
        )
        for begun in [pool.submit(warm) for _ in range(2 * jobs)]:
            begun.result()
        summary, started, cpu_before = Summary(), time.monotonic(), cpu_seconds(os.getpid())
        interrupted = False
        stopped = _Until(plans, end=started + work.limit_s)
        with Footprint(os.getpid()) as footprint:
            try:
                _run(stopped, pool, summary, on_progress)
            except KeyboardInterrupt:
                abandon(pool)
                stopped.left = interrupted = True
            seconds = time.monotonic() - started
            cpu_s = cpu_seconds(os.getpid()) - cpu_before
        return TranscodeFigures(
            jobs=jobs,
            seconds=seconds,
            cpu_s=max(cpu_s, 0.0),
            peak_bytes=footprint.peak_bytes,
            memory=tuple(footprint.samples),
            files=summary.files,
            frames=summary.frames,
            pixel_bytes=summary.pixel_bytes,
            bytes_in=summary.bytes_in,
            bytes_out=summary.bytes_out,
            failures=tuple(summary.failures),
            complete=not stopped.left,
            interrupted=interrupted,
        )


class _Until:
    """Jobs until the time is up; `left` says that some were not begun."""

    def __init__(self, jobs: Sequence[Job], *, end: float) -> None:
        self._jobs = jobs
        self._end = end
        self.left = False

    def __iter__(self) -> Iterator[Job]:
        for job in self._jobs:
            if time.monotonic() >= self._end:
                self.left = True
                return
            yield job


def _run(
    jobs: _Until, pool: WorkerPool, summary: Summary, on_progress: Callable[[int, int], None]
) -> None:
    def done(outcome: Outcome | Failure) -> None:
        if isinstance(outcome, Failure):
            summary.files += 1
            summary.failures.append(outcome)
        else:
            summary.add(outcome)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(
            run_batch(
                jobs,
                executor=pool,
                budget=ByteBudget(_BUDGET_BYTES),
                workers=pool.jobs,
                on_progress=on_progress,
                on_done=done,
            )
        )
