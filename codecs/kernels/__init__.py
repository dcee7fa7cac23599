"""Pixel kernels: plain functions here, the compiled ones behind them.

Importing this imports no numba: a function imports its compiled form, of `compiled_*.py`, when
there is enough to do for it (`thrift.py`). Every kernel has a plain twin in `reference*.py`
that says what it means, bit for bit. Arrays in and out are C-contiguous and of native byte
order; the result is always a new one.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .colour import apply_palette, ybr_to_rgb
from .containers import (
    align_bits,
    delta_decode,
    delta_encode,
    keep_bits,
    pack_bits,
    pixels_to_planes,
    planes_to_pixels,
    swap_bytes,
    unpack_422,
    unpack_bits,
)
from .grey import WindowFunction, invert, look_up, rescale, window
from .survey import Survey, find_limits, project_maximum, survey
from .thrift import thrifty

__all__ = [
    "Survey",
    "WindowFunction",
    "align_bits",
    "apply_palette",
    "delta_decode",
    "delta_encode",
    "find_limits",
    "halve",
    "invert",
    "keep_bits",
    "look_up",
    "pack_bits",
    "pack_planes",
    "pixels_to_planes",
    "planes_to_pixels",
    "project_maximum",
    "rescale",
    "survey",
    "swap_bytes",
    "unpack_422",
    "unpack_bits",
    "unpack_planes",
    "warm",
    "window",
    "ybr_to_rgb",
]

type _Array = np.ndarray[Any, np.dtype[Any]]


@thrifty
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
    plane = np.empty(out.shape[0] + 1, dtype=np.uint8)
    compiled_rle.unpack_planes(data, bounds, lanes, out, plane, report)
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
    """Compile, or load from disk, what the first requests of a server may need.

    Takes some seconds where nothing is on disk yet, so a worker or a thread in the background
    calls it; it is safe to call more than once, and beside other kernels.
    """
    import numba  # noqa: F401  from now on no twin is used

    for dtype in (np.uint8, np.uint16, np.int16):
        grey = np.zeros((2, 2), dtype=dtype)
        halve(grey)
        keep_bits(grey, bits_stored=7, high_bit=7)
        find_limits(grey)
        find_limits(grey, ignored=1)
        for few in (grey, np.array([0, 100], dtype=dtype)):
            window(few, center=1.0, width=2.0)
            for entry in (np.uint8, np.uint16):
                look_up(few, table=np.zeros(1, entry), first=0)
        invert(grey, bits_stored=8)
        survey(grey)
        project_maximum([grey, grey])
    colour = np.zeros((2, 2, 3), dtype=np.uint8)
    halve(colour)
    ybr_to_rgb(colour)
    pixels_to_planes(planes_to_pixels(colour.reshape(3, 2, 2)))
    unpack_422(np.zeros(4, dtype=np.uint8))
    unpack_bits(pack_bits(np.zeros(8, dtype=np.uint8)), count=8)
    lane = np.zeros(1, dtype=np.int64)
    packed, bounds = pack_planes(np.zeros((2, 1), np.uint8), lanes=lane, columns=2)
    unpack_planes(packed, bounds=bounds, lanes=lane, out=np.zeros((2, 1), np.uint8))
    swap_bytes(np.zeros(2, dtype=np.uint16))
    for dtype in (np.uint8, np.uint16):
        for entry in (np.uint8, np.uint16):
            apply_palette(np.zeros(2, dtype), table=np.zeros((1, 3), entry), first=0)
