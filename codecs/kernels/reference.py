"""The kernels in plain numpy: what each means, and what the compiled ones must equal.

Slow and short on purpose; tests compare bit for bit.
"""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["align_bits", "halve", "pack_bits", "planes_to_pixels", "unpack_422", "unpack_bits"]

type _Array = np.ndarray[Any, np.dtype[Any]]


def unpack_bits(packed: _Array, *, count: int) -> _Array:
    """Bit ``i`` of the sequence is bit ``i % 8`` of byte ``i // 8`` (PS3.5 §8.2)."""
    positions = np.arange(count)
    bits: _Array = (packed[positions // 8] >> (positions % 8).astype(np.uint8)) & 1
    return bits


def pack_bits(bits: _Array) -> _Array:
    """The inverse: eight bits a byte, least significant first, 0 after the last."""
    padded = np.zeros(-(-bits.size // 8) * 8, dtype=np.uint8)
    padded[: bits.size] = bits
    weights = np.array([1, 2, 4, 8, 16, 32, 64, 128])
    return np.asarray((padded.reshape(-1, 8) * weights).sum(axis=1), dtype=np.uint8)


def align_bits(packed: _Array, *, bit_offset: int, bit_count: int) -> _Array:
    """Unpack, leave out the first `bit_offset`, pack again."""
    return pack_bits(unpack_bits(packed, count=bit_offset + bit_count)[bit_offset:])


def planes_to_pixels(planes: _Array) -> _Array:
    """(samples, rows, columns) to (rows, columns, samples)."""
    return np.stack(list(planes), axis=-1)


def unpack_422(octets: _Array) -> _Array:
    """``Y1 Y2 Cb Cr`` to ``Y1 Cb Cr Y2 Cb Cr`` (PS3.3 §C.7.6.3.1.2); shape (pixels, 3)."""
    first, second, blue, red = octets.reshape(-1, 4).T
    return np.stack([first, blue, red, second, blue, red], axis=-1).reshape(-1, 3)


def halve(samples: _Array) -> _Array:
    """The mean of each 2 x 2, rounded half up; an odd last row or column is repeated."""
    edges = [(0, samples.shape[0] % 2), (0, samples.shape[1] % 2)] + [(0, 0)] * (samples.ndim - 2)
    padded = np.pad(samples, edges, mode="edge")
    four = padded[::2, ::2], padded[1::2, ::2], padded[::2, 1::2], padded[1::2, 1::2]
    if samples.dtype.kind == "f":
        total = ((four[0] + four[1]) + four[2]) + four[3]
        return np.asarray(total * samples.dtype.type(0.25))
    quarters = sum(part >> 2 for part in four)
    rests = sum(part & 3 for part in four)
    return np.asarray(quarters + ((rests + 2) >> 2), dtype=samples.dtype)
