"""Images of every kind that DICOM has, made up: what codecs are tried on."""

from __future__ import annotations

from typing import Any

import numpy as np
from mersey.codecs.pixels import PixelArray, PixelFormat

__all__ = ["IMAGES", "make_samples", "pixel_format"]


def pixel_format(rows: int, columns: int, bits: int = 16, **changes: Any) -> PixelFormat:
    """A format with the smallest container for `bits`, unless `changes` names another."""
    allocated = 1 if bits == 1 else max(8, 1 << (bits - 1).bit_length())
    changes.setdefault("bits_allocated", allocated)
    return PixelFormat(rows, columns, bits_stored=bits, high_bit=bits - 1, **changes)


def make_samples(pixels: PixelFormat, *, seed: int = 0) -> PixelArray:
    """Smooth structure with noise, and somewhere the least and the greatest sample.

    A block that flips between both extremes makes wavelets overshoot.
    """
    rng = np.random.default_rng(seed)
    shape = (pixels.rows, pixels.columns, pixels.samples)
    if pixels.floating:
        return (rng.standard_normal(shape) * 1e3).astype(pixels.dtype).reshape(pixels.shape)
    low, high = _limits(pixels)
    y, x = np.indices(shape[:2])
    wave = (np.sin(y / 9 + seed) + np.cos(x / 7))[..., None] / 4 + 0.5
    noisy = wave + rng.normal(0, 0.02, shape)
    # In 2**20 steps of a range that may have 64 bits: exact, and never past the ends.
    step = max((high - low) >> 20, 1)
    steps = (noisy.clip(0, 1) * ((high - low) // step)).astype(pixels.dtype)
    out = (steps * pixels.dtype.type(step) + pixels.dtype.type(low)).astype(pixels.dtype)
    corner = out[: max(shape[0] // 4, 1), : max(shape[1] // 4, 1)]
    corner[...] = np.array([low, high], dtype=pixels.dtype)[rng.integers(0, 2, corner.shape)]
    out[-1, -1] = low
    out[0, 0] = high
    return out.reshape(pixels.shape)


def _limits(pixels: PixelFormat) -> tuple[int, int]:
    if pixels.signed:
        return -(1 << (pixels.bits_stored - 1)), (1 << (pixels.bits_stored - 1)) - 1
    return 0, (1 << pixels.bits_stored) - 1


IMAGES: dict[str, PixelFormat] = {
    "1 bit": pixel_format(37, 23, 1),
    "8 bit": pixel_format(64, 80, 8),
    "8 in 16 bit": pixel_format(64, 80, 8, bits_allocated=16),
    "12 in 16 bit": pixel_format(130, 170, 12, photometric="MONOCHROME1"),
    "signed 12 in 16 bit": pixel_format(97, 61, 12, signed=True),
    "16 bit": pixel_format(96, 128, 16),
    "signed 16 bit": pixel_format(96, 128, 16, signed=True),
    "signed 8 bit": pixel_format(40, 40, 8, signed=True),
    "32 bit": pixel_format(33, 65, 32),
    "signed 32 bit": pixel_format(33, 65, 32, signed=True),
    "20 in 32 bit": pixel_format(33, 65, 20),
    "64 bit": pixel_format(9, 11, 64),
    "float": pixel_format(20, 31, 32, floating=True),
    "double": pixel_format(20, 31, 64, floating=True),
    "RGB 8 bit": pixel_format(90, 71, 8, samples=3, photometric="RGB"),
    "RGB 16 bit": pixel_format(50, 66, 16, samples=3, photometric="RGB"),
    "RGB of 3 rows": pixel_format(3, 64, 8, samples=3, photometric="RGB"),
    "RGB of 4 x 4": pixel_format(4, 4, 8, samples=3, photometric="RGB"),
    "YBR_FULL": pixel_format(48, 70, 8, samples=3, photometric="YBR_FULL"),
    "two samples": pixel_format(48, 31, 8, samples=2, photometric="MONOCHROME2"),
    "four samples": pixel_format(48, 31, 8, samples=4, photometric="CMYK"),
    "palette": pixel_format(64, 64, 8, photometric="PALETTE COLOR"),
    "1 x 1": pixel_format(1, 1, 12),
    "1 x 257": pixel_format(1, 257, 12),
    "257 x 1": pixel_format(257, 1, 12, signed=True),
    "2 x 2": pixel_format(2, 2, 16),
    "odd": pixel_format(101, 67, 10),
    "65535 x 1": pixel_format(65535, 1, 16),
    "1 x 65535": pixel_format(1, 65535, 8),
    "large": pixel_format(1024, 1024, 12),
}
