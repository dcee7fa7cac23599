"""Lossless means verified: what was encoded is decoded again and compared with the source.

Never repairs anything; a frame that does not come back equal is an IntegrityError.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from ...codecs.codec import Codec
from ...codecs.errors import IntegrityError, MerseyError, UnsupportedError
from ...codecs.pixels import Buffer, PixelArray, PixelFormat
from ...codecs.samples import fit_samples

__all__ = ["Verify", "equal_samples", "verify_frame"]

_SOC = b"\xff\x4f"
_JPEG_LOSSLESS = "jpeg-lossless"

type Verify = Literal["off", "self", "independent"]


def verify_frame(
    data: Buffer, samples: PixelArray, *, encoder: Codec, pixels: PixelFormat, verify: Verify
) -> None:
    """Decode `data`, which `encoder` made of `samples`, and compare.

    ``self`` decodes with the encoder's own library; ``independent`` with another one (OpenJPEG
    for what OpenJPH encoded, liblj92 for lossless JPEG), and where there is no other one that
    can, with its own.

    Raises
    ------
    IntegrityError
        The samples do not come back exactly.
    """
    if verify == "off":
        return
    written = encoder.encoded_format(pixels)
    try:
        found = _decode(data, encoder=encoder, pixels=written, verify=verify)
    except MerseyError as error:
        raise IntegrityError(f"the encoded frame does not decode: {error}") from error
    if not equal_samples(found, samples) and not equal_samples(found, _values(samples, pixels)):
        raise IntegrityError(
            f"the encoded frame decodes to other samples than the source's "
            f"({encoder.name}, checked by {verify})"
        )


def _values(samples: PixelArray, pixels: PixelFormat) -> PixelArray:
    """What an encoder of Bits Stored bits was given; one of containers was given `samples`."""
    try:
        return fit_samples(samples, pixels=pixels)
    except UnsupportedError:
        return samples


def _decode(data: Buffer, *, encoder: Codec, pixels: PixelFormat, verify: Verify) -> PixelArray:
    if verify == "independent" and _is_codestream(data):
        from ...codecs.independent import decode_independently

        try:
            return decode_independently(data, pixels=pixels)
        except UnsupportedError:
            pass  # more bits than it keeps exactly: one opinion is all there is
    if verify == "independent" and encoder.name == _JPEG_LOSSLESS:
        from ...codecs.jpeg_independent import decode_lossless_independently

        return decode_lossless_independently(data, pixels=pixels)
    return encoder.decode(data, pixels=pixels)


def _is_codestream(data: Buffer) -> bool:
    return bytes(memoryview(data)[:2]) == _SOC


def equal_samples(found: PixelArray, samples: PixelArray) -> bool:
    """Equal to the bit: NaN payloads and the sign of zero count (float Pixel Data)."""
    if found.shape != samples.shape or found.dtype.itemsize != samples.dtype.itemsize:
        return False
    bits = f"u{samples.dtype.itemsize}"
    return bool(np.array_equal(found.view(bits), samples.view(bits)))
