"""The RLE kernels that numba compiles; see `compiled.py` for what all of them promise.

They check every offset and every run against the arrays that they are given: what they read
comes from the wire. Indices are unsigned: numba then asks of none whether it is negative.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .compiled import _kernel

__all__ = ["pack_planes", "unpack_planes"]

type _Array = np.ndarray[Any, np.dtype[Any]]
type _Index = np.uint64

_LONGEST = np.uint64(128)
"""A run of more bytes takes two (PS3.5 §G.3.1)."""
_NOTHING = np.uint64(128)
_ZERO, _ONE, _TWO = np.uint64(0), np.uint64(1), np.uint64(2)
_REPLICATE = np.uint64(257)


@_kernel
def unpack_planes(
    data: _Array, bounds: _Array, lanes: _Array, out: _Array, plane: _Array, report: _Array
) -> None:
    """Segment ``k`` lies between ``bounds[k]`` and ``bounds[k + 1]`` and fills a byte lane.

    `out` is uint8 of shape (pixels, bytes a pixel), ``lanes[k]`` the byte of every pixel that
    segment ``k`` holds. `plane` is scratch, uint8, one byte more than there are pixels: runs
    go into it and it goes into the lane, four times as fast as runs that go there themselves.
    `report` (int64, 3): 0 where all is well, 1 where a segment ends too soon, 2 where it holds
    too much; the segment; where in `data`.
    """
    pixels, step = np.uint64(out.shape[0]), np.uint64(out.shape[1])
    flat = out.reshape(-1)
    for segment in range(lanes.size):
        place, end = np.uint64(bounds[segment]), np.uint64(bounds[segment + 1])
        target = _ZERO
        while target < pixels:
            if place >= end:
                _fault(report, 1, segment, place)
                return
            control = np.uint64(data[place])
            place += _ONE
            if control == _NOTHING:
                continue
            is_literal = control < _NOTHING
            length = control + _ONE if is_literal else _REPLICATE - control
            stored = length if is_literal else _ONE
            if place + stored > end:
                _fault(report, 1, segment, end)
                return
            # A plane of an odd number of bytes may have been padded before it was packed.
            if target + length > pixels + _ONE:
                _fault(report, 2, segment, place)
                return
            if is_literal:
                for index in range(length):
                    plane[target + index] = data[place + index]
            else:
                value = data[place]
                for index in range(length):
                    plane[target + index] = value
            place += stored
            target += length
        while place < end:
            if data[place] != 0:
                _fault(report, 2, segment, place)
                return
            place += _ONE
        lane = np.uint64(lanes[segment])
        for index in range(pixels):
            flat[index * step + lane] = plane[index]


@_kernel
def _fault(report: _Array, fault: int, segment: int, place: _Index) -> None:
    report[0], report[1], report[2] = fault, segment, place


@_kernel
def pack_planes(octets: _Array, lanes: _Array, columns: int, out: _Array, bounds: _Array) -> None:
    """The inverse: each row of each byte lane to runs, each segment filled to an even length.

    `octets` is uint8 of shape (pixels, bytes a pixel). `out` has room for the worst;
    ``bounds[k]`` and ``bounds[k + 1]`` come back as where segment ``k`` lies in it.
    """
    width, step = np.uint64(columns), np.uint64(octets.shape[1])
    flat = octets.reshape(-1)
    rows = octets.shape[0] // columns
    line = np.empty(columns, dtype=np.uint8)
    place = _ZERO
    for segment in range(lanes.size):
        bounds[segment] = place
        for row in range(rows):
            first = np.uint64(row) * width * step + np.uint64(lanes[segment])
            for column in range(width):
                line[column] = flat[first + column * step]
            place = _pack_line(line, out, place)
        if place % _TWO:
            out[place] = 0
            place += _ONE
    bounds[lanes.size] = place


@_kernel
def _pack_line(line: _Array, out: _Array, place: _Index) -> _Index:
    """Runs of one row, written from `place` on; where they end.

    Three equal bytes are a replicate run, two only where no literal run is open before them.
    """
    literal = start = _ZERO
    size = np.uint64(line.size)
    while start < size:
        value = line[start]
        stop = start + _ONE
        most = min(size, start + _LONGEST)
        while stop < most and line[stop] == value:
            stop += _ONE
        length = stop - start
        if length > _TWO or (length == _TWO and start == literal):
            place = _pack_literal(line, literal, start, out, place)
            out[place] = _REPLICATE - length
            out[place + _ONE] = value
            place += _TWO
            literal = stop
        start = stop
    return _pack_literal(line, literal, size, out, place)


@_kernel
def _pack_literal(line: _Array, start: _Index, stop: _Index, out: _Array, place: _Index) -> _Index:
    while start < stop:
        length = min(stop - start, _LONGEST)
        out[place] = length - _ONE
        place += _ONE
        for index in range(length):
            out[place + index] = line[start + index]
        place += length
        start += length
    return place
