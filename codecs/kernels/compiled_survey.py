"""The compiled kernels that look at all samples of a frame; see `compiled.py`. Arrays are flat."""

from __future__ import annotations

from typing import Any

import numpy as np

from .compiled import _kernel

__all__ = ["count_values", "find_limits", "find_limits_but", "raise_to"]

type _Array = np.ndarray[Any, np.dtype[Any]]

_BLOCK = 4096
"""Samples that are looked at twice while they are in the first-level cache."""


@_kernel
def count_values(samples: _Array, lowest: int, counts: _Array) -> Any:
    """Add each sample to its count, that of `lowest` being the first; the least and greatest."""
    least, greatest = samples[0], samples[0]
    for start in range(0, samples.size, _BLOCK):
        block = samples[start : start + _BLOCK]
        for i in range(block.size):
            least, greatest = min(least, block[i]), max(greatest, block[i])
        for i in range(block.size):
            counts[np.uint64(np.int64(block[i]) - lowest)] += np.uint32(1)
    return least, greatest


@_kernel
def find_limits(samples: _Array) -> Any:
    """The least and the greatest of integers."""
    least, greatest = samples[0], samples[0]
    for i in range(samples.size):
        least, greatest = min(least, samples[i]), max(greatest, samples[i])
    return least, greatest


@_kernel
def find_limits_but(samples: _Array, ignored: Any, least: Any, greatest: Any) -> Any:
    """The same without `ignored`, not-a-number and infinities, starting from the other ends."""
    for i in range(samples.size):
        value = samples[i]
        if value != ignored and np.isfinite(value):
            least, greatest = min(least, value), max(greatest, value)
    return least, greatest


@_kernel
def raise_to(frame: _Array, out: _Array) -> None:
    """Each place of `out` is at least that of `frame`."""
    for i in range(out.size):
        out[i] = max(frame[i], out[i])
