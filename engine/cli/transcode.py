"""`mersey transcode`: files and folders into another transfer syntax."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .options import AsJson, Jobs
from .terminal import count
from .transcode_options import LossyAim, TargetName, VerifyOption, chosen_target, parse_aim

if TYPE_CHECKING:
    from ..runtime.batch import Failure, Summary
    from ..runtime.outcome import Outcome
    from .progress import TranscodeProgress

__all__ = ["command"]

_BUDGET_BYTES = 192 << 20


def command(
    paths: Annotated[
        list[Path], typer.Argument(metavar="SRC... DST", help="Files or folders, then the target.")
    ],
    to: TargetName = "htj2k-rpcl",
    quality: LossyAim = None,
    jobs: Jobs = None,
    verify: Annotated[
        VerifyOption,
        typer.Option(
            help="How lossless results are checked: by the codec that made them (self), or by "
            "another implementation (independent). What is rearranged is decoded before and "
            "after; off relies on every packet being accounted for, and is many times as fast."
        ),
    ] = VerifyOption.independent,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Make targets again that exist already.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Transcode files and folders; an interrupted run goes on where it stopped.

    A lossy result is another instance: it gets a SOP Instance UID of its own and says what was
    done to it. Video passes through untouched.

    With --to progressive, J2K and HTJ2K are not decoded: their packets are put in progressive
    order (RPCL, a tile-part for each resolution, TLM). J2K stays J2K; HTJ2K becomes .202 where
    it meets the rules of that. Everything else becomes htj2k-rpcl. Of the codestreams that
    cannot be rearranged, lossless ones are decoded and encoded, others kept as they are.

    Files of a folder land under DST at the same relative paths. Objects without pixels are
    copied byte for byte. One line a failed file on stderr; exit code 1 if any failed.
    """
    if len(paths) < 2:
        raise typer.BadParameter(
            "expected one or more sources and a target", param_hint="SRC... DST"
        )
    from ..runtime.batch import plan_jobs

    aim = parse_aim(quality)
    target_uid = chosen_target(to, aim)
    plans = list(
        plan_jobs(paths[:-1], paths[-1], target_uid=target_uid, verify=verify.value, quality=aim)
    )
    summary = _run(plans, jobs, overwrite=overwrite)
    if as_json:
        print(json.dumps(asdict(summary) | {"mb_per_s": round(summary.mb_per_s, 1)}, indent=2))
    else:
        print(_sentence(summary))
    if summary.failures:
        raise typer.Exit(1)


def _run(plans: list[Any], jobs: int | None, *, overwrite: bool) -> Summary:
    from ..runtime import frame_run, whole_file  # noqa: F401
    from ..runtime.nursery import Nursery

    frame_run.warm()
    nursery = Nursery.forked()  # a worker needs hardly more than what is here by now

    import asyncio

    import uvloop

    from ..runtime.batch import run_batch
    from ..runtime.byte_budget import ByteBudget
    from ..runtime.worker_pool import WorkerPool
    from .progress import TranscodeProgress

    total_bytes = sum(Path(plan.source).stat().st_size for plan in plans)
    with (
        nursery,
        WorkerPool(jobs=jobs, nursery=nursery) as pool,
        TranscodeProgress(total_bytes=total_bytes) as progress,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        try:
            return runner.run(
                run_batch(
                    plans,
                    executor=pool,
                    budget=ByteBudget(_BUDGET_BYTES),
                    workers=pool.jobs,
                    overwrite=overwrite,
                    on_progress=progress.advance,
                    on_done=lambda done: _report(done, progress),
                )
            )
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _report(done: Outcome | Failure, progress: TranscodeProgress) -> None:
    from ..runtime.batch import Failure

    if isinstance(done, Failure):
        progress.say(f"failed: {done.source}: {done.error}")
        return
    for warning in done.warnings:
        progress.say(f"note: {done.source}: {warning}")
    if done.action == "kept":
        progress.say(f"kept as it is: {done.source}: {done.reason}")


def _sentence(summary: Summary) -> str:
    parts = [f"{summary.transcoded} transcoded"]
    counts = {
        "copied": summary.copied,
        "kept": summary.kept,
        "skipped": summary.skipped,
        "failed": len(summary.failures),
    }
    if summary.lossy:
        parts[0] += f" ({summary.lossy} with loss)"
    frames = count(summary.frames, "frame")
    parts.extend(f"{number} {name}" for name, number in counts.items() if number)
    ratio = f", {summary.bytes_in / 1e6:.1f} MB in, {summary.bytes_out / 1e6:.1f} MB out"
    speed = f" in {summary.seconds:.1f} s, {summary.mb_per_s:.0f} MB/s of pixels"
    return f"{count(summary.files, 'file')}: {', '.join(parts)}; {frames}{ratio}{speed}"
