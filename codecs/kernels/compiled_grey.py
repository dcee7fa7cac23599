"""The compiled kernels of grey values; see `compiled.py`. All arrays are flat."""

from __future__ import annotations

from typing import Any

import numpy as np

from .compiled import _kernel

__all__ = ["invert", "look_up", "rescale", "take", "window"]

type _Array = np.ndarray[Any, np.dtype[Any]]


@_kernel
def rescale(samples: _Array, slope: float, intercept: float, out: _Array) -> None:
    """In double precision, multiplied and then added: two roundings."""
    for i in range(samples.size):
        out[i] = np.float64(samples[i]) * slope + intercept


@_kernel
def look_up(samples: _Array, table: _Array, first: int, out: _Array) -> None:
    """`table` starts with the output of `first`; samples beyond an end get the end."""
    last = table.size - 1
    for i in range(samples.size):
        place: Any = min(max(np.int64(samples[i]) - first, 0), last)
        out[i] = table[np.uint64(place)]


@_kernel
def take(samples: _Array, table: _Array, first: int, out: _Array) -> None:
    """The same where all samples are known to be in the table: twice as fast."""
    for i in range(samples.size):
        out[i] = table[np.uint64(np.int64(samples[i]) - first)]


@_kernel
def invert(samples: _Array, top: Any, out: _Array) -> None:
    """Unsigned; `top` is of their dtype."""
    for i in range(samples.size):
        out[i] = top - samples[i]


@_kernel
def window(
    samples: _Array,
    slope: float,
    intercept: float,
    edges: tuple[float, float],
    center: float,
    width: float,
    top: float,
    inverse: bool,
    out: _Array,
) -> None:
    """A straight line between `edges`, 0 up to the first and `top` past the second.

    Rounded half to even; not-a-number is 0, before the inversion.
    """
    low, high = edges
    for i in range(samples.size):
        value = np.float64(samples[i]) * slope + intercept
        level: Any = ((value - center) / width + 0.5) * top
        level = top if value > high else level
        level = 0.0 if value <= low or np.isnan(value) else level
        level = np.rint(level)
        out[i] = np.int64(top - level if inverse else level)
