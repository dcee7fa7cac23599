"""How good a lossy image has to be: the aim that a lossy encoder is given.

Says nothing of how it is reached; `rate.py` searches.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

import numpy as np

from .errors import UsageError
from .pixels import PixelArray, PixelFormat

__all__ = ["DEFAULT_QUALITY", "Quality", "psnr_db"]


@dataclass(frozen=True, slots=True)
class Quality:
    """Either a floor for the fidelity or a floor for the compression ratio of each frame.

    `psnr_db` is the peak signal-to-noise ratio against the full scale of Bits Stored,
    ``2**bits_stored - 1``. `ratio` is uncompressed bytes (Bits Allocated) over encoded bytes,
    as PS3.3 §C.7.6.1.1.5.2 counts it; where a frame cannot be made so small (headers alone
    may be more), its encoder comes as near as it can.
    """

    psnr_db: float | None = None
    ratio: float | None = None

    def __post_init__(self) -> None:
        if (self.psnr_db is None) == (self.ratio is None):
            raise UsageError("a quality is either a PSNR or a compression ratio")
        if self.psnr_db is not None and not 20 <= self.psnr_db <= 100:
            raise UsageError(f"PSNR of {self.psnr_db} dB, expected 20–100")
        if self.ratio is not None and not 1 <= self.ratio <= 1000:
            raise UsageError(f"compression ratio of {self.ratio}, expected 1–1000")

    @classmethod
    def parse(cls, text: str) -> Self:
        """The quality that ``psnr:45`` or ``ratio:8`` means, as people write it.

        Raises
        ------
        UsageError
            It is written otherwise, or no such quality can be asked for.
        """
        kind, _, number = text.partition(":")
        try:
            value = float(number)
        except ValueError:
            value = math.nan
        if kind not in ("psnr", "ratio") or math.isnan(value):
            raise UsageError(f"quality {text!r}, expected psnr:DB or ratio:N, e.g. psnr:45")
        return cls(psnr_db=value) if kind == "psnr" else cls(ratio=value)

    def __str__(self) -> str:
        if self.psnr_db is not None:
            return f"psnr:{self.psnr_db:g}"
        return f"ratio:{self.ratio:g}"


DEFAULT_QUALITY = Quality(ratio=8.0)
"""8:1, the lower end of what radiology guidelines accept for CT and MR (CAR 2011, ESR 2011)."""


def psnr_db(decoded: PixelArray, samples: PixelArray, *, pixels: PixelFormat) -> float:
    """Peak signal-to-noise ratio in dB against full scale; infinite where equal."""
    error = decoded.astype(np.float64)
    error -= samples
    mean_square = float(np.vdot(error, error)) / error.size
    if mean_square == 0:
        return math.inf
    peak = float(2**pixels.bits_stored - 1)
    return 10 * math.log10(peak * peak / mean_square)
