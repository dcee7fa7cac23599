"""Scales 8-bit pictures to any size, by a triangle filter along each side.

For looking at. A picture that shrinks is smoothed over all that falls into a pixel, so that
nothing flickers in and out; one that grows is interpolated. Halving is `reduction`'s.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .pixels import PixelArray

__all__ = ["resize"]

type _Floats = np.ndarray[Any, np.dtype[np.float32]]


def resize(picture: PixelArray, *, rows: int, columns: int) -> PixelArray:
    """Scale `picture`, uint8 ``(rows, columns)`` or ``(rows, columns, 3)``, to a new size.

    Pixels are areas: the first begins and the last ends where the picture does. Values are
    rounded to the nearest; a picture of that size already is returned as it is.
    """
    if picture.shape[:2] == (rows, columns):
        return picture
    along_rows = _along_first(picture.astype(np.float32), rows)
    along_both = _along_first(along_rows.swapaxes(0, 1), columns).swapaxes(0, 1)
    rounded = np.clip(np.rint(along_both), 0, 255)
    return np.ascontiguousarray(rounded.astype(np.uint8))


def _along_first(values: _Floats, size: int) -> _Floats:
    """Scale the first axis: a sum of a few rows of `values` for each new one."""
    old = values.shape[0]
    if old == size:
        return values
    scale = old / size
    support = max(scale, 1.0)
    centres = (np.arange(size) + 0.5) * scale - 0.5
    first = np.floor(centres - support).astype(np.int64) + 1
    taps = int(np.ceil(2 * support))
    places = first[:, None] + np.arange(taps)
    weights = np.maximum(1 - np.abs(places - centres[:, None]) / support, 0)
    weights[(places < 0) | (places >= old)] = 0
    weights = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    places = places.clip(0, old - 1)
    shape = (size,) + (1,) * (values.ndim - 1)
    scaled = np.zeros((size, *values.shape[1:]), np.float32)
    for tap in range(taps):
        scaled += weights[:, tap].reshape(shape) * values[places[:, tap]]
    return scaled
