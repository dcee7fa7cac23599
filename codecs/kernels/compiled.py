"""The kernels that numba compiles. Only `kernels/__init__.py` imports this, when it must.

Each releases the GIL, takes its output as an argument, trusts its shapes and keeps its
machine code on disk, or in memory alone where there is no place on disk for it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numba
import numpy as np

__all__ = ["halve_floats", "halve_grey", "halve_integers", "halve_wide_integers", "unpack_422"]

type _Array = np.ndarray[Any, np.dtype[Any]]


def _kernel[**P, R](function: Callable[P, R]) -> Callable[P, R]:
    """Compile on the first call.

    numba refuses (RuntimeError) where it finds no place for its cache, in a read-only
    installation without a writable home: then every process compiles anew.
    """
    try:
        return cast("Callable[P, R]", numba.njit(nogil=True, cache=True)(function))
    except RuntimeError:
        return cast("Callable[P, R]", numba.njit(nogil=True)(function))


@_kernel
def halve_grey(samples: _Array, out: _Array) -> None:
    """Integers of at most 32 bits, shape (rows, columns): vectorised, 20 times the general one."""
    rows, columns = samples.shape
    for y in range(out.shape[0]):
        upper, lower = samples[2 * y], samples[min(2 * y + 1, rows - 1)]
        for x in range(columns // 2):
            total = np.int64(upper[2 * x]) + lower[2 * x]
            total += np.int64(upper[2 * x + 1]) + lower[2 * x + 1]
            out[y, x] = (total + 2) >> 2
        if columns % 2:
            total = np.int64(upper[columns - 1]) + lower[columns - 1]
            out[y, columns // 2] = (total + 1) >> 1


@_kernel
def halve_integers(samples: _Array, out: _Array) -> None:
    """Integers of at most 32 bits, shape (rows, columns, samples)."""
    rows, columns, count = samples.shape
    for y in range(out.shape[0]):
        upper, lower = samples[2 * y], samples[min(2 * y + 1, rows - 1)]
        for x in range(columns // 2):
            for c in range(count):
                total = np.int64(upper[2 * x, c]) + lower[2 * x, c]
                total += np.int64(upper[2 * x + 1, c]) + lower[2 * x + 1, c]
                out[y, x, c] = (total + 2) >> 2
        if columns % 2:
            for c in range(count):
                total = np.int64(upper[columns - 1, c]) + lower[columns - 1, c]
                out[y, columns // 2, c] = (total + 1) >> 1


@_kernel
def halve_wide_integers(samples: _Array, out: _Array) -> None:
    """Integers of 64 bits, whose sum would overflow: quarters and rests are added apart."""
    rows, columns, count = samples.shape
    one = samples.dtype.type(1)
    two = samples.dtype.type(2)
    three = samples.dtype.type(3)
    for y in range(out.shape[0]):
        upper, lower = samples[2 * y], samples[min(2 * y + 1, rows - 1)]
        for x in range(out.shape[1]):
            left, right = 2 * x, min(2 * x + 1, columns - 1)
            for c in range(count):
                a, b, e, f = upper[left, c], lower[left, c], upper[right, c], lower[right, c]
                rests = (a & three) + (b & three) + (e & three) + (f & three)
                quarters = (a >> two) + (b >> two) + (e >> two) + (f >> two)
                out[y, x, c] = quarters + ((rests + one + one) >> two)


@_kernel
def halve_floats(samples: _Array, out: _Array) -> None:
    """Floats, added in the order of the reference."""
    rows, columns, count = samples.shape
    for y in range(out.shape[0]):
        upper, lower = samples[2 * y], samples[min(2 * y + 1, rows - 1)]
        for x in range(out.shape[1]):
            left, right = 2 * x, min(2 * x + 1, columns - 1)
            for c in range(count):
                total = ((upper[left, c] + lower[left, c]) + upper[right, c]) + lower[right, c]
                out[y, x, c] = total * out.dtype.type(0.25)


@_kernel
def unpack_422(octets: _Array, out: _Array) -> None:
    """``Y1 Y2 Cb Cr`` to ``Y1 Cb Cr Y2 Cb Cr``; both flat."""
    for pair in range(octets.size // 4):
        source, target = 4 * pair, 6 * pair
        blue, red = octets[source + 2], octets[source + 3]
        out[target], out[target + 1], out[target + 2] = octets[source], blue, red
        out[target + 3], out[target + 4], out[target + 5] = octets[source + 1], blue, red
