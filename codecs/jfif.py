"""Writes JPEG files of pictures for a screen (JFIF: ISO/IEC 10918-5), by libjpeg-turbo.

For looking at: as a transfer syntax, JPEG is written by `jpeg`.
"""

from __future__ import annotations

import numpy as np

from .errors import UnsupportedError, UsageError
from .pixels import PixelArray

__all__ = ["jpeg_bytes"]

_LONGEST_SIDE = 65500
"""libjpeg's JPEG_MAX_DIMENSION."""


def jpeg_bytes(image: PixelArray, *, quality: int) -> bytes:
    """The JPEG file of `image`.

    Parameters
    ----------
    image
        uint8; ``(rows, columns)`` grey or ``(rows, columns, 3)`` RGB.
    quality
        1–100, as libjpeg means it.

    Raises
    ------
    UnsupportedError
        A side is longer than JPEG allows.
    """
    if image.dtype != np.uint8 or not (
        image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 3)
    ):
        raise UsageError(f"a JPEG holds no image of shape {image.shape} and dtype {image.dtype}")
    if not 1 <= quality <= 100:
        raise UsageError(f"a JPEG quality of {quality}, expected 1 to 100")
    if max(image.shape[:2]) > _LONGEST_SIDE:
        raise UnsupportedError(
            f"a JPEG of {image.shape[1]} x {image.shape[0]}, at most {_LONGEST_SIDE} a side",
            feature="JPEG of that size",
        )
    import imagecodecs

    return bytes(imagecodecs.jpeg8_encode(image, level=quality))
