"""The compiled kernels of colour; see `compiled.py`. All arrays are flat, colour-by-pixel."""

from __future__ import annotations

from typing import Any

import numpy as np

from .compiled import _kernel

__all__ = ["apply_palette", "ybr_to_rgb"]

type _Array = np.ndarray[Any, np.dtype[Any]]


@_kernel
def apply_palette(indices: _Array, table: _Array, first: int, out: _Array) -> None:
    """`table` holds red, green, blue of `first` and those after it, one after the other."""
    last = table.size // 3 - 1
    for i in range(indices.size):
        place: Any = min(max(np.int64(indices[i]) - first, 0), last)
        entry = np.uint64(3 * place)
        out[3 * i] = table[entry]
        out[3 * i + 1] = table[entry + np.uint64(1)]
        out[3 * i + 2] = table[entry + np.uint64(2)]


@_kernel
def ybr_to_rgb(samples: _Array, out: _Array) -> None:
    """uint8, in 32-bit fixed point: 20 bits after the point, rounded half up, clamped."""
    half, low, high = np.int32(1 << 19), np.int32(0), np.int32(255)
    for pixel in range(samples.size // 3):
        i = 3 * pixel
        luma = (np.int32(samples[i]) << np.int32(20)) + half
        blue = np.int32(samples[i + 1]) - np.int32(128)
        red = np.int32(samples[i + 2]) - np.int32(128)
        r = (luma + np.int32(1470104) * red) >> np.int32(20)
        g = (luma - np.int32(360853) * blue - np.int32(748826) * red) >> np.int32(20)
        b = (luma + np.int32(1858077) * blue) >> np.int32(20)
        out[i] = np.uint8(min(max(r, low), high))
        out[i + 1] = np.uint8(min(max(g, low), high))
        out[i + 2] = np.uint8(min(max(b, low), high))
