"""Do the samples of a frame fit Bits Stored, and which values are they?

Stored samples may carry garbage in their unused bits (overlays, before 2004) or leave the
upper bits of a negative sample 0. Lossless encoders that keep Bits Stored bits ask here first.
"""

from __future__ import annotations

import numpy as np

from .errors import UnsupportedError, UsageError
from .pixels import PixelArray, PixelFormat

__all__ = ["fit_samples", "require_samples", "true_samples"]


def require_samples(samples: PixelArray, *, pixels: PixelFormat) -> PixelArray:
    """`samples` in native byte order and C order; no copy where they are so.

    Raises
    ------
    UsageError
        The shape or the dtype is not that of `pixels`.
    """
    native = samples.dtype.newbyteorder("=")
    if samples.shape != pixels.shape or native != pixels.dtype:
        raise UsageError(
            f"samples are {samples.shape} {samples.dtype}, expected {pixels.shape} {pixels.dtype}"
        )
    return np.ascontiguousarray(samples, dtype=native)


def fit_samples(samples: PixelArray, *, pixels: PixelFormat) -> PixelArray:
    """The values of the samples, in the low Bits Stored bits: `samples` itself where they fit.

    Where High Bit is elsewhere they are shifted down. Signed samples whose unused upper bits
    are 0 are sign-extended: the sample values, as PS3.5 §8.1.1 defines them, stay the same.

    Raises
    ------
    UnsupportedError
        Unused bits hold something; leaving it out would be a loss nobody asked for.
    """
    bits = pixels.bits_stored
    if bits == pixels.dtype.itemsize * 8 or pixels.bits_allocated == 1:
        return samples
    _, below = _unused_bits(pixels)
    if below:
        found = int(np.bitwise_or.reduce(samples, axis=None))
        if found & ((1 << below) - 1):
            raise _outside(f"some of the lowest {below} bits are set", pixels)
        samples = samples >> below
    flat = samples.reshape(-1)
    if not pixels.signed:
        found = int(np.bitwise_or.reduce(flat))
        if found >> bits == 0:
            return samples
        raise _outside(f"up to bit {found.bit_length() - 1 + below} are set", pixels)
    low, high = int(flat.min()), int(flat.max())
    half = 1 << (bits - 1)
    if -half <= low and high < half:
        return samples
    # Both at once, negative samples that are extended and others that would have to be, means
    # that Bits Stored is not true of all: refused below.
    if low >= 0 and high < 2 * half:
        unused = pixels.dtype.itemsize * 8 - bits
        return (samples << unused) >> unused
    raise _outside(f"samples reach from {low} to {high}", pixels)


def true_samples(samples: PixelArray, *, pixels: PixelFormat) -> PixelArray:
    """The sample values that PS3.5 §8.1.1 defines: Bits Stored bits from High Bit down.

    Unused bits above and below are left out. A new array, or `samples` itself where there are
    none.
    """
    if pixels.floating or pixels.bits_allocated == 1:
        return samples
    above, below = _unused_bits(pixels)
    if not above and not below:
        return samples
    return (samples << above) >> (above + below)


def _unused_bits(pixels: PixelFormat) -> tuple[int, int]:
    """How many bits of each container lie above the sample, and below it."""
    width = pixels.dtype.itemsize * 8
    high_bit = max(min(pixels.high_bit, width - 1), pixels.bits_stored - 1)
    return width - 1 - high_bit, high_bit + 1 - pixels.bits_stored


def _outside(found: str, pixels: PixelFormat) -> UnsupportedError:
    return UnsupportedError(
        f"{found}, outside Bits Stored {pixels.bits_stored} (High Bit {pixels.high_bit}): "
        "old overlays in unused bits would be lost",
        feature="samples outside Bits Stored",
    )
