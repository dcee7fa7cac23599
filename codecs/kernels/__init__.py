"""Pixel kernels: plain functions here, the compiled ones behind them.

Importing this imports no numba. A function whose compiled twin pays imports it on its first
call; the others are numpy, which is as fast for what they do. Every kernel has a plain twin
in `reference.py` that says what it means, bit for bit.
"""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["align_bits", "halve", "pack_bits", "planes_to_pixels", "unpack_422", "unpack_bits"]

type _Array = np.ndarray[Any, np.dtype[Any]]


def unpack_bits(packed: _Array, *, count: int) -> _Array:
    """The first `count` bits of `packed` (uint8) as uint8 0 and 1, least significant first."""
    return np.unpackbits(packed, count=count, bitorder="little")


def pack_bits(bits: _Array) -> _Array:
    """Zeros and ones to bytes, least significant bit first; the last byte is filled with 0."""
    return np.packbits(bits, bitorder="little")


def align_bits(packed: _Array, *, bit_offset: int, bit_count: int) -> _Array:
    """`bit_count` bits from bit `bit_offset` (0–7) on, moved to bit 0; the rest are 0."""
    size = -(-bit_count // 8)
    out = packed[:size] >> bit_offset
    if bit_offset:
        rest = packed[1 : size + 1]
        out[: rest.size] |= rest << (8 - bit_offset)
    if bit_count % 8:
        out[-1] &= (1 << bit_count % 8) - 1
    return out


def planes_to_pixels(planes: _Array) -> _Array:
    """Colour-by-plane (samples, rows, columns) to colour-by-pixel (rows, columns, samples)."""
    return np.ascontiguousarray(planes.transpose(1, 2, 0))


def unpack_422(octets: _Array) -> _Array:
    """``Y Y Cb Cr`` of each two pixels to ``Y Cb Cr`` of each pixel; shape (pixels, 3)."""
    pairs = octets.reshape(-1, 4)
    out = np.empty((pairs.shape[0], 2, 3), dtype=np.uint8)
    out[:, :, 0] = pairs[:, :2]
    out[:, :, 1] = pairs[:, 2:3]
    out[:, :, 2] = pairs[:, 3:4]
    return out.reshape(-1, 3)


def halve(samples: _Array) -> _Array:
    """Half the rows and columns: the mean of each 2 x 2, rounded half up."""
    wide = np.result_type(samples.dtype, np.int64 if samples.dtype.kind in "iu" else samples)
    rows, columns = samples.shape[0] % 2, samples.shape[1] % 2
    if rows or columns:
        edges = [(0, rows), (0, columns)] + [(0, 0)] * (samples.ndim - 2)
        samples = np.pad(samples, edges, mode="edge")
    total = samples[::2, ::2].astype(wide)
    total += samples[1::2, ::2]
    total += samples[::2, 1::2]
    total += samples[1::2, 1::2]
    mean = (total + 2) >> 2 if total.dtype.kind in "iu" else total / 4
    return np.ascontiguousarray(mean, dtype=samples.dtype)
