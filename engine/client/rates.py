"""How fast bytes go, and how fast they may: a meter, and a token bucket for `--limit-rate`.

Rates and times as people write them are read here, too.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import deque
from collections.abc import Awaitable, Callable

from ...codecs.errors import UsageError

__all__ = ["Meter", "RateLimit", "parse_rate", "parse_time"]

_WINDOW_S = 5.0
_BURST_S = 0.1
_LEAST_BURST_BYTES = 32 << 10
_RATE = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,6})?)\s*([a-z]*?)(?:/s|ps)?", re.IGNORECASE)
_TIME = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)\s*(ms|s)")
_UNITS = {"": 1.0, "b": 1.0, "bit": 0.125}
_PREFIXES = {"": 1.0, "k": 1e3, "m": 1e6, "g": 1e9, "ki": 1024.0, "mi": 1024.0**2, "gi": 1024.0**3}


def parse_rate(text: str) -> float:
    """Bytes a second from ``20mbit``, ``2.5MB``, ``500kB/s``, ``1MiB``, ``4096``.

    A letter alone is a prefix of bytes, as of curl and rsync: ``5M`` is 5 MB/s.

    Raises
    ------
    UsageError
        It is no rate above nothing.
    """
    found = _RATE.fullmatch(text.strip())
    if found is not None:
        unit = found[2].lower()
        for ending in ("bit", "b", ""):
            prefix = unit.removesuffix(ending)
            if unit.endswith(ending) and prefix in _PREFIXES:
                rate = float(found[1]) * _PREFIXES[prefix] * _UNITS[ending]
                if rate > 0:
                    return rate
                break
    raise UsageError(f"{text!r} is no rate, as in 20mbit or 2.5MB")


def parse_time(text: str) -> float:
    """Seconds from ``40ms`` or ``0.1s``.

    Raises
    ------
    UsageError
        It is no time.
    """
    found = _TIME.fullmatch(text.strip())
    if found is None:
        raise UsageError(f"{text!r} is no time, as in 40ms or 0.1s")
    return float(found[1]) * (1e-3 if found[2] == "ms" else 1.0)


class RateLimit:
    """A token bucket of `bytes_per_s`, shared by all connections of one event loop."""

    def __init__(
        self,
        bytes_per_s: float | None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.bytes_per_s = bytes_per_s
        self._clock = clock
        self._sleep = sleep
        self._burst = max((bytes_per_s or 0) * _BURST_S, _LEAST_BURST_BYTES)
        self._held = self._burst
        self._filled_s = clock()

    async def take(self, length_bytes: int) -> None:
        """Wait until `length_bytes` may have passed; whoever takes more than is there waits."""
        if self.bytes_per_s is None:
            return
        now = self._clock()
        self._held = min(self._burst, self._held + (now - self._filled_s) * self.bytes_per_s)
        self._filled_s = now
        self._held -= length_bytes
        if self._held < 0:
            await self._sleep(-self._held / self.bytes_per_s)


class Meter:
    """Counts bytes; says how many a second there were of late."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._started_s = clock()
        self._marks: deque[tuple[float, int]] = deque([(self._started_s, 0)])
        self.total_bytes = 0

    def add(self, length_bytes: int) -> None:
        """Count bytes that went by just now."""
        self.total_bytes += length_bytes
        now = self._clock()
        if now - self._marks[-1][0] >= _WINDOW_S / 50:
            self._marks.append((now, self.total_bytes))
        while len(self._marks) > 2 and now - self._marks[1][0] > _WINDOW_S:
            self._marks.popleft()

    @property
    def bytes_per_s(self) -> float:
        """Over the last seconds."""
        begun_s, before = self._marks[0]
        passed_s = self._clock() - begun_s
        return (self.total_bytes - before) / passed_s if passed_s > 0 else 0.0

    def left_s(self, left_bytes: int) -> float | None:
        """How long `left_bytes` take at that speed; None where nothing moves."""
        speed = self.bytes_per_s
        return left_bytes / speed if speed > 0 else None
