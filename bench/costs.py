"""What a benchmark costs beside time: CPU of this process and of its children, timed parts only.

Children that live on (workers, servers) are asked where the call before took long enough for that
not to disturb it; those that have ended and were waited for are always counted.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import psutil

__all__ = ["Costs", "watch"]

_LONG_S = 0.02


@dataclass(slots=True)
class Costs:
    """CPU seconds of each timed call."""

    cpu_seconds: list[float] = field(default_factory=list)

    @property
    def median_cpu_s(self) -> float | None:
        return statistics.median(self.cpu_seconds) if self.cpu_seconds else None


def watch(benchmark: Any) -> Costs:
    """Have every timed call of a pytest-benchmark fixture counted."""
    costs = Costs()
    make = benchmark._make_runner
    is_long = False

    def make_watched(*args: Any, **kwargs: Any) -> Callable[..., Any]:
        run = make(*args, **kwargs)

        def watched(loops_range: Any, timer: Any = benchmark._timer) -> Any:
            nonlocal is_long
            children = psutil.Process().children(recursive=True) if is_long else []
            before, own, started = _of(children), _own(), time.perf_counter()
            result = run(loops_range, timer)
            used = _own() - own + _of(children) - before
            is_long = time.perf_counter() - started > _LONG_S
            costs.cpu_seconds.append(used / (len(loops_range) if loops_range else 1))
            return result

        return watched

    benchmark._make_runner = make_watched
    return costs


def _own() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _of(processes: list[psutil.Process]) -> float:
    total = 0.0
    for process in processes:
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system
    return total
