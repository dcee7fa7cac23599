"""What `mersey store verify` does: blobs, then the catalogue's blobs, then renditions."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ...codecs.errors import MerseyError
from ..archive.catalogue import Catalogue
from ..archive.entry import Entry
from ..archive.renditions import RenditionStore
from ..archive.store_folder import RENDITIONS
from ..archive.verifying import Finding, check_blobs, mend, missing_blobs, submit_in_order
from ..runtime.rendition_check import RenditionCheck, check_rendition
from ..runtime.worker_pool import WorkerPool
from ..web.rendition_forms import possible_renditions
from .count_progress import CountProgress

if TYPE_CHECKING:
    from .store_opening import OpenStore

__all__ = ["Report", "verify_store"]


@dataclass(slots=True)
class Report:
    """What was verified and found; `next_key` is where a run that was cut short goes on."""

    blobs: int = 0
    blob_bytes: int = 0
    renditions: int = 0
    next_key: str = ""
    findings: list[Finding] = field(default_factory=list)


def verify_store(
    opened: OpenStore,
    catalogue: Catalogue,
    *,
    dry_run: bool,
    renditions: bool,
    start: str,
    bytes_per_s: int | None,
    jobs: int | None,
) -> Report:
    """Verify everything, from the blob of key `start` on, and repair unless `dry_run`."""
    report = Report()
    with WorkerPool(jobs=jobs) as pool:
        every = opened.blobs.keys()
        keys = sorted(key for key in every if key >= start)
        with CountProgress("blobs", total=len(keys)) as progress:
            _verify_blobs(opened, catalogue, keys, pool, report, progress, dry_run, bytes_per_s)
        with CountProgress("catalogue") as progress:
            for finding in missing_blobs(opened.blobs, catalogue):
                if not any(one.name == finding.name for one in report.findings):
                    _note(finding, report, progress)
        if renditions:
            with CountProgress("renditions") as progress:
                _verify_renditions(opened, catalogue, pool, report, progress, dry_run)
    return report


def _verify_blobs(
    opened: OpenStore,
    catalogue: Catalogue,
    keys: list[str],
    pool: WorkerPool,
    report: Report,
    progress: CountProgress,
    dry_run: bool,
    bytes_per_s: int | None,
) -> None:
    checks = check_blobs(
        opened.blobs, catalogue, keys, describe=opened.describe(pool), ahead=2 * pool.jobs
    )
    started = time.monotonic()
    for checked in checks:
        report.blobs += 1
        report.blob_bytes += checked.size_bytes
        report.next_key = checked.key
        repairs = [] if dry_run else mend(checked, opened.blobs, catalogue)
        for at, finding in enumerate(checked.findings):
            repair = repairs[at] if repairs else ""
            _note(replace(finding, repair=repair), report, progress)
        progress.advance(1, checked.size_bytes)
        if bytes_per_s is not None:
            due = started + report.blob_bytes / bytes_per_s
            time.sleep(max(0.0, due - time.monotonic()))
    report.next_key = ""


@dataclass(frozen=True, slots=True)
class _Stored:
    """A rendition that there is."""

    key: str
    path: str
    entry: Entry


def _verify_renditions(
    opened: OpenStore,
    catalogue: Catalogue,
    pool: WorkerPool,
    report: Report,
    progress: CountProgress,
    dry_run: bool,
) -> None:
    store = RenditionStore(opened.folder / RENDITIONS)
    found = _renditions(store, catalogue.every_entry())

    def submit(one: _Stored) -> Future[str]:
        pixels = one.entry.instance.pixels
        pixel_bytes = 0 if pixels is None else pixels.decoded_bytes * one.entry.frame_count
        path = _local_path(opened, one.entry)
        work = RenditionCheck(one.path, path, pixel_bytes)
        return pool.submit_within(work.time_limit_s, check_rendition, work)

    for one, future in submit_in_order(found, submit, ahead=2 * pool.jobs):
        report.renditions += 1
        uid = one.entry.instance.sop_instance_uid
        try:
            message = future.result()
        except (MerseyError, OSError) as error:
            progress.say(f"not verified: the rendition {one.key} of instance {uid}: {error}")
            continue
        finally:
            progress.advance()
        if message:
            if not dry_run:
                store.drop(one.key)
            repair = "" if dry_run else "dropped, to be made again"
            _note(Finding("rendition", one.key, message, uid, repair), report, progress)


def _local_path(opened: OpenStore, entry: Entry) -> str:
    if not entry.blob_key:
        return entry.path
    path = opened.blobs.path_of(entry.blob_key)
    if path is None:
        return ""  # remote: its digests are verified, and told as such
    return path


def _renditions(store: RenditionStore, entries: Iterable[Entry]) -> Iterator[_Stored]:
    for entry in entries:
        for key in possible_renditions(entry):
            path = store.path_of(key)
            if path.exists():
                yield _Stored(key, str(path), entry)


def _note(finding: Finding, report: Report, progress: CountProgress) -> None:
    report.findings.append(finding)
    where = f" (instance {finding.uid})" if finding.uid else ""
    repair = f": {finding.repair}" if finding.repair else ""
    progress.say(f"{finding.found}: {finding.name}{where}: {finding.message}{repair}")
