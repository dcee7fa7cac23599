"""What a stream tells of a series each time it has become sharper."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...codecs.pixels import PixelArray
from .sharpening import SharpeningSeries

__all__ = ["Reductions", "SeriesUpdate"]

type Reductions = np.ndarray[tuple[int], np.dtype[np.int8]]


@dataclass(frozen=True, slots=True)
class SeriesUpdate:
    """What became sharper: the frames in `changed`, counted from 0.

    `reductions`, int8 of shape ``(frames,)``, has for each frame how often its image is still
    halved: 0 is full size, 3 an eighth, -1 that nothing of it is there. It is of this moment;
    `volume` and `frame` show the one set of arrays, which goes on sharpening. `left_out` has the
    frames that do not come, of instances that turned out to have no progressive form while they
    were streamed.
    `total_bytes` is not known while the server still makes it.
    """

    series: SharpeningSeries
    changed: tuple[int, ...]
    reductions: Reductions
    received_bytes: int
    total_bytes: int | None
    is_complete: bool
    left_out: frozenset[int] = frozenset()

    @classmethod
    def now(
        cls,
        series: SharpeningSeries,
        changed: tuple[int, ...],
        *,
        until: int,
        received_bytes: int,
        total_bytes: int | None,
        left_out: frozenset[int],
    ) -> SeriesUpdate:
        """That of this moment, in a stream that stops at the reduction `until`."""
        reductions = series.reductions.copy()
        reductions.flags.writeable = False
        coming = np.delete(reductions, list(left_out))
        is_complete = bool(((coming >= 0) & (coming <= until)).all())
        return cls(series, changed, reductions, received_bytes, total_bytes, is_complete, left_out)

    @property
    def volume(self) -> PixelArray:
        """See :attr:`SharpeningSeries.volume`."""
        return self.series.volume

    def frame(self, index: int) -> PixelArray:
        """See :meth:`SharpeningSeries.frame`."""
        return self.series.frame(index)

    @property
    def reduction(self) -> int | None:
        """How often the least sharp frame is halved; None while one is not there at all."""
        coming = np.delete(self.reductions, list(self.left_out))
        if not len(coming) or coming.min() < 0:
            return None
        return int(coming.max())
