"""JPEG-LS (PS3.5 §A.4.3, §8.2.3, ISO/IEC 14495-1) by CharLS: lossless and near-lossless.

JPEG-LS knows no sign: the bits of signed samples are coded as they are, in Bits Stored bits.
RGB stays RGB, its samples interleaved.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version

import imagecodecs
import numpy as np

from .codec import Codec, Encoded
from .encapsulated_form import full_samples, require_form
from .errors import CodestreamError, ResourceError, UnsupportedError, UsageError
from .jpegls_header import JpegLsHeader, read_jpegls_header
from .near import search_near
from .pixels import Buffer, PixelArray, PixelFormat
from .quality import Quality, psnr_db
from .reduction import halve
from .samples import fit_samples, require_samples
from .syntaxes import JPEG_LS

__all__ = ["DEFAULT_NEAR", "JpegLsCodec", "open_codec"]

DEFAULT_NEAR = 2
"""The greatest error of a near-lossless sample where no quality is asked for; DCMTK's default."""

_EOI = b"\xff\xd9"
_SOF55 = 0xFFF7
_MOST_NEAR = 255
_MOST_BITS = 16


@dataclass(frozen=True, slots=True)
class JpegLsCodec:
    """One of the two JPEG-LS transfer syntaxes; `near` or `quality` makes it lossy."""

    name: str = "jpegls"
    near: int = 0
    quality: Quality | None = None
    library: str = f"imagecodecs {version('imagecodecs')}"

    def decoded_format(self, pixels: PixelFormat) -> PixelFormat:
        """Colour-by-pixel, each sample in its low bits, else unchanged."""
        return full_samples(pixels).with_(high_bit=pixels.bits_stored - 1)

    def encoded_format(self, pixels: PixelFormat) -> PixelFormat:
        """Unchanged, Planar Configuration 0 (PS3.5 Table 8.2.3-1)."""
        require_form(pixels, syntax="JPEG-LS", bits_allocated=(8, 16), samples=(1, 3, 4))
        missing = None
        if pixels.bits_stored < 2:
            missing = f"Bits Stored {pixels.bits_stored}"
        elif pixels.photometric == "PALETTE COLOR" and (self.near or self.quality):
            missing = "near-lossless PALETTE COLOR"
        if missing is not None:
            raise UnsupportedError(f"JPEG-LS has no form here for {missing}", feature=missing)
        return self.decoded_format(pixels)

    def decode(self, data: Buffer, *, pixels: PixelFormat, reduce: int = 0) -> PixelArray:
        """Decode a frame of any interleave, halved `reduce` times by area."""
        header = read_jpegls_header(data)
        _require_agreement(header, pixels)
        samples = _to_container(_decode(data, header), header=header, pixels=pixels)
        return halve(samples, pixels=self.decoded_format(pixels), reduce=reduce)

    def encode(self, samples: PixelArray, *, pixels: PixelFormat) -> Encoded:
        """Encode a frame; precision is Bits Stored."""
        self.encoded_format(pixels)
        samples = fit_samples(require_samples(samples, pixels=pixels), pixels=pixels)
        most = _most_near(samples, pixels=pixels)
        if self.quality is not None:
            return self._encode_for_quality(samples, most=most, pixels=pixels)
        near = min(self.near, most)
        data = _encode(samples, near=near, pixels=pixels)
        return Encoded(data, lossy=near > 0, ratio=pixels.decoded_bytes / len(data))

    def _encode_for_quality(
        self, samples: PixelArray, *, most: int, pixels: PixelFormat
    ) -> Encoded:
        assert self.quality is not None

        def judge(data: bytes) -> float:
            decoded = self.decode(data, pixels=pixels)
            return psnr_db(decoded, samples, pixels=pixels)

        trial = search_near(
            lambda near: _encode(samples, near=near, pixels=pixels),
            judge,
            quality=self.quality,
            raw_bytes=pixels.decoded_bytes,
            most=most,
        )
        lossy = read_jpegls_header(trial.data).near > 0
        return Encoded(trial.data, lossy=lossy, ratio=trial.ratio, psnr_db=trial.psnr_db)


def open_codec(uid: str, *, quality: Quality | None = None) -> Codec:
    """The codec of a JPEG-LS transfer syntax; .81 is written near-lossless."""
    if uid == JPEG_LS:
        near = DEFAULT_NEAR if quality is None else 0
        return JpegLsCodec("jpegls-near", near=near, quality=quality)
    if quality is not None:
        raise UsageError(f"{uid} is lossless and takes no quality")
    return JpegLsCodec()


def _most_near(samples: PixelArray, *, pixels: PixelFormat) -> int:
    """The greatest NEAR that turns no sample into one of the other sign.

    Coded without a sign, the greatest sample is next to the least: an error of one across
    that border would be the worst there can be. Samples that reach it are kept exact.
    """
    most = min(_MOST_NEAR, (1 << pixels.bits_stored) // 2 - 1)
    if not pixels.signed:
        return most
    half = 1 << (pixels.bits_stored - 1)
    room = min(half - 1 - int(samples.max()), half + int(samples.min()))
    return min(most, room)


def _encode(samples: PixelArray, *, near: int, pixels: PixelFormat) -> bytes:
    bits = pixels.bits_stored
    plain = samples.view(f"u{samples.dtype.itemsize}")
    if pixels.signed and bits < samples.dtype.itemsize * 8:
        plain = plain & ((1 << bits) - 1)
    if bits <= 8:
        plain = plain.astype(np.uint8, copy=False)
    return bytes(imagecodecs.jpegls_encode(plain, near, bitspersample=bits))


def _decode(data: Buffer, header: JpegLsHeader) -> PixelArray:
    """The samples as CharLS gives them: colour-by-pixel, whatever the interleave.

    CharLS runs on for ever where data ends without a marker: there is always an EOI.
    """
    stream: Buffer = memoryview(data).cast("B")[: header.end_bytes]
    if header.end_bytes is None:
        stream = b"".join((stream, _EOI))
    shape: tuple[int, ...] = (header.rows, header.columns)
    if header.components > 1:
        shape = (*shape, header.components)
    try:
        samples = imagecodecs.jpegls_decode(stream)
    except (imagecodecs.JpeglsError, ValueError, RuntimeError) as error:
        raise CodestreamError(f"CharLS cannot decode the codestream: {error}") from error
    except MemoryError as error:
        raise ResourceError(f"no memory for a decoded image of {shape}") from error
    if samples.shape != shape:
        raise CodestreamError(f"CharLS decoded {samples.shape}, expected {shape}")
    return samples


def _to_container(samples: PixelArray, *, header: JpegLsHeader, pixels: PixelFormat) -> PixelArray:
    """The bits of each sample, in a container that the data set names, read as it signs them."""
    width = pixels.dtype.itemsize
    plain = samples.astype(f"u{width}", copy=False)
    if not plain.flags.writeable:
        plain = plain.copy()
    signed = plain.view(pixels.dtype)
    spare = width * 8 - header.precision
    if pixels.signed and spare:
        signed <<= spare
        signed >>= spare
    return signed


def _require_agreement(header: JpegLsHeader, pixels: PixelFormat) -> None:
    """Rows, columns and components must be the data set's; of the precision, see `j2k_frame`."""
    found = (header.rows, header.columns, header.components)
    expected = (pixels.rows, pixels.columns, pixels.samples)
    if found != expected:
        raise CodestreamError(
            "JPEG-LS codestream of {} rows, {} columns, {} components; ".format(*found)
            + "the data set says {}, {}, {}".format(*expected),
            marker=_SOF55,
        )
    if pixels.floating:
        raise UnsupportedError("floating-point samples in a JPEG-LS codestream", feature="float")
    if header.precision > min(pixels.bits_allocated, _MOST_BITS):
        raise CodestreamError(
            f"JPEG-LS codestream of {header.precision} bits, "
            f"Bits Allocated is {pixels.bits_allocated}",
            marker=_SOF55,
        )
