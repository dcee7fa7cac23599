"""JPEG (PS3.5 §8.2.1, §A.4.1; ISO/IEC 10918-1): decode every process; encode Baseline, Lossless.

What the components mean is the data set's to say, so they come out as the codestream has them:

- No colour conversion, ever: not for an Adobe marker, not for JFIF, not without either.
  Photometric Interpretation RGB gives the three components as they are, YBR_FULL and
  YBR_FULL_422 give Y, Cb and Cr. Chroma that was subsampled is interpolated to full size, so
  YBR_FULL_422 comes out as YBR_FULL.
- Where the codestream says something else of its colours than the data set (an RGB data set
  around a JFIF image), `jpeg_colour.codestream_format` names the Photometric Interpretation
  that is right. The samples are the same either way.
- Precision may be more or less than Bits Stored. Lossless samples come as they are. A signed
  data set reads the `precision` bits of each sample as two's complement. DCT decoding
  overshoots: what ends beyond Bits Stored is clamped to it.
- Rows, columns and components that are not the data set's are an error.

The UID decides what is written, never what can be read: files that name another JPEG process
than they hold are common.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version

import imagecodecs
import numpy as np

from .codec import Codec, Encoded
from .errors import CodestreamError, ResourceError, UnsupportedError, UsageError
from .jpeg_header import JpegHeader, read_jpeg_header
from .jpeg_writing import require_baseline_form, write_baseline, write_lossless
from .pixels import Buffer, PixelArray, PixelFormat
from .quality import DEFAULT_QUALITY, Quality
from .reduction import halve
from .samples import require_samples
from .syntaxes import JPEG_BASELINE, JPEG_LOSSLESS_SV1

__all__ = ["JpegCodec", "open_codec", "require_agreement", "to_container"]

_SOF = 0xFFC0
_NAMES = {
    "51": "jpeg-extended",
    "52": "jpeg-extended-arithmetic",
    "53": "jpeg-spectral",
    "54": "jpeg-spectral-arithmetic",
    "55": "jpeg-progressive",
    "56": "jpeg-progressive-arithmetic",
    "57": "jpeg-lossless-any-predictor",
}
_UNCONVERTED = {3: "RGB", 4: "CMYK"}
"""A colour space of that many components, named on both sides so that nothing is converted."""


@dataclass(frozen=True, slots=True)
class JpegCodec:
    """One of the JPEG transfer syntaxes, by libjpeg-turbo.

    `writes` says whether it encodes at all: lossless (predictor 1), or Baseline at `quality`.
    """

    name: str
    writes: bool = False
    quality: Quality | None = None
    library: str = f"imagecodecs {version('imagecodecs')}"

    def decoded_format(self, pixels: PixelFormat) -> PixelFormat:
        """Every sample of every pixel: YBR_FULL_422 comes out as YBR_FULL, colour-by-pixel."""
        return pixels.with_(planar=0, photometric=pixels.photometric.removesuffix("_422"))

    def encoded_format(self, pixels: PixelFormat) -> PixelFormat:
        """Lossless: what it is. Baseline: colour as YBR_FULL_422, Bits Allocated 8."""
        self._require_writing()
        if self.quality is None:
            _require_lossless_form(pixels)
            return pixels.with_(planar=0)
        require_baseline_form(pixels)
        colour = pixels.samples == 3
        return pixels.with_(
            planar=0,
            photometric="YBR_FULL_422" if colour else pixels.photometric,
            bits_allocated=8,
            high_bit=pixels.bits_stored - 1,
        )

    def decode(self, data: Buffer, *, pixels: PixelFormat, reduce: int = 0) -> PixelArray:
        """Decode a whole frame; `reduce` halves the decoded image by area."""
        header = read_jpeg_header(data)
        require_agreement(header, pixels)
        samples = _decode(memoryview(data).cast("B")[: header.end_bytes], header)
        return halve(to_container(samples, header, pixels), pixels=pixels, reduce=reduce)

    def encode(self, samples: PixelArray, *, pixels: PixelFormat) -> Encoded:
        """Encode a frame. Lossless keeps whole containers where unused bits hold something."""
        self.encoded_format(pixels)
        samples = require_samples(samples, pixels=pixels)
        if self.quality is None:
            data = write_lossless(samples, pixels=pixels)
            return Encoded(data, lossy=False, ratio=pixels.decoded_bytes / len(data))
        return write_baseline(samples, pixels=pixels, quality=self.quality)

    def _require_writing(self) -> None:
        if not self.writes:
            raise UnsupportedError(f"{self.name} is not encoded here", feature=self.name)


def open_codec(uid: str, *, quality: Quality | None = None) -> Codec:
    """The codec of a JPEG transfer syntax; .50 is written at `quality`."""
    if uid == JPEG_BASELINE:
        return JpegCodec("jpeg-baseline", writes=True, quality=quality or DEFAULT_QUALITY)
    if quality is not None:
        raise UsageError(f"{uid} takes no quality")
    if uid == JPEG_LOSSLESS_SV1:
        return JpegCodec("jpeg-lossless", writes=True)
    return JpegCodec(_NAMES[uid.rpartition(".")[2]])


def require_agreement(header: JpegHeader, pixels: PixelFormat) -> None:
    """Refuse a codestream that is not of the size, or not for the container, of `pixels`.

    Raises
    ------
    CodestreamError, UnsupportedError
    """
    found = (header.rows, header.columns, len(header.components))
    expected = (pixels.rows, pixels.columns, pixels.samples)
    if found != expected:
        raise CodestreamError(
            "JPEG codestream of {} rows, {} columns, {} components; ".format(*found)
            + "the data set says {}, {}, {}".format(*expected),
            marker=_SOF | (header.process & 15),
        )
    if pixels.floating or pixels.bits_allocated == 1:
        what = "float samples" if pixels.floating else "Bits Allocated 1"
        raise UnsupportedError(f"{what} in a JPEG codestream", feature=f"JPEG of {what}")
    if header.precision > pixels.bits_allocated:
        raise CodestreamError(
            f"JPEG codestream of {header.precision} bits, "
            f"Bits Allocated is {pixels.bits_allocated}",
            marker=_SOF | (header.process & 15),
        )
    if header.lossless and header.subsampled:
        raise UnsupportedError(
            "lossless JPEG whose components have different sampling", feature="subsampled lossless"
        )


def _decode(codestream: memoryview, header: JpegHeader) -> PixelArray:
    space = _UNCONVERTED.get(len(header.components))
    shape: tuple[int, ...] = (header.rows, header.columns)
    if len(header.components) > 1:
        shape = (*shape, len(header.components))
    try:
        samples = imagecodecs.jpeg8_decode(codestream, colorspace=space, outcolorspace=space)
    except (imagecodecs.Jpeg8Error, ValueError) as error:
        raise CodestreamError(f"libjpeg-turbo cannot decode the codestream: {error}") from error
    except MemoryError as error:
        raise ResourceError(f"no memory for a decoded image of {shape}") from error
    if samples.shape != shape:
        raise CodestreamError(f"libjpeg-turbo decoded {samples.shape}, expected {shape}")
    return samples


def to_container(samples: PixelArray, header: JpegHeader, pixels: PixelFormat) -> PixelArray:
    """Samples of `precision` bits as Pixel Representation, Bits Stored and Allocated have them."""
    samples = samples.astype(f"u{pixels.dtype.itemsize}", copy=False)
    if pixels.signed:
        samples = samples.view(pixels.dtype)
        spare = samples.dtype.itemsize * 8 - header.precision
        if spare:
            samples <<= spare
            samples >>= spare
    beyond = header.precision > pixels.bits_stored == pixels.high_bit + 1
    if beyond and not header.lossless:
        low = -(1 << (pixels.bits_stored - 1)) if pixels.signed else 0
        np.clip(samples, low, low + (1 << pixels.bits_stored) - 1, out=samples)
    return samples


def _require_lossless_form(pixels: PixelFormat) -> None:
    missing = None
    if pixels.floating or pixels.bits_allocated not in (8, 16):
        kind = "float samples" if pixels.floating else "Bits Allocated"
        missing = f"{kind} {pixels.bits_allocated}"
    elif pixels.photometric in ("YBR_FULL_422", "YBR_PARTIAL_422", "YBR_RCT", "YBR_ICT"):
        missing = f"{pixels.photometric} arrays"
    if missing is not None:
        raise UnsupportedError(f"lossless JPEG has no form here for {missing}", feature=missing)
