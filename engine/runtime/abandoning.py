"""Giving up on a pool at once: nothing waits, what runs is killed."""

from __future__ import annotations

import os
import signal
from contextlib import suppress

from .worker_pool import WorkerPool

__all__ = ["abandon"]


def abandon(pool: WorkerPool) -> None:
    """Cancel what waits, kill the workers; calls that ran end with WorkerError."""
    pool.shutdown(wait=False, cancel_futures=True)
    for process_id in pool.process_ids:
        with suppress(ProcessLookupError):
            os.kill(process_id, signal.SIGKILL)
    pool.shutdown(wait=True)
