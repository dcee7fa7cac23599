"""Colour in plain numpy; see `reference.py`."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["apply_palette", "ybr_to_rgb"]

type _Array = np.ndarray[Any, np.dtype[Any]]


def apply_palette(indices: _Array, *, table: _Array, first: int) -> _Array:
    """Clamp to the table, and take; indices have 32 bits at most."""
    entries = np.clip(indices.astype(np.int64) - first, 0, len(table) - 1)
    return np.asarray(table[entries])


def ybr_to_rgb(samples: _Array) -> _Array:
    """The matrix of ITU-T T.871 §7 with its elements rounded to 20 bits after the point."""
    scale = 1 << 20
    elements = np.array([[1, 0, 1.402], [1, -0.344136, -0.714136], [1, 1.772, 0]])
    matrix = np.rint(elements * scale).astype(np.int64)
    difference = samples.astype(np.int64) - np.array([0, 128, 128])
    rounded: _Array = difference @ matrix.T + scale // 2
    return np.asarray((rounded >> 20).clip(0, 255), dtype=np.uint8)
