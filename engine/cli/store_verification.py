"""What `mersey store verify` does: blobs, then the catalogue's blobs, then renditions."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ..archive.catalogue import Catalogue
from ..archive.verifying import Finding, check_blobs, mend, missing_blobs
from ..runtime.worker_pool import WorkerPool
from .count_progress import CountProgress
from .rendition_verification import verify_renditions

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
    bytes_per_s: float | None,
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
                report.renditions = verify_renditions(
                    opened,
                    catalogue,
                    pool,
                    progress,
                    dry_run=dry_run,
                    note=lambda finding: _note(finding, report, progress),
                )
    return report


def _verify_blobs(
    opened: OpenStore,
    catalogue: Catalogue,
    keys: list[str],
    pool: WorkerPool,
    report: Report,
    progress: CountProgress,
    dry_run: bool,
    bytes_per_s: float | None,
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


def _note(finding: Finding, report: Report, progress: CountProgress) -> None:
    report.findings.append(finding)
    where = f" (instance {finding.uid})" if finding.uid else ""
    repair = f": {finding.repair}" if finding.repair else ""
    progress.say(f"{finding.found}: {finding.name}{where}: {finding.message}{repair}")
