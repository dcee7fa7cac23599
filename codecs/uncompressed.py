"""Uncompressed frames: Implicit and Explicit VR Little Endian, deflated, Explicit VR Big Endian.

The transfer syntax decides the byte order and nothing else here: deflation belongs to the
data set, so frames of a deflated one come inflated. Samples are the containers as stored;
unused bits are kept.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from . import kernels
from .codec import Codec, Encoded
from .errors import FormatError, UnsupportedError, UsageError
from .pixels import Buffer, PixelArray, PixelFormat
from .quality import Quality
from .reduction import halve
from .samples import require_samples
from .syntaxes import EXPLICIT_BE, EXPLICIT_LE

__all__ = ["UncompressedCodec", "align_bits", "open_codec"]

_SUBSAMPLED = ("YBR_FULL_422", "YBR_PARTIAL_422")


@dataclass(frozen=True, slots=True)
class UncompressedCodec:
    """Samples as they lie in Pixel Data (PS3.5 §8.1.1, §8.2).

    Big-endian: containers of 16 bits and more are swapped; 8-bit and 1-bit samples only
    where they were written as 16-bit words (VR OW), which `PixelFormat.swapped_words` says,
    since no byte of the frame does.
    """

    big_endian: bool = False
    writable: bool = True
    name: str = "explicit-le"
    library: str = "numpy"

    def decoded_format(self, pixels: PixelFormat) -> PixelFormat:
        """Colour-by-pixel; 4:2:2 comes out with every sample (YBR_FULL)."""
        changed = pixels.with_(planar=0, swapped_words=False)
        if pixels.photometric in _SUBSAMPLED:
            return changed.with_(photometric=pixels.photometric.removesuffix("_422"))
        return changed

    def encoded_format(self, pixels: PixelFormat) -> PixelFormat:
        """What `encode` writes: colour-by-pixel, little-endian."""
        if not self.writable:
            raise UnsupportedError(
                f"{self.name} is only read; {EXPLICIT_LE} is what we write", feature=self.name
            )
        if pixels.photometric in _SUBSAMPLED:
            raise UnsupportedError(
                f"{pixels.photometric} arrays are full samples and must say so (YBR_FULL)",
                feature=pixels.photometric,
            )
        return pixels.with_(planar=0, swapped_words=False)

    def decode(self, data: Buffer, *, pixels: PixelFormat, reduce: int = 0) -> PixelArray:
        """The samples of one frame; a view of `data` where `data` is writable and lies right.

        Bits Allocated 1 starts at the first bit of `data`: :func:`align_bits` brings other
        frames there. `data` may be longer than the frame (padding).
        """
        octets = _octets(data, pixels=pixels)
        if self.big_endian and pixels.swapped_words and pixels.bits_allocated <= 8:
            octets = _swap_words(octets)
        return halve(self._unpack(octets, pixels), pixels=pixels, reduce=reduce)

    def encode(self, samples: PixelArray, *, pixels: PixelFormat) -> Encoded:
        """Little-endian bytes, colour-by-pixel; Bits Allocated 1 is packed, each frame alone."""
        self.encoded_format(pixels)
        samples = require_samples(samples, pixels=pixels)
        if pixels.bits_allocated == 1:
            if samples.size and int(samples.max()) > 1:
                raise UnsupportedError(
                    f"a sample is {int(samples.max())}, Bits Allocated 1 holds 0 and 1",
                    feature="samples outside Bits Stored",
                )
            return Encoded(kernels.pack_bits(samples.reshape(-1)).tobytes(), False, 1.0)
        little = samples.astype(samples.dtype.newbyteorder("<"), copy=False)
        return Encoded(little.tobytes(), lossy=False, ratio=1.0)

    def _unpack(self, octets: PixelArray, pixels: PixelFormat) -> PixelArray:
        count = pixels.rows * pixels.columns * pixels.samples
        if pixels.bits_allocated == 1:
            return _planes_to_pixels(kernels.unpack_bits(octets, count=count), pixels)
        if pixels.photometric in _SUBSAMPLED:
            return _unpack_422(octets, pixels)
        dtype = pixels.dtype.newbyteorder(">" if self.big_endian else "<")
        stored = octets[: count * dtype.itemsize].view(dtype)
        if stored.dtype != pixels.dtype:
            stored = stored.astype(pixels.dtype)
        elif not stored.flags.writeable and not (pixels.samples > 1 and pixels.planar):
            stored = stored.copy()
        return _planes_to_pixels(stored, pixels)


def align_bits(data: Buffer, *, bit_offset: int, bit_count: int) -> bytes:
    """Move `bit_count` bits that start at bit `bit_offset` of `data` to the first bit.

    Bits count from the least significant of each byte (PS3.5 §8.2); the bits after the last
    are 0. Frames of Bits Allocated 1 that do not start on a byte need this.

    Raises
    ------
    FormatError
        `data` ends before the last bit.
    """
    if not 0 <= bit_offset <= 7:
        raise UsageError(f"bit offset {bit_offset}, expected 0–7")
    octets = np.frombuffer(data, dtype=np.uint8)
    if octets.size * 8 < bit_offset + bit_count:
        raise FormatError(
            f"{octets.size * 8 - bit_offset} bits from bit {bit_offset} on, expected {bit_count}",
            offset_bytes=octets.size,
        )
    return kernels.align_bits(octets, bit_offset=bit_offset, bit_count=bit_count).tobytes()


def open_codec(uid: str, *, quality: Quality | None = None) -> Codec:
    """The codec of an uncompressed transfer syntax."""
    if quality is not None:
        raise UsageError("uncompressed frames take no quality")
    if uid == EXPLICIT_BE:
        return UncompressedCodec(big_endian=True, writable=False, name="explicit-be")
    if uid == EXPLICIT_LE:
        return UncompressedCodec()
    return UncompressedCodec(writable=False, name="uncompressed-le")


def _octets(data: Buffer, *, pixels: PixelFormat) -> PixelArray:
    """The bytes of the frame, as uint8; never fewer than the format needs."""
    if pixels.photometric in _SUBSAMPLED:
        _require_422(pixels)
    needed = -(-pixels.frame_bits // 8)
    view = memoryview(data)
    if view.nbytes < needed:
        raise FormatError(
            f"uncompressed frame of {view.nbytes} bytes, expected {needed} "
            f"({pixels.rows} x {pixels.columns} x {pixels.samples}, "
            f"{pixels.bits_allocated} bits allocated)",
            offset_bytes=view.nbytes,
        )
    return np.frombuffer(view, dtype=np.uint8)


def _swap_words(octets: PixelArray) -> PixelArray:
    """Undo the order of big-endian 16-bit words that hold bytes."""
    if octets.size % 2:
        raise UnsupportedError(
            f"big-endian OW frame of {octets.size} bytes: frames that end inside a word",
            feature="big-endian OW frames of odd length",
        )
    return octets.view(np.uint16).byteswap().view(np.uint8)


def _planes_to_pixels(flat: PixelArray, pixels: PixelFormat) -> PixelArray:
    if pixels.samples == 1 or not pixels.planar:
        return flat.reshape(pixels.shape)
    planes = flat.reshape(pixels.samples, pixels.rows, pixels.columns)
    return kernels.planes_to_pixels(planes)


def _require_422(pixels: PixelFormat) -> None:
    if pixels.bits_allocated != 8 or pixels.samples != 3:
        raise UnsupportedError(
            f"uncompressed {pixels.photometric} of {pixels.samples} samples and "
            f"{pixels.bits_allocated} bits allocated, expected 3 and 8",
            feature=f"uncompressed {pixels.photometric} other than 8-bit",
        )
    if pixels.columns % 2:
        raise FormatError(
            f"uncompressed {pixels.photometric} with {pixels.columns} Columns, "
            "expected an even number (PS3.3 §C.7.6.3.1.2)"
        )


def _unpack_422(octets: PixelArray, pixels: PixelFormat) -> PixelArray:
    count = pixels.rows * pixels.columns
    return kernels.unpack_422(octets[: 2 * count]).reshape(pixels.shape)
