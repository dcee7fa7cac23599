"""Halving an image by area, for codecs that have no smaller image inside.

The wavelet codecs have one and do not come here, unless more is asked than they hold.
"""

from __future__ import annotations

from . import kernels
from .pixels import PixelArray, PixelFormat
from .samples import true_samples

__all__ = ["halve", "reduced_size"]


def reduced_size(size: int, *, reduce: int) -> int:
    """Rows or columns that are left after `reduce` halvings: ``ceil(size / 2**reduce)``."""
    return -(-size >> reduce)


def halve(samples: PixelArray, *, pixels: PixelFormat, reduce: int) -> PixelArray:
    """Halve rows and columns `reduce` times.

    Each halving takes the mean of 2 x 2 samples, rounded half up, ``(a+b+c+d+2) >> 2``; an
    odd last row or column stands for its missing neighbour. Garbage in unused bits is left
    out first; the means lie where High Bit says. Indices of a palette have no mean: the top
    left one of the four is taken.

    Parameters
    ----------
    samples
        Shape ``(rows, columns)`` or ``(rows, columns, samples)``, of any real dtype.

    Returns
    -------
    PixelArray
        C-contiguous, same dtype, each side ``ceil(side / 2**reduce)``.
    """
    if reduce == 0:
        return samples
    if pixels.photometric == "PALETTE COLOR":
        step = 1 << reduce
        return samples[::step, ::step].copy()
    samples = true_samples(samples, pixels=pixels)
    for _ in range(reduce):
        if samples.shape[0] == 1 and samples.shape[1] == 1:
            break
        samples = kernels.halve(samples)
    below = 0 if pixels.floating else pixels.high_bit + 1 - pixels.bits_stored
    return samples << below if 0 < below < pixels.bits_allocated else samples
