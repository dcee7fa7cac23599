"""The RLE kernels that numba compiles; see `compiled.py` for what all of them promise.

They check every offset and every run against the arrays that they are given: what they read
comes from the wire.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .compiled import _kernel

__all__ = ["pack_planes", "unpack_planes"]

type _Array = np.ndarray[Any, np.dtype[Any]]
type _Index = int | np.int64

_LONGEST = 128
"""A run of more bytes takes two (PS3.5 §G.3.1)."""


@_kernel
def unpack_planes(data: _Array, bounds: _Array, lanes: _Array, out: _Array, report: _Array) -> None:
    """Segment ``k`` lies between ``bounds[k]`` and ``bounds[k + 1]`` and fills a byte lane.

    `out` is uint8 of shape (pixels, bytes a pixel), ``lanes[k]`` the byte of every pixel that
    segment ``k`` holds. `report` (int64, 3): 0 where all is well, 1 where a segment ends too
    soon, 2 where it holds too much; the segment; where in `data`.
    """
    pixels, step = out.shape
    flat = out.reshape(-1)
    for segment in range(lanes.size):
        place, end = bounds[segment], bounds[segment + 1]
        target = lanes[segment]
        left = pixels
        while left > 0:
            if place >= end:
                _fault(report, 1, segment, place)
                return
            control = np.int64(data[place])
            place += 1
            if control < 128:
                length = control + 1
                if place + length > end:
                    _fault(report, 1, segment, end)
                    return
                # A plane of an odd number of bytes may have been padded before it was packed.
                if length > left + 1:
                    _fault(report, 2, segment, place)
                    return
                used = min(length, left)
                if step == 1:
                    flat[target : target + used] = data[place : place + used]
                else:
                    for index in range(used):
                        flat[target + index * step] = data[place + index]
                place += length
            elif control > 128:
                if place >= end:
                    _fault(report, 1, segment, end)
                    return
                length = 257 - control
                if length > left + 1:
                    _fault(report, 2, segment, place)
                    return
                used = min(length, left)
                value = data[place]
                if step == 1:
                    flat[target : target + used] = value
                else:
                    for index in range(used):
                        flat[target + index * step] = value
                place += 1
            else:
                continue
            target += used * step
            left -= used
        while place < end:
            if data[place] != 0:
                _fault(report, 2, segment, place)
                return
            place += 1


@_kernel
def _fault(report: _Array, fault: int, segment: int, place: int) -> None:
    report[0], report[1], report[2] = fault, segment, place


@_kernel
def pack_planes(octets: _Array, lanes: _Array, columns: int, out: _Array, bounds: _Array) -> None:
    """The inverse: each row of each byte lane to runs, each segment filled to an even length.

    `octets` is uint8 of shape (pixels, bytes a pixel). `out` has room for the worst;
    ``bounds[k]`` and ``bounds[k + 1]`` come back as where segment ``k`` lies in it.
    """
    rows = octets.shape[0] // columns
    line = np.empty(columns, dtype=np.uint8)
    place: _Index = np.int64(0)
    for segment in range(lanes.size):
        bounds[segment] = place
        lane = lanes[segment]
        for row in range(rows):
            for column in range(columns):
                line[column] = octets[row * columns + column, lane]
            place = _pack_line(line, out, place)
        if place % 2:
            out[place] = 0
            place += 1
    bounds[lanes.size] = place


@_kernel
def _pack_line(line: _Array, out: _Array, place: _Index) -> _Index:
    """Runs of one row, written from `place` on; where they end.

    Three equal bytes are a replicate run, two only where no literal run is open before them.
    """
    literal = 0
    start = 0
    while start < line.size:
        value = line[start]
        stop = start + 1
        most = min(line.size, start + _LONGEST)
        while stop < most and line[stop] == value:
            stop += 1
        length = stop - start
        if length > 2 or (length == 2 and start == literal):
            place = _pack_literal(line, literal, start, out, place)
            out[place] = 257 - length
            out[place + 1] = value
            place += 2
            literal = stop
        start = stop
    return _pack_literal(line, literal, line.size, out, place)


@_kernel
def _pack_literal(line: _Array, start: int, stop: int, out: _Array, place: _Index) -> _Index:
    while start < stop:
        length = min(stop - start, _LONGEST)
        out[place] = length - 1
        place += 1
        for index in range(length):
            out[place + index] = line[start + index]
        place += length
        start += length
    return place
