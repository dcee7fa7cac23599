"""Limits, histogram and projection in plain numpy; see `reference.py`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

__all__ = ["find_limits", "project_maximum", "survey"]

type _Array = np.ndarray[Any, np.dtype[Any]]


def survey(samples: _Array) -> tuple[int, int, int, _Array]:
    """Least, greatest, the value of the first place, and how often each value occurs."""
    lowest = int(np.iinfo(samples.dtype).min)
    length = int(np.iinfo(samples.dtype).max) - lowest + 1
    counts = np.bincount(samples.reshape(-1).astype(np.int64) - lowest, minlength=length)
    return int(samples.min()), int(samples.max()), lowest, counts.astype(np.uint32)


def find_limits(samples: _Array, *, ignored: int | None = None) -> tuple[Any, Any] | None:
    """Of those that are finite and not `ignored`."""
    kept = samples[np.isfinite(samples)]
    if ignored is not None:
        kept = kept[kept != ignored]
    return (kept.min(), kept.max()) if kept.size else None


def project_maximum(frames: Iterable[_Array]) -> _Array:
    """The greatest of each place."""
    return np.asarray(np.max(np.stack(list(frames)), axis=0))
