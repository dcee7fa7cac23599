"""Lossless means verified: what was encoded is decoded again and compared with the source.

Never repairs anything; a frame that does not come back equal is an IntegrityError.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from ...codecs.codec import Codec
from ...codecs.errors import IntegrityError, MerseyError
from ...codecs.independent import decode_independently, has_independent_decoder
from ...codecs.pixels import Buffer, PixelArray, PixelFormat

__all__ = ["Verify", "verify_frame"]

type Verify = Literal["off", "self", "independent"]


def verify_frame(
    data: Buffer, samples: PixelArray, *, encoder: Codec, pixels: PixelFormat, verify: Verify
) -> None:
    """Decode `data`, which `encoder` made of `samples`, and compare.

    ``self`` decodes with the encoder's own library; ``independent`` with another one (OpenJPEG
    for what OpenJPH encoded), where there is another one.

    Raises
    ------
    IntegrityError
        The samples do not come back exactly.
    """
    if verify == "off":
        return
    written = encoder.encoded_format(pixels)
    try:
        if verify == "independent" and has_independent_decoder(encoder):
            found = decode_independently(data, pixels=written)
        else:
            found = encoder.decode(data, pixels=written)
    except MerseyError as error:
        raise IntegrityError(f"the encoded frame does not decode: {error}") from error
    if not _equal(found, samples):
        raise IntegrityError(
            f"the encoded frame decodes to other samples than the source's "
            f"({encoder.name}, checked by {verify})"
        )


def _equal(found: PixelArray, samples: PixelArray) -> bool:
    """Equal to the bit: NaN payloads and the sign of zero count (float Pixel Data)."""
    if found.shape != samples.shape or found.dtype.itemsize != samples.dtype.itemsize:
        return False
    bits = f"u{samples.dtype.itemsize}"
    return bool(np.array_equal(found.view(bits), samples.view(bits)))
