"""Pixel kernels: plain functions here, the compiled ones behind them.

Importing this imports no numba. A function that compiling makes several times faster imports
its compiled form on the first call (`halve`, `unpack_422`: 10 to 80 times); the others are
numpy, which is as fast for what they do. Every kernel has a plain twin in `reference.py` that
says what it means, bit for bit. Arrays in and out are C-contiguous and of native byte order;
the result is always a new one.
"""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = [
    "align_bits",
    "halve",
    "pack_bits",
    "pack_planes",
    "planes_to_pixels",
    "unpack_422",
    "unpack_bits",
    "unpack_planes",
    "warm",
]

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
    count, rows, columns = planes.shape
    out = np.empty((rows, columns, count), dtype=planes.dtype)
    for sample in range(count):
        out[:, :, sample] = planes[sample]
    return out


def unpack_422(octets: _Array) -> _Array:
    """``Y Y Cb Cr`` of each two pixels to ``Y Cb Cr`` of each pixel; shape (pixels, 3)."""
    from . import compiled

    out = np.empty((octets.size // 4 * 2, 3), dtype=np.uint8)
    compiled.unpack_422(octets, out.reshape(-1))
    return out


def halve(samples: _Array) -> _Array:
    """Half the rows and columns: the mean of each 2 x 2, rounded half up.

    Shape (rows, columns) or (rows, columns, samples), any integer or float dtype; an odd last
    row or column stands for its missing neighbour.
    """
    from . import compiled

    rows, columns = (side + 1 >> 1 for side in samples.shape[:2])
    out = np.empty((rows, columns, *samples.shape[2:]), dtype=samples.dtype)
    if samples.dtype.kind == "f":
        compiled.halve_floats(np.atleast_3d(samples), np.atleast_3d(out))
    elif samples.dtype.itemsize == 8:
        compiled.halve_wide_integers(np.atleast_3d(samples), np.atleast_3d(out))
    elif samples.ndim == 2:
        compiled.halve_grey(samples, out)
    else:
        compiled.halve_integers(samples, out)
    return out


def unpack_planes(
    data: _Array, *, bounds: _Array, lanes: _Array, out: _Array
) -> tuple[int, int, int]:
    """Undo RLE (PackBits, PS3.5 §G.3): segment ``k`` of `data` fills byte ``lanes[k]`` of pixels.

    Parameters
    ----------
    data
        uint8; segment ``k`` lies between ``bounds[k]`` and ``bounds[k + 1]`` (int64).
    out
        uint8, shape (pixels, bytes a pixel), overwritten.

    Returns
    -------
    tuple[int, int, int]
        What is wrong: 0 nothing, 1 a segment ends too soon, 2 it holds too much; the segment;
        the offset in `data`.
    """
    from . import compiled_rle

    report = np.zeros(3, dtype=np.int64)
    compiled_rle.unpack_planes(data, bounds, lanes, out, report)
    fault, segment, place = report.tolist()
    return fault, segment, place


def pack_planes(octets: _Array, *, lanes: _Array, columns: int) -> tuple[_Array, _Array]:
    """The inverse of `unpack_planes`: the bytes of all segments, and their bounds in them.

    Each row of `columns` pixels is packed by itself, each segment filled to an even length
    with 0 (PS3.5 §G.3.1, §G.4).
    """
    from . import compiled_rle

    rows = octets.shape[0] // columns
    # A control byte for every 128 bytes that do not repeat, and two at worst for short runs.
    worst = lanes.size * (rows * (columns + columns // 128 + 2) + 1)
    out = np.empty(worst, dtype=np.uint8)
    bounds = np.zeros(lanes.size + 1, dtype=np.int64)
    compiled_rle.pack_planes(octets, lanes, columns, out, bounds)
    return out[: bounds[-1]], bounds


def warm() -> None:
    """Compile, or load from disk, what the first request of a server may need."""
    for dtype in (np.uint8, np.uint16, np.int16):
        halve(np.zeros((2, 2), dtype=dtype))
    unpack_422(np.zeros(4, dtype=np.uint8))
