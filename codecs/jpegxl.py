"""JPEG XL (PS3.5 §8.2.15, ISO/IEC 18181) by libjxl: decodes all three syntaxes, encodes lossless.

Whatever is written has been decoded again and compared: libjxl was lossy at its fastest
effort, without a word (0.11.2, some RGB). Signed samples are refused both ways: JPEG XL has
none, and encoders differ in what they make of them (the bits as they are, or an offset).
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version

import imagecodecs
import numpy as np

from .codec import Codec, Encoded
from .encapsulated_form import full_samples, require_form
from .errors import (
    CodestreamError,
    IntegrityError,
    ResourceError,
    UnsupportedError,
    UsageError,
)
from .jxl_header import JxlHeader, read_jxl_header
from .pixels import Buffer, PixelArray, PixelFormat
from .quality import Quality
from .reduction import halve
from .samples import fit_samples, require_samples
from .syntaxes import JPEG_XL_JPEG, JPEG_XL_LOSSLESS

__all__ = ["JpegXlCodec", "open_codec"]

_EFFORTS = (1, 3)
"""Effort 1 is ten times as fast as 3 and 20 % larger; 3 is where 1 is not exact."""
_MOST_BITS = 16
"""Integers of more bits pass through libjxl as floats."""


@dataclass(frozen=True, slots=True)
class JpegXlCodec:
    """One of the three JPEG XL transfer syntaxes.

    `undoes_colour`: three samples come out as RGB whatever they were coded as (XYB, or the
    YCbCr of a recompressed JPEG).
    """

    name: str = "jpegxl"
    undoes_colour: bool = False
    library: str = f"imagecodecs {version('imagecodecs')}"

    def decoded_format(self, pixels: PixelFormat) -> PixelFormat:
        """Colour-by-pixel, each sample in its low bits; XYB and the YCbCr of JPEG become RGB."""
        decoded = full_samples(pixels).with_(high_bit=pixels.bits_stored - 1)
        is_coded = self.undoes_colour and decoded.photometric.startswith("YBR_")
        if pixels.samples == 3 and (is_coded or pixels.photometric == "XYB"):
            return decoded.with_(photometric="RGB")
        return decoded

    def encoded_format(self, pixels: PixelFormat) -> PixelFormat:
        """Unchanged: MONOCHROME1, MONOCHROME2 or RGB, unsigned (PS3.5 Table 8.2.15-1)."""
        if self.undoes_colour:
            raise UnsupportedError(f"{self.name} is only decoded here", feature=self.name)
        require_form(pixels, syntax="JPEG XL", bits_allocated=(8, 16), samples=(1, 3))
        missing = None
        if pixels.signed:
            missing = "signed samples"
        elif pixels.photometric not in ("MONOCHROME1", "MONOCHROME2", "RGB"):
            missing = pixels.photometric
        if missing is not None:
            raise UnsupportedError(f"JPEG XL has no form here for {missing}", feature=missing)
        return self.decoded_format(pixels)

    def decode(self, data: Buffer, *, pixels: PixelFormat, reduce: int = 0) -> PixelArray:
        """Decode a frame, bare or in a container, halved `reduce` times by area."""
        _require_agreement(read_jxl_header(data), pixels)
        samples = _decode(data, shape=pixels.shape)
        samples = samples.astype(pixels.dtype, copy=not samples.flags.writeable)
        return halve(samples, pixels=self.decoded_format(pixels), reduce=reduce)

    def encode(self, samples: PixelArray, *, pixels: PixelFormat) -> Encoded:
        """Encode a frame without loss; precision is Bits Stored.

        Raises
        ------
        IntegrityError
            What libjxl made of the samples does not decode to them, at no effort.
        """
        self.encoded_format(pixels)
        samples = fit_samples(require_samples(samples, pixels=pixels), pixels=pixels)
        if pixels.bits_stored <= 8:
            samples = samples.astype(np.uint8, copy=False)
        for effort in _EFFORTS:
            data = _encode(samples, effort=effort, bits=pixels.bits_stored)
            if np.array_equal(_decode(data, shape=samples.shape), samples):
                return Encoded(data, lossy=False, ratio=pixels.decoded_bytes / len(data))
        raise IntegrityError(
            f"libjxl is not exact for {samples.shape} samples of {pixels.bits_stored} bits "
            f"at effort {' or '.join(map(str, _EFFORTS))}"
        )


def open_codec(uid: str, *, quality: Quality | None = None) -> Codec:
    """The codec of a JPEG XL transfer syntax; only .110 is written."""
    if quality is not None:
        raise UsageError("JPEG XL is only written lossless here and takes no quality")
    if uid == JPEG_XL_LOSSLESS:
        return JpegXlCodec()
    name = "jpegxl-jpeg" if uid == JPEG_XL_JPEG else "jpegxl-lossy"
    return JpegXlCodec(name, undoes_colour=True)


def _encode(samples: PixelArray, *, effort: int, bits: int) -> bytes:
    encoded = imagecodecs.jpegxl_encode(
        samples,
        lossless=True,
        effort=effort,
        bitspersample=bits,
        planar=False,
        photometric="rgb" if samples.ndim == 3 else "gray",
        numthreads=1,
    )
    return bytes(encoded)


def _decode(data: Buffer, *, shape: tuple[int, ...]) -> PixelArray:
    """Samples of as many bits as the codestream says, in uint8 or uint16."""
    try:
        samples = imagecodecs.jpegxl_decode(data, index=0, keeporientation=True, numthreads=1)
    except (imagecodecs.JpegxlError, ValueError, RuntimeError, IndexError) as error:
        raise CodestreamError(f"libjxl cannot decode the codestream: {error}") from error
    except MemoryError as error:
        raise ResourceError(f"no memory for a decoded image of {shape}") from error
    if samples.shape != shape or samples.dtype.kind != "u":
        raise CodestreamError(
            f"libjxl decoded {samples.shape} {samples.dtype}, expected {shape} unsigned"
        )
    return samples


def _require_agreement(header: JxlHeader, pixels: PixelFormat) -> None:
    """What libjxl would decode is what the data set says, or nothing is decoded."""
    components = header.colour_channels + header.extra_channels
    found = (header.rows, header.columns, components)
    expected = (pixels.rows, pixels.columns, pixels.samples)
    lacking = None
    if header.animated:
        lacking = "animation"
    elif header.extra_channels:
        lacking = f"{header.extra_channels} channels beside the colour"
    elif header.orientation != 1:
        lacking = f"orientation {header.orientation}"
    elif header.floating or header.bits > _MOST_BITS:
        lacking = f"samples of {header.bits} bits{' float' * header.floating}"
    elif pixels.signed or pixels.floating:
        lacking = "signed samples" if pixels.signed else "float samples"
    if lacking is not None:
        raise UnsupportedError(f"JPEG XL with {lacking} is not decoded here", feature=lacking)
    if found != expected:
        raise CodestreamError(
            "JPEG XL codestream of {} rows, {} columns, {} components; ".format(*found)
            + "the data set says {}, {}, {}".format(*expected)
        )
    if header.bits > pixels.bits_allocated:
        raise CodestreamError(
            f"JPEG XL codestream of {header.bits} bits, Bits Allocated is {pixels.bits_allocated}"
        )
