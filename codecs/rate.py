"""The search for the quantisation step that meets a Quality with the fewest bytes.

Pure: it is told how to encode and how to judge, and calls both a bounded number of times.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from .quality import Quality

__all__ = ["Trial", "search_step"]

_FINEST, _COARSEST = 2.0**-20, 2.0**-1
_MAX_TRIALS = 16
_CLOSE_DB = 0.1
_CLOSE_RATIO = 0.01


@dataclass(frozen=True, slots=True)
class Trial:
    """One encoding: what came out and how good it is."""

    data: bytes
    ratio: float
    psnr_db: float


def search_step(
    encode: Callable[[float], bytes],
    judge: Callable[[bytes], float],
    *,
    quality: Quality,
    raw_bytes: int,
    first_step: float,
) -> Trial:
    """The coarsest encoding found that keeps `quality`; for a ratio, the finest that does.

    Both PSNR and ratio run steadily with the logarithm of the step, but for small jumps, so
    a bracketed secant closes in on the aim; the answer is always a trial that was judged and
    keeps the aim, never an interpolation. Deterministic.

    Parameters
    ----------
    encode
        The encoded bytes at a quantisation step (a fraction of full scale).
    judge
        The PSNR in dB of what those bytes decode to.
    raw_bytes
        The uncompressed size, for the ratio.
    first_step
        A guess; a good one saves trials.
    """
    search = _Search(encode, judge, quality, raw_bytes)
    fine, coarse = math.log2(_FINEST), math.log2(_COARSEST)
    position = min(max(math.log2(first_step), fine), coarse)
    lower: tuple[float, float] | None = None
    upper: tuple[float, float] | None = None
    for _ in range(_MAX_TRIALS):
        excess = search.try_step(2.0**position)
        if 0 <= excess <= search.close:
            break
        # A finer step helps the PSNR and hurts the ratio: `excess` falls with one, rises
        # with the other, and `gain` brings both to "too fine below, too coarse above".
        gain = excess if quality.psnr_db is not None else -excess
        if gain > 0:
            lower = (position, gain)
        else:
            upper = (position, gain)
        position = _next(position, lower, upper, fine=fine, coarse=coarse)
        if position in search.seen:
            break
    return search.result()


class _Search:
    """The trials of one search, the best of them, and how far each was from the aim."""

    def __init__(
        self,
        encode: Callable[[float], bytes],
        judge: Callable[[bytes], float],
        quality: Quality,
        raw_bytes: int,
    ) -> None:
        self._encode, self._judge = encode, judge
        self._quality, self._raw_bytes = quality, raw_bytes
        self._best: tuple[float, bytes] | None = None
        self._fallback: tuple[float, bytes] | None = None
        self.close = _CLOSE_DB if quality.psnr_db is not None else _CLOSE_RATIO
        self.seen: set[float] = set()

    def try_step(self, step: float) -> float:
        """How far past the aim this step is: in dB, or in octaves of the ratio."""
        self.seen.add(math.log2(step))
        data = self._encode(step)
        if self._quality.psnr_db is not None:
            excess = self._judge(data) - self._quality.psnr_db
        else:
            assert self._quality.ratio is not None
            excess = math.log2(self._raw_bytes / len(data) / self._quality.ratio)
        if excess >= 0 and (self._best is None or excess < self._best[0]):
            self._best = (excess, data)
        if self._fallback is None or excess > self._fallback[0]:
            self._fallback = (excess, data)
        return excess

    def result(self) -> Trial:
        chosen = self._best or self._fallback
        assert chosen is not None
        data = chosen[1]
        return Trial(data, self._raw_bytes / len(data), self._judge(data))


def _next(
    position: float,
    lower: tuple[float, float] | None,
    upper: tuple[float, float] | None,
    *,
    fine: float,
    coarse: float,
) -> float:
    if lower is None:
        return max(position - 2.0, fine)
    if upper is None:
        return min(position + 2.0, coarse)
    (left, gain), (right, loss) = lower, upper
    middle = (left + right) / 2
    if math.isinf(gain) or gain == loss:
        return middle
    secant = left + (right - left) * gain / (gain - loss)
    edge = (right - left) / 16
    return min(max(secant, left + edge), right - edge)
