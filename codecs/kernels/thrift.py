"""When compiled kernels are worth their import: half a second, against milliseconds of work."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any, Concatenate

import numpy as np

__all__ = ["thrifty"]

type _Array = np.ndarray[Any, np.dtype[Any]]

_WORTH_AN_IMPORT_BYTES = 32 << 20


def thrifty[**P, R](
    kernel: Callable[Concatenate[_Array, P], R],
) -> Callable[Concatenate[_Array, P], R]:
    """`kernel`, or its plain twin where numba is not here yet and the array is small.

    Both give the same bits. A process that shows one picture never imports numba; one that
    called `kernels.warm` never uses a twin.
    """

    @functools.wraps(kernel)
    def choose(samples: _Array, /, *args: P.args, **keywords: P.kwargs) -> R:
        if "numba" in sys.modules or samples.nbytes > _WORTH_AN_IMPORT_BYTES:
            return kernel(samples, *args, **keywords)
        from . import reference

        twin: Callable[Concatenate[_Array, P], R] = getattr(reference, kernel.__name__)
        return twin(samples, *args, **keywords)

    return choose
