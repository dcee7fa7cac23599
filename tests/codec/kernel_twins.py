"""What a kernel and its plain twin must have in common: everything."""

from __future__ import annotations

import numpy as np
from mersey.codecs.pixels import PixelArray


def assert_same(found: PixelArray, expected: PixelArray) -> None:
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    assert found.flags.c_contiguous
    assert found.tobytes() == np.ascontiguousarray(expected).tobytes()
