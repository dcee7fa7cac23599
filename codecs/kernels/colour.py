"""Colour: palettes and YBR_FULL, to RGB (PS3.3 §C.7.6.3.1.2, §C.7.9)."""

from __future__ import annotations

from typing import Any

import numpy as np

from .thrift import thrifty

__all__ = ["apply_palette", "ybr_to_rgb"]

type _Array = np.ndarray[Any, np.dtype[Any]]


@thrifty
def apply_palette(indices: _Array, *, table: _Array, first: int) -> _Array:
    """Red, green and blue of each index; those beyond an end get the end.

    Parameters
    ----------
    indices
        Integers of any shape.
    table
        Shape (entries, 3); the first entry is that of index `first`.

    Returns
    -------
    array
        The dtype of `table`, shape ``indices.shape + (3,)``.
    """
    from . import compiled_colour

    out = np.empty((*indices.shape, 3), dtype=table.dtype)
    compiled_colour.apply_palette(indices.reshape(-1), table.reshape(-1), first, out.reshape(-1))
    return out


@thrifty
def ybr_to_rgb(samples: _Array) -> _Array:
    """YBR_FULL to RGB, uint8, colour-by-pixel.

    ``R = Y + 1.402 Cr'``, ``G = Y - 0.344136 Cb' - 0.714136 Cr'``, ``B = Y + 1.772 Cb'`` with
    ``C' = C - 128``, rounded and clamped: the inverse of PS3.3 §C.7.6.3.1.2 as ITU-T T.871
    gives it.
    """
    from . import compiled_colour

    out = np.empty_like(samples)
    compiled_colour.ybr_to_rgb(samples.reshape(-1), out.reshape(-1))
    return out
