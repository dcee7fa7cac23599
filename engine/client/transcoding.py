"""`transcode`: files and folders into another transfer syntax, in one call."""

from __future__ import annotations

from collections.abc import Callable
from os import PathLike
from pathlib import Path

from ...codecs.quality import Quality
from ...codecs.registry import resolve_target
from ..runtime.batch import Summary, plan_jobs, run_batch
from ..runtime.byte_budget import ByteBudget
from ..runtime.rearranging import PROGRESSIVE
from ..runtime.verification import Verify
from ..runtime.worker_pool import WorkerPool
from .background import run_sync

__all__ = ["transcode"]

_BUDGET_BYTES = 256 << 20


def transcode(
    source: str | PathLike[str],
    target: str | PathLike[str],
    *,
    to: str = "htj2k-rpcl",
    quality: str | None = None,
    verify: Verify = "independent",
    jobs: int | None = None,
    overwrite: bool = False,
    on_progress: Callable[[int, int], None] | None = None,
) -> Summary:
    """Transcode a file or a folder; what was interrupted goes on where it stopped.

    Parameters
    ----------
    to
        The name or UID of a transfer syntax, or ``progressive``.
    quality
        What a lossy target aims at: ``psnr:45`` (dB) or ``ratio:8``.
    verify
        ``off``, ``self`` or ``independent``: by which decoder results are compared.
    jobs
        Worker processes; None: as many as there are cores.
    overwrite
        Write targets anew that are there already.
    on_progress
        Called with what was done since the last call: bytes of decoded frames, and of sources.

    Returns
    -------
    Summary
        What was done. A file that cannot be is among its ``failures``; the others are done.

    Raises
    ------
    UsageError
        `source` does not exist, `to` is no transfer syntax that can be written, or `quality`
        does not go with it.

    Examples
    --------
    >>> def make_progressive(folder, out):
    ...     summary = transcode(folder, out)
    ...     assert not summary.failures
    ...     return summary.transcoded
    """
    aim = None if quality is None else Quality.parse(quality)
    target_uid = to if to == PROGRESSIVE else resolve_target(to)
    work = list(
        plan_jobs([Path(source)], Path(target), target_uid=target_uid, verify=verify, quality=aim)
    )
    with WorkerPool(jobs=jobs) as pool:
        return run_sync(
            run_batch(
                work,
                executor=pool,
                budget=ByteBudget(_BUDGET_BYTES),
                workers=pool.jobs,
                overwrite=overwrite,
                on_progress=on_progress,
            )
        )
