"""`mersey bench transcode`: files and folders into another transfer syntax, and away again."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .bench_options import Report, parse_numbers
from .options import AsJson
from .transcode_options import LossyAim, TargetName, VerifyOption, chosen_target, parse_aim

if TYPE_CHECKING:
    from ..runtime.transcode_bench import TranscodeFigures, TranscodeWork
    from .bench_result import Result

__all__ = ["command"]

_HEAD = (
    "jobs",
    "MB/s",
    "files/s",
    "seconds",
    "files",
    "MB pixels",
    "MB in",
    "MB out",
    "CPU s/GB",
    "peak MB",
)
_MOST_JOBS = 1024


def command(
    paths: Annotated[list[Path], typer.Argument(metavar="FOLDER", help="Files and folders.")],
    *,
    to: TargetName = "htj2k-rpcl",
    quality: LossyAim = None,
    jobs: Annotated[
        str | None,
        typer.Option(
            metavar="N,N,...",
            help="Worker processes, one run for each number.",
            show_default="one a core",
        ),
    ] = None,
    verify: Annotated[
        VerifyOption, typer.Option(help="How lossless results are checked: part of the time.")
    ] = VerifyOption.independent,
    limit: Annotated[
        float,
        typer.Option(min=0.01, metavar="SECONDS", help="Begin no file after so long, each run."),
    ] = 120.0,
    scratch: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="On the disk to write to; what is written there is removed again.",
            show_default="the system's temporary folder",
        ),
    ] = None,
    as_json: AsJson = False,
    report: Report = None,
) -> None:
    """Measure transcoding of your files, results written and verified, then removed.

    MB/s is MB (1,000,000 bytes) of uncompressed pixels that were transcoded, a second; CPU s/GB
    the seconds of all processes' CPU for each GB of them. "peak MB" is the memory of all
    processes together at its most (PSS: shared pages count once). "MB in" and "MB out" are
    files. Files that are copied because they have no frames, or are in the target syntax
    already, count as files, not as pixels. Workers are started before the clock is.

    Exit code 1 if a file failed.
    """
    import os

    from ..runtime.transcode_bench import TranscodeWork
    from .bench_giving import check_report, give

    check_report(report)
    aim = parse_aim(quality)
    target_uid = chosen_target(to, aim)
    text = jobs or str(len(os.sched_getaffinity(0)))
    counts = parse_numbers(text, option="--jobs", most=_MOST_JOBS)
    work = TranscodeWork(tuple(paths), target_uid, verify.value, aim, limit, scratch)
    give(_measure(work, to, counts), as_json=as_json, report=report)


def _measure(work: TranscodeWork, to: str, counts: tuple[int, ...]) -> Result:
    from ..runtime.batch import plan_jobs
    from ..runtime.transcode_bench import measure_transcode
    from .bench_progress import BenchProgress
    from .bench_result import Result

    planned = plan_jobs(work.sources, Path(), target_uid=work.target_uid, verify=work.verify)
    total_bytes = max(sum(Path(job.source).stat().st_size for job in planned), 1)
    found: list[TranscodeFigures] = []
    result = Result("mersey bench transcode", {"to": to, "verify": work.verify})
    with BenchProgress(steps=len(counts)) as progress:
        for step, jobs in enumerate(counts):
            done_bytes = 0

            def advance(_: int, source_bytes: int, step: int = step, jobs: int = jobs) -> None:
                nonlocal done_bytes
                done_bytes += source_bytes
                progress.at(step, _words(jobs), part=done_bytes / total_bytes)

            progress.at(step, _words(jobs))
            try:
                found.append(measure_transcode(work, jobs=jobs, on_progress=advance))
            except KeyboardInterrupt:
                result.interrupted = True
                break
            if found[-1].interrupted:
                result.interrupted = True
                break
    _add(result, to, found)
    return result


def _words(jobs: int) -> str:
    return f"transcoding, {jobs} {'job' if jobs == 1 else 'jobs'}"


def _add(result: Result, to: str, found: list[TranscodeFigures]) -> None:
    from .bench_result import Plot, Table
    from .terminal import printable

    result.data["runs"] = [_record(one) for one in found]
    result.failed = any(one.failures for one in found)
    rows = tuple(_row(one) for one in found)
    caption = f"transcoding to {to}"
    result.tables.append(Table(caption, _HEAD, rows, frozenset(range(len(_HEAD)))))
    for one in found:
        if not one.complete and not one.interrupted:
            result.notes.append(f"{one.jobs} jobs: time was up before all files were done")
    failures = {one.source: one.error for run in found for one in run.failures}
    result.notes += [f"failed: {printable(path)}: {why}" for path, why in failures.items()]
    if not found:
        return
    from .bench_plots import draw_lines

    memory = {
        _words(one.jobs): [(second, taken / 1e6) for second, taken in one.memory] for one in found
    }
    result.plots.append(
        Plot(
            "memory of all processes over time (PSS)",
            lambda: draw_lines(memory, x="seconds", y="MB"),
        )
    )
    if len(found) > 1:
        speeds = {"MB/s": [(float(one.jobs), one.mb_per_s) for one in found]}
        result.plots.append(
            Plot(
                "throughput against workers",
                lambda: draw_lines(
                    speeds,
                    x="jobs",
                    y="MB/s of uncompressed pixels",
                    places=[float(one.jobs) for one in found],
                ),
            )
        )


def _record(one: TranscodeFigures) -> dict[str, Any]:
    return asdict(one) | {
        "mb_per_s": one.mb_per_s,
        "files_per_s": one.files_per_s,
        "cpu_s_per_gb": one.cpu_s_per_gb,
    }


def _row(one: TranscodeFigures) -> tuple[str, ...]:
    return (
        str(one.jobs),
        f"{one.mb_per_s:,.1f}",
        f"{one.files_per_s:,.1f}",
        f"{one.seconds:.2f}",
        f"{one.files:,}",
        f"{one.pixel_bytes / 1e6:,.1f}",
        f"{one.bytes_in / 1e6:,.1f}",
        f"{one.bytes_out / 1e6:,.1f}",
        "–" if one.cpu_s_per_gb is None else f"{one.cpu_s_per_gb:,.1f}",
        f"{one.peak_bytes / 1e6:,.0f}",
    )
