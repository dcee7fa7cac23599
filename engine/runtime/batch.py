"""Transcode many files: what fails costs itself alone, the rest goes on.

`plan_jobs` finds the files, `run_batch` does them.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path

from ...codecs.errors import MerseyError, UsageError
from ...codecs.quality import Quality
from ..archive.part_file import is_part_file
from .byte_budget import ByteBudget
from .outcome import Outcome
from .plan import Job
from .transcode import OnProgress, transcode_file
from .verification import Verify

__all__ = ["Failure", "Summary", "plan_jobs", "run_batch"]


@dataclass(frozen=True, slots=True)
class Failure:
    """One file that could not be done, and why."""

    source: str
    error: str
    kind: str


@dataclass(slots=True)
class Summary:
    """What a batch did. Bytes count files; `pixel_bytes` counts decoded frames."""

    files: int = 0
    transcoded: int = 0
    copied: int = 0
    kept: int = 0
    skipped: int = 0
    lossy: int = 0
    frames: int = 0
    resumed_frames: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    pixel_bytes: int = 0
    seconds: float = 0.0
    failures: list[Failure] = field(default_factory=list)

    def add(self, outcome: Outcome) -> None:
        setattr(self, outcome.action, getattr(self, outcome.action) + 1)
        self.files += 1
        self.lossy += outcome.lossy
        self.frames += outcome.frames
        self.resumed_frames += outcome.resumed_frames
        self.bytes_in += outcome.bytes_in
        self.bytes_out += outcome.bytes_out
        self.pixel_bytes += outcome.pixel_bytes

    @property
    def mb_per_s(self) -> float:
        """MB of decoded frames that were transcoded, a second."""
        return self.pixel_bytes / 1e6 / self.seconds if self.seconds else 0.0


def plan_jobs(
    sources: Sequence[Path],
    target: Path,
    *,
    target_uid: str,
    verify: Verify,
    quality: Quality | None = None,
) -> Iterator[Job]:
    """The jobs for files and folders, in a stable order.

    The files of a folder go to the same relative paths under `target`. A single file goes to
    the file `target`, or into it where it is a folder.

    Raises
    ------
    UsageError
        A source does not exist, or two sources would go to one target.
    """
    into_folder = target.is_dir() or len(sources) > 1 or sources[0].is_dir()
    if into_folder and target.exists() and not target.is_dir():
        raise UsageError(f"{target} is a file, expected a folder for these sources")
    seen: dict[Path, Path] = {}
    for source in sources:
        for path, relative in _files(source):
            goal = target / relative if into_folder else target
            if goal in seen:
                raise UsageError(f"{seen[goal]} and {path} would both go to {goal}")
            seen[goal] = path
            yield Job(str(path), str(goal), target_uid, verify, quality)


def _files(source: Path) -> Iterator[tuple[Path, Path]]:
    if source.is_file():
        yield source, Path(source.name)
        return
    if not source.is_dir():
        raise UsageError(f"{source} does not exist")
    for folder, folders, names in os.walk(source):
        folders.sort()
        for name in sorted(names):
            path = Path(folder, name)
            if path.is_file() and not is_part_file(path):
                yield path, path.relative_to(source)


async def run_batch(
    jobs: Iterable[Job],
    *,
    executor: Executor,
    budget: ByteBudget,
    workers: int,
    overwrite: bool = False,
    on_progress: OnProgress | None = None,
    on_done: Callable[[Outcome | Failure], None] | None = None,
) -> Summary:
    """Do all jobs, a few files at a time. Cancellation leaves part files to go on from."""
    summary = Summary()
    started = time.monotonic()
    pending = iter(jobs)

    async def take_files() -> None:
        for job in pending:
            try:
                outcome = await transcode_file(
                    job,
                    executor=executor,
                    budget=budget,
                    jobs=workers,
                    overwrite=overwrite,
                    on_progress=on_progress,
                )
            except (MerseyError, OSError) as error:
                failure = Failure(job.source, str(error), type(error).__name__)
                summary.files += 1
                summary.failures.append(failure)
                done: Outcome | Failure = failure
            else:
                summary.add(outcome)
                done = outcome
            if on_done is not None:
                on_done(done)

    async with asyncio.TaskGroup() as group:
        for _ in range(2 * workers):
            group.create_task(take_files())
    summary.seconds = time.monotonic() - started
    return summary
