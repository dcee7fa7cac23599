"""What a process and all its children take: memory as PSS, and time of the CPU.

Read from /proc. PSS counts a page that several processes share once, split among them, so the
sum over a tree is what the machine gave (proc_pid_smaps(5)). A process that is gone counts
nothing; the time of one that ended counts for the parent that waited for it.
"""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import Self

__all__ = ["Footprint", "cpu_seconds", "process_tree", "pss_bytes"]

_EVERY_S = 0.05
_MOST_SAMPLES = 1000
_PARENT, _TIMES = 1, slice(11, 15)
"""Fields of /proc/PID/stat counted from the state, which follows the name (proc_pid_stat(5))."""


def process_tree(process_id: int) -> tuple[int, ...]:
    """The process and everything that descends from it."""
    children: dict[int, list[int]] = {}
    for entry in os.scandir("/proc"):
        if entry.name.isdecimal() and (fields := _stat(int(entry.name))):
            children.setdefault(int(fields[_PARENT]), []).append(int(entry.name))
    found = [process_id]
    for parent in found:
        found += children.get(parent, ())
    return tuple(found)


def pss_bytes(process_id: int) -> int:
    """The memory that a process tree takes now."""
    total = 0
    for one in process_tree(process_id):
        try:
            rollup = Path(f"/proc/{one}/smaps_rollup").read_text(encoding="ascii")
        except OSError:
            continue
        for line in rollup.splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1]) * 1024
    return total


def cpu_seconds(process_id: int) -> float:
    """User and system time of a process tree so far, ended children included."""
    ticks = 0
    for one in process_tree(process_id):
        if fields := _stat(one):
            ticks += sum(map(int, fields[_TIMES]))
    return ticks / os.sysconf("SC_CLK_TCK")


def _stat(process_id: int) -> list[str]:
    try:
        text = Path(f"/proc/{process_id}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    return text.rpartition(")")[2].split()


class Footprint:
    """Watches a process tree while the block runs: memory over time, and its peak.

    `samples` are (seconds since the start, bytes). At most a thousand are kept: where more come,
    every other one goes and half as many are taken from then on.
    """

    def __init__(self, process_id: int) -> None:
        self.peak_bytes = 0
        self.samples: list[tuple[float, int]] = []
        self._process_id = process_id
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="mersey-footprint", daemon=True)

    def __enter__(self) -> Self:
        self._started = time.monotonic()
        self._sample()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        every_s = _EVERY_S
        while not self._done.wait(every_s):
            self._sample()
            if len(self.samples) >= _MOST_SAMPLES:
                del self.samples[::2]
                every_s *= 2

    def _sample(self) -> None:
        taken = pss_bytes(self._process_id)
        self.peak_bytes = max(self.peak_bytes, taken)
        self.samples.append((time.monotonic() - self._started, taken))
