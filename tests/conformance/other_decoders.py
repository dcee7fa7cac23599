"""Decoders that have nothing to do with ours, for what our lossless encoders write.

For J2K, JPEG-LS and JPEG XL there is only one free implementation that is exact and installable
here; then it is another build of it, called by other people's code, or (JPEG XL) the same.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable

import imagecodecs
import numpy as np
from mersey.codecs.openjpeg import MAX_PRECISION
from mersey.codecs.pixels import PixelArray, PixelFormat

__all__ = ["OTHERS", "decode_otherwise"]


def decode_otherwise(uid: str, data: bytes, pixels: PixelFormat) -> PixelArray:
    """The samples of a frame of `pixels` that one of our lossless encoders wrote."""
    found = OTHERS[uid](data, pixels)
    return found.reshape(pixels.shape).astype(pixels.dtype, casting="same_kind")


def _explicit(data: bytes, pixels: PixelFormat) -> PixelArray:
    count = pixels.rows * pixels.columns * pixels.samples
    if pixels.bits_allocated == 1:
        return np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little", count=count)
    return np.frombuffer(data, pixels.dtype.newbyteorder("<"), count)


def _deflated(data: bytes, pixels: PixelFormat) -> PixelArray:
    """PS3.5 §A.4.17: raw deflate of the frame as Explicit VR Little Endian has it."""
    return _explicit(zlib.decompressobj(-15).decompress(data), pixels)


def _rle(data: bytes, pixels: PixelFormat) -> PixelArray:
    """By pydicom, in plain Python."""
    from pydicom.pixels.decoders.rle import _rle_decode_frame

    plain = _rle_decode_frame(
        data, pixels.rows, pixels.columns, pixels.samples, max(pixels.bits_allocated, 8)
    )
    planes = np.frombuffer(plain, pixels.dtype.newbyteorder("<"))
    return np.moveaxis(planes.reshape(pixels.samples, pixels.rows, pixels.columns), 0, -1)


def _jpeg_lossless(data: bytes, pixels: PixelFormat) -> PixelArray:
    return np.asarray(imagecodecs.jpegsof3_decode(data))


def _jpegls(data: bytes, pixels: PixelFormat) -> PixelArray:
    """By pyjpegls; samples of fewer bits than their sign needs are sign-extended."""
    import jpeg_ls

    plain, info = jpeg_ls.decode_buffer(data)
    width = 1 if info["bits_per_sample"] <= 8 else 2
    flat = np.frombuffer(plain, f"<u{width}")
    if pixels.samples > 1 and int(info["interleave_mode"]) == 0:
        planes = flat.reshape(pixels.samples, pixels.rows, pixels.columns)
        flat = np.moveaxis(planes, 0, -1)
    return _signed(flat, bits=info["bits_per_sample"], pixels=pixels)


def _signed(samples: PixelArray, *, bits: int, pixels: PixelFormat) -> PixelArray:
    if not pixels.signed:
        return samples
    spare = 64 - bits
    return (samples.astype(np.int64) << spare) >> spare


def _openjpeg(data: bytes, pixels: PixelFormat) -> PixelArray:
    """By pylibjpeg-openjpeg."""
    from openjpeg.utils import decode

    return np.asarray(decode(data, 0))


def _openjpeg_or_openjph(data: bytes, pixels: PixelFormat) -> PixelArray:
    """OpenJPEG is exact up to 26 bits; beyond, another build of OpenJPH is all there is."""
    if pixels.bits_stored <= MAX_PRECISION:
        return _openjpeg(data, pixels)
    return np.asarray(imagecodecs.htj2k_decode(data, planar=False))


def _jpegxl(data: bytes, pixels: PixelFormat) -> PixelArray:
    return np.asarray(imagecodecs.jpegxl_decode(data))


_JPEG = "1.2.840.10008.1.2.4."
OTHERS: dict[str, Callable[[bytes, PixelFormat], PixelArray]] = {
    "1.2.840.10008.1.2.1": _explicit,
    "1.2.840.10008.1.2.8.1": _deflated,
    "1.2.840.10008.1.2.5": _rle,
    f"{_JPEG}70": _jpeg_lossless,
    f"{_JPEG}80": _jpegls,
    f"{_JPEG}90": _openjpeg,
    f"{_JPEG}110": _jpegxl,
    f"{_JPEG}201": _openjpeg_or_openjph,
    f"{_JPEG}202": _openjpeg_or_openjph,
}
"""By Transfer Syntax UID; one for each that we encode losslessly."""
