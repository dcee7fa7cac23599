"""Grey values: Modality LUT, VOI LUT, polarity (PS3.3 §C.11.1, §C.11.2).

Samples are sample values, of any integer or float dtype and any shape.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from ..errors import UsageError
from .survey import find_limits
from .thrift import thrifty

__all__ = ["WindowFunction", "invert", "look_up", "rescale", "window"]

type _Array = np.ndarray[Any, np.dtype[Any]]
type WindowFunction = Literal["LINEAR", "LINEAR_EXACT", "SIGMOID"]


def rescale(samples: _Array, *, slope: float, intercept: float) -> _Array:
    """``samples * slope + intercept`` as float64 (Modality LUT, PS3.3 §C.11.1.1.2)."""
    from . import compiled_grey

    out = np.empty(samples.shape, dtype=np.float64)
    compiled_grey.rescale(samples.reshape(-1), float(slope), float(intercept), out.reshape(-1))
    return out


@thrifty
def look_up(samples: _Array, *, table: _Array, first: int) -> _Array:
    """A Modality or VOI LUT of integers: `table` starts with the output of `first`.

    Samples below `first` get its output, those past the end the last one (PS3.3 §C.11.1.1.1,
    §C.11.2.1.1).
    """
    from . import compiled_grey

    out = np.empty(samples.shape, dtype=table.dtype)
    span = _span(samples)
    if span is None:
        compiled_grey.look_up(samples.reshape(-1), table, first, out.reshape(-1))
        return out
    # The table of the values that there are needs no check of its ends.
    places = np.clip(np.arange(span[0], span[1] + 1) - first, 0, table.size - 1)
    compiled_grey.take(samples.reshape(-1), table[places], span[0], out.reshape(-1))
    return out


@thrifty
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


@thrifty
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
    if width < 1 if function == "LINEAR" else width <= 0:
        raise UsageError(f"a window of width {width} for {function}")
    line = _Line(center, width, function, slope, intercept, inverse, dtype)
    span = _span(samples)
    if span is None:
        return line.levels(samples)
    from . import compiled_grey

    table = line.levels(np.arange(span[0], span[1] + 1))
    out = np.empty(samples.shape, dtype=dtype)
    compiled_grey.take(samples.reshape(-1), table, span[0], out.reshape(-1))
    return out


def _span(samples: _Array) -> tuple[int, int] | None:
    """The least and the greatest, where a table of all between is worth its making."""
    if samples.dtype.kind == "f" or samples.dtype.itemsize > 2:
        return None
    limits = find_limits(samples)
    if limits is None or samples.size <= 2 * (int(limits[1]) - int(limits[0])):
        return None
    return int(limits[0]), int(limits[1])


@dataclass(frozen=True, slots=True)
class _Line:
    """One of the three functions, value by value."""

    center: float
    width: float
    function: WindowFunction
    slope: float
    intercept: float
    inverse: bool
    dtype: type[np.uint8 | np.uint16]

    def levels(self, samples: _Array) -> _Array:
        if self.function == "SIGMOID":
            return self._curve(samples)
        from . import compiled_grey

        shift = 0.5 if self.function == "LINEAR" else 0.0
        middle, length = self.center - shift, self.width - 2 * shift
        out = np.empty(samples.shape, dtype=self.dtype)
        compiled_grey.window(
            samples.reshape(-1),
            float(self.slope),
            float(self.intercept),
            (middle - length / 2, middle + length / 2),
            float(middle),
            float(length) or 1.0,  # a threshold: nothing lies between its edges
            float(np.iinfo(self.dtype).max),
            self.inverse,
            out.reshape(-1),
        )
        return out

    def _curve(self, samples: _Array) -> _Array:
        """numpy's exponential, which is vectorised and whose bits the twin shares."""
        top = np.iinfo(self.dtype).max
        with np.errstate(over="ignore", invalid="ignore"):
            value = samples * np.float64(self.slope) + self.intercept
            level = np.rint(top / (1 + np.exp(-4 * (value - self.center) / self.width)))
        level = np.nan_to_num(level)
        return np.asarray(top - level if self.inverse else level).astype(self.dtype)
