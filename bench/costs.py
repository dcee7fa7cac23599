"""What a benchmark costs beside time: CPU and memory of this process and of its children.

CPU is of the timed parts only. Children that live on (workers, servers) are asked where the call
before took long enough for that not to disturb it; those that have ended and were waited for are
always counted. Memory is what this process took at most, or where more, what all of them took
together in a call that was long enough to be watched. It holds what the benchmark itself holds.
"""

from __future__ import annotations

import os
import resource
import statistics
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from footprint import Footprint

__all__ = ["Costs", "watch"]

_LONG_S = 0.02
_WATCHED_S = 0.1


@dataclass(slots=True)
class Costs:
    """CPU seconds of each timed call, and what all processes took at most."""

    cpu_seconds: list[float] = field(default_factory=list)
    watched_bytes: int = 0

    @property
    def median_cpu_s(self) -> float | None:
        return statistics.median(self.cpu_seconds) if self.cpu_seconds else None

    @property
    def peak_bytes(self) -> int:
        """To be asked when the last call has ended."""
        return max(self.watched_bytes, _peak_of_this())


def watch(benchmark: Any) -> Costs:
    """Have every timed call of a pytest-benchmark fixture counted."""
    costs = Costs()
    _forget_peak()
    make = benchmark._make_runner
    is_long = False

    def make_watched(*args: Any, **kwargs: Any) -> Callable[..., Any]:
        run = make(*args, **kwargs)

        def watched(loops_range: Any, timer: Any = benchmark._timer) -> Any:
            nonlocal is_long
            children = psutil.Process().children(recursive=True) if is_long else []
            before, own, started = _of(children), _own(), time.perf_counter()
            if is_long or not costs.cpu_seconds:
                with Footprint(os.getpid(), after_s=_WATCHED_S) as footprint:
                    result = run(loops_range, timer)
                costs.watched_bytes = max(costs.watched_bytes, footprint.peak_bytes)
            else:
                result = run(loops_range, timer)
            used = _own() - own + _of(children) - before
            is_long = time.perf_counter() - started > _LONG_S
            costs.cpu_seconds.append(used / (len(loops_range) if loops_range else 1))
            return result

        return watched

    benchmark._make_runner = make_watched
    return costs


def _own() -> float:
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + ended.ru_utime + ended.ru_stime


def _forget_peak() -> None:
    with suppress(OSError):  # then the peak is that of all benchmarks so far
        Path("/proc/self/clear_refs").write_text("5")


def _peak_of_this() -> int:
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) << 10 for line in status.splitlines() if "VmHWM" in line)


def _of(processes: list[psutil.Process]) -> float:
    total = 0.0
    for process in processes:
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system
    return total
