"""What the samples of frames amount to: limits, histogram, maximum intensity projection."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .thrift import thrifty

__all__ = ["Survey", "find_limits", "project_maximum", "survey"]

type _Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, slots=True)
class Survey:
    """`counts` (uint32) has one place for each value of the dtype, from `lowest` on."""

    least: int
    greatest: int
    lowest: int
    counts: _Array


def survey(samples: _Array) -> Survey:
    """Least and greatest sample and the histogram, in one pass over integers of 8 or 16 bits."""
    from . import compiled_survey

    ends = np.iinfo(samples.dtype)
    counts = np.zeros(int(ends.max) - int(ends.min) + 1, dtype=np.uint32)
    least, greatest = compiled_survey.count_values(samples.reshape(-1), int(ends.min), counts)
    return Survey(int(least), int(greatest), int(ends.min), counts)


@thrifty
def find_limits(samples: _Array, *, ignored: int | None = None) -> tuple[Any, Any] | None:
    """The least and the greatest sample, `ignored` (Pixel Padding Value) left out.

    Not-a-number and infinities are left out too; None where nothing is left.
    """
    from . import compiled_survey

    flat = samples.reshape(-1)
    if samples.dtype.kind == "f":
        ends = -np.inf, np.inf
        other = np.nan if ignored is None else ignored
    else:
        ends = np.iinfo(samples.dtype).min, np.iinfo(samples.dtype).max
        if ignored is None or not ends[0] <= ignored <= ends[1]:
            return compiled_survey.find_limits(flat) if flat.size else None
        other = ignored
    number = samples.dtype.type
    least, greatest = compiled_survey.find_limits_but(
        flat, number(other), number(ends[1]), number(ends[0])
    )
    return None if least > greatest else (least, greatest)


def project_maximum(frames: Iterable[_Array]) -> _Array:
    """Maximum intensity projection of a frame run; holds one frame and the result at a time.

    `frames` are of one shape and dtype, at least one; not-a-number never wins but over itself.
    """
    from . import compiled_survey

    run = iter(frames)
    out = next(run).copy()
    for frame in run:
        compiled_survey.raise_to(frame.reshape(-1), out.reshape(-1))
    return out
