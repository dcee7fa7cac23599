"""Grey values in plain numpy; see `reference.py`."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["invert", "look_up", "rescale", "window"]

type _Array = np.ndarray[Any, np.dtype[Any]]


def rescale(samples: _Array, *, slope: float, intercept: float) -> _Array:
    """PS3.3 §C.11.1.1.2."""
    return samples.astype(np.float64) * slope + intercept


def look_up(samples: _Array, *, table: _Array, first: int) -> _Array:
    """Clamp to the table, and take; samples have 32 bits at most."""
    places = np.clip(samples.astype(np.int64) - first, 0, table.size - 1)
    return np.asarray(table[places])


def invert(samples: _Array, *, bits_stored: int) -> _Array:
    """``2**bits_stored - 1 - sample``, or ``-1 - sample`` where signed."""
    top = -1 if samples.dtype.kind == "i" else (1 << bits_stored) - 1
    return np.asarray(top - samples.astype(np.int64)).astype(samples.dtype)


def window(
    samples: _Array,
    *,
    center: float,
    width: float,
    function: str = "LINEAR",
    slope: float = 1.0,
    intercept: float = 0.0,
    inverse: bool = False,
    dtype: type[np.uint8 | np.uint16] = np.uint8,
) -> _Array:
    """The pseudo-code of PS3.3 §C.11.2.1.2, in its words: x, c, w, y_min (0) and y_max."""
    c, w = np.float64(center), np.float64(width)
    y_max = np.float64(np.iinfo(dtype).max)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        x = samples.astype(np.float64) * slope + intercept
        if function == "LINEAR":
            y = ((x - (c - 0.5)) / (w - 1) + 0.5) * y_max
            below, above = x <= (c - 0.5) - (w - 1) / 2, x > (c - 0.5) + (w - 1) / 2
            y = np.where(below, 0.0, np.where(above, y_max, y))
        elif function == "LINEAR_EXACT":
            y = ((x - c) / w + 0.5) * y_max
            y = np.where(x <= c - w / 2, 0.0, np.where(x > c + w / 2, y_max, y))
        else:
            y = y_max / (1 + np.exp(-4 * (x - c) / w))
    y = np.rint(np.nan_to_num(y))
    return np.asarray(y_max - y if inverse else y).astype(dtype)
