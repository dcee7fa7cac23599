"""Latencies of requests, and what is said of many: percentiles, and a histogram.

Percentiles are by nearest rank: each is a latency that some request really had.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ...codecs.errors import UsageError

__all__ = ["Latencies", "percentile"]


def percentile(ordered: Sequence[float], percent: float) -> float:
    """The smallest value that at least `percent` percent of the `ordered` ones do not exceed.

    Raises
    ------
    UsageError
        There are no values, or `percent` is not of 0–100.
    """
    if not ordered:
        raise UsageError("percentiles of nothing")
    if not 0 <= percent <= 100:
        raise UsageError(f"percentile {percent:g}, expected 0–100")
    return ordered[max(math.ceil(len(ordered) * percent / 100) - 1, 0)]


@dataclass(frozen=True, slots=True)
class Latencies:
    """Seconds of every request that was answered, sorted."""

    ordered_s: tuple[float, ...]

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Latencies:
        return cls(tuple(sorted(seconds)))

    @property
    def mean_s(self) -> float:
        return math.fsum(self.ordered_s) / len(self.ordered_s) if self.ordered_s else 0.0

    def summary(self) -> dict[str, float]:
        """Seconds: ``p50``, ``p90``, ``p99``, ``max`` and ``mean``; empty where none came."""
        if not self.ordered_s:
            return {}
        found = {f"p{percent}": percentile(self.ordered_s, percent) for percent in (50, 90, 99)}
        return found | {"max": self.ordered_s[-1], "mean": self.mean_s}
