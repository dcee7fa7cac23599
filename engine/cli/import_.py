"""`mersey import`: files and folders into the store of a server."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .default_store import default_store
from .options import AsJson, Jobs
from .store_options import CatalogueUrl, ConflictOption, Local, OnConflictOption, Store
from .terminal import count, size

if TYPE_CHECKING:
    from ..archive.ingest import Ingest
    from ..archive.stored import OnConflict
    from ..runtime.importing import Found, ImportSummary
    from ..runtime.intake import Result
    from ..runtime.worker_pool import WorkerPool
    from .progress import TranscodeProgress

__all__ = ["command"]

_COLLECTED_AFTER_S = 3600.0


def command(
    paths: Annotated[
        list[Path], typer.Argument(metavar="FOLDER", help="Folders or files to take in.")
    ],
    store: Store = None,
    local: Local = None,
    catalogue: CatalogueUrl = None,
    on_conflict: OnConflictOption = ConflictOption.reject,
    jobs: Jobs = None,
    as_json: AsJson = False,
) -> None:
    """Take files and folders into the store, as STOW does; a server may run meanwhile.

    Files are copied and never altered. What the store has already, byte for byte, is passed
    over: an interrupted run is begun again with the same command. Files that are not DICOM are
    counted, no more. One line a failed file on stderr; exit code 1 if any failed.
    """
    started = time.monotonic()
    summary = _import(paths, store, local, catalogue, on_conflict.value, jobs)
    seconds = time.monotonic() - started
    if as_json:
        print(json.dumps(_as_json(summary, seconds), indent=2))
    else:
        print(_sentence(summary, seconds))
    if summary.failed:
        raise typer.Exit(1)


def _import(
    paths: Sequence[Path],
    store: str | None,
    local: Path | None,
    catalogue_url: str | None,
    on_conflict: OnConflict,
    jobs: int | None,
) -> ImportSummary:
    import logging

    from ..archive.blob_stores import open_blobs
    from ..archive.catalogues import open_catalogue
    from ..archive.ingest import Ingest
    from ..runtime.importing import find_files
    from ..runtime.worker_pool import WorkerPool
    from .progress import TranscodeProgress
    from .store_opening import store_folder

    logging.getLogger("pydicom").setLevel(logging.CRITICAL)  # it quotes values of patients
    files = list(find_files(paths))
    place = store or str(default_store())
    folder = store_folder(place, local)
    folder.mkdir(parents=True, exist_ok=True)
    blobs = open_blobs(place, local=folder)
    with (
        closing(open_catalogue(folder, catalogue_url, blobs=blobs)) as catalogue,
        WorkerPool(jobs=jobs) as pool,
        TranscodeProgress(
            total_bytes=sum(file.size_bytes for file in files), label="importing"
        ) as progress,
    ):
        blobs.collect(older_than_s=_COLLECTED_AFTER_S)
        ingest = Ingest(blobs, catalogue, on_conflict=on_conflict)
        try:
            return _run(files, ingest, pool, progress)
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _run(
    files: Sequence[Found], ingest: Ingest, pool: WorkerPool, progress: TranscodeProgress
) -> ImportSummary:
    import asyncio

    import uvloop

    from ..archive.examination import Refusal
    from ..runtime.importing import import_files
    from ..runtime.intake import Intake

    def report(file: Found, result: Result | None) -> None:
        progress.advance(file.size_bytes, file.size_bytes)
        if isinstance(result, Refusal):
            progress.say(f"failed: {file.path}: {result.message}")

    async def run() -> ImportSummary:
        intake = Intake(ingest, executor=pool, examiners=pool.jobs)
        async with asyncio.TaskGroup() as group:
            working = group.create_task(intake.run())
            try:
                return await import_files(files, intake, on_done=report)
            finally:
                working.cancel()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(run())


def _as_json(summary: ImportSummary, seconds: float) -> dict[str, Any]:
    return asdict(summary) | {
        "studies": len(summary.studies),
        "seconds": round(seconds, 3),
        "mb_per_s": round(summary.bytes_read / 1e6 / seconds, 1) if seconds else 0.0,
    }


def _sentence(summary: ImportSummary, seconds: float) -> str:
    counts = {
        "there before": summary.same,
        "replaced": summary.replaced,
        "kept as they were": summary.kept,
        "not DICOM": summary.other,
        "failed": summary.failed,
    }
    parts = [f"{summary.new:,} new"]
    parts += [f"{number:,} {name}" for name, number in counts.items() if number]
    speed = summary.bytes_read / 1e6 / seconds if seconds else 0.0
    studies = count(len(summary.studies), "study", "studies")
    return (
        f"{count(summary.files, 'file')} of {studies}: {', '.join(parts)}; "
        f"{size(summary.bytes_read)} in {seconds:.1f} s, {speed:.0f} MB/s"
    )
