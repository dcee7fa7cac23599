"""Memory of a process and all its children, as PSS: what they really take together.

PSS counts a shared page once, split among those that share it, so the sum over processes is
what the machine gave. Sampled by a thread; the peak is what counts.
"""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Self

import psutil

__all__ = ["Footprint", "process_tree", "pss_bytes"]

_EVERY_S = 0.05
_SHARE = 0.01  # of a core, at most


def process_tree(process_id: int) -> list[psutil.Process]:
    """A process and all below it; none where it is gone."""
    try:
        root = psutil.Process(process_id)
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def pss_bytes(process_id: int) -> int:
    """The PSS of one process tree; a process that is gone counts nothing."""
    total = 0
    for process in process_tree(process_id):
        try:
            rollup = Path(f"/proc/{process.pid}/smaps_rollup").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        for line in rollup.splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1]) * 1024
    return total


class Footprint:
    """Watches a process tree while the block runs; `peak_bytes` is what it took at most.

    A block that ends within `after_s` is not watched at all.
    """

    def __init__(self, process_id: int, *, after_s: float = 0.0) -> None:
        self.peak_bytes = 0
        self._after_s = after_s
        self._process_id = process_id
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        if self._after_s and self._done.wait(self._after_s):
            return
        while True:
            started = time.thread_time()
            self.peak_bytes = max(self.peak_bytes, pss_bytes(self._process_id))
            # The kernel walks every page for it: where there are many, it is asked less often.
            if self._done.wait(max(_EVERY_S, (time.thread_time() - started) / _SHARE)):
                return
