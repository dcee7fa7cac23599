"""Grey values: Modality LUT, VOI LUT, polarity (PS3.3 §C.11.1, §C.11.2).

Samples are sample values, of any integer or float dtype and any shape.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

__all__ = ["WindowFunction", "invert", "look_up", "rescale", "window"]

type _Array = np.ndarray[Any, np.dtype[Any]]
type WindowFunction = Literal["LINEAR", "LINEAR_EXACT", "SIGMOID"]


def rescale(samples: _Array, *, slope: float, intercept: float) -> _Array:
    """``samples * slope + intercept`` as float64 (Modality LUT, PS3.3 §C.11.1.1.2)."""
    from . import compiled_grey

    out = np.empty(samples.shape, dtype=np.float64)
    compiled_grey.rescale(samples.reshape(-1), float(slope), float(intercept), out.reshape(-1))
    return out


def look_up(samples: _Array, *, table: _Array, first: int) -> _Array:
    """A Modality or VOI LUT of integers: `table` starts with the output of `first`.

    Samples below `first` get its output, those past the end the last one (PS3.3 §C.11.1.1.1,
    §C.11.2.1.1).
    """
    from . import compiled_grey

    out = np.empty(samples.shape, dtype=table.dtype)
    compiled_grey.look_up(samples.reshape(-1), table, first, out.reshape(-1))
    return out


def invert(samples: _Array, *, bits_stored: int) -> _Array:
    """The other end of the range of `bits_stored` bits: MONOCHROME1 as MONOCHROME2 and back.

    Of signed samples, which reach as far below 0 as above -1, ``-1 - sample``.
    """
    from . import compiled_grey

    unsigned = np.dtype(f"u{samples.dtype.itemsize}")
    top = np.iinfo(unsigned).max if samples.dtype.kind == "i" else (1 << bits_stored) - 1
    out = np.empty_like(samples)
    compiled_grey.invert(
        samples.reshape(-1).view(unsigned), unsigned.type(top), out.reshape(-1).view(unsigned)
    )
    return out


def window(
    samples: _Array,
    *,
    center: float,
    width: float,
    function: WindowFunction = "LINEAR",
    slope: float = 1.0,
    intercept: float = 0.0,
    inverse: bool = False,
    dtype: type[np.uint8 | np.uint16] = np.uint8,
) -> _Array:
    """Modality values ``samples * slope + intercept`` through a window to all of `dtype`.

    The functions are those of PS3.3 §C.11.2.1.2 in double precision, with 0 and the greatest
    of `dtype` as y_min and y_max; levels are rounded half to even. `width` is at least 1 for
    LINEAR, where 1 is a threshold, and above 0 for the others. `inverse` gives the greatest
    level less the level. Not-a-number is level 0.

    Returns
    -------
    array
        `dtype`, of the shape of `samples`.
    """
    from . import compiled_grey

    if function == "SIGMOID":
        return _sigmoid(samples, center, width, slope, intercept, inverse, dtype)
    shift = 0.5 if function == "LINEAR" else 0.0
    middle, length = center - shift, width - 2 * shift
    out = np.empty(samples.shape, dtype=dtype)
    compiled_grey.window(
        samples.reshape(-1),
        float(slope),
        float(intercept),
        (middle - length / 2, middle + length / 2),
        float(middle),
        float(length) or 1.0,  # a threshold: nothing lies between its edges
        float(np.iinfo(dtype).max),
        inverse,
        out.reshape(-1),
    )
    return out


def _sigmoid(
    samples: _Array,
    center: float,
    width: float,
    slope: float,
    intercept: float,
    inverse: bool,
    dtype: type[np.uint8 | np.uint16],
) -> _Array:
    """By a table of all values where there are few: the exponential is numpy's, for both."""
    top = np.iinfo(dtype).max

    def levels(values: _Array) -> _Array:
        with np.errstate(over="ignore", invalid="ignore"):
            value = values * np.float64(slope) + intercept
            level = np.rint(top / (1 + np.exp(-4 * (value - center) / width)))
        level = np.nan_to_num(level)
        return np.asarray(top - level if inverse else level).astype(dtype)

    if samples.dtype.kind == "f" or samples.dtype.itemsize > 2:
        return levels(samples)
    ends = np.iinfo(samples.dtype)
    table = levels(np.arange(ends.min, ends.max + 1))
    return look_up(samples, table=table, first=int(ends.min))
