"""What `mersey store rebuild` does, and `mersey serve` where the catalogue was lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..archive.rebuilding import Rebuilt, rebuild
from ..runtime.worker_pool import WorkerPool
from .count_progress import CountProgress

if TYPE_CHECKING:
    from .store_opening import OpenStore

__all__ = ["rebuild_store"]


def rebuild_store(opened: OpenStore, catalogue: str | None, *, jobs: int | None) -> Rebuilt:
    """Make the catalogue, at its URL or in the store, from the blobs; say which cannot be read."""
    with WorkerPool(jobs=jobs) as pool, CountProgress("rebuilding") as progress:
        done = rebuild(
            opened.blobs,
            opened.folder,
            catalogue,
            describe=opened.describe(pool),
            ahead=2 * pool.jobs,
            on_progress=progress.advance,
        )
        for key, message in done.unread:
            progress.say(f"not in the catalogue: blob {key}: {message}")
    return done
