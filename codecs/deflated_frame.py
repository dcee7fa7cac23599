"""Deflated Image Frame Compression (PS3.5 §A.4.13, §8.2.16): an uncompressed frame, deflated.

Raw deflate (RFC 1951), a stream for each frame. What a stream may inflate to is known before
it is touched, and no more than that is ever made of it. Frames of Bits Allocated 1 are packed
each by itself, from a byte on.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version

import imagecodecs
import numpy as np

from .codec import Codec, Encoded
from .encapsulated_form import full_samples, require_form
from .errors import FormatError, ResourceError, UsageError
from .pixels import Buffer, PixelArray, PixelFormat
from .quality import Quality
from .uncompressed import UncompressedCodec

__all__ = ["DeflatedFrameCodec", "open_codec"]

_LEVEL = 6
_MOST_EXPANSION = 1032
"""258 bytes from two bits are the most that deflate can do (RFC 1951 §3.2.5)."""
_LITTLE_ENDIAN = UncompressedCodec()


@dataclass(frozen=True, slots=True)
class DeflatedFrameCodec:
    """Explicit VR Little Endian frames through libdeflate."""

    name: str = "deflated-frame"
    library: str = f"imagecodecs {version('imagecodecs')}"

    def decoded_format(self, pixels: PixelFormat) -> PixelFormat:
        """As for an uncompressed frame: colour-by-pixel, every sample of 4:2:2."""
        return full_samples(pixels)

    def encoded_format(self, pixels: PixelFormat) -> PixelFormat:
        """Unchanged, colour-by-pixel."""
        require_form(pixels, syntax="a deflated frame", bits_allocated=(1, 8, 16, 32, 64))
        return full_samples(pixels)

    def decode(self, data: Buffer, *, pixels: PixelFormat, reduce: int = 0) -> PixelArray:
        """Inflate one frame; `data` may be longer than its stream (padding)."""
        octets = _inflate(data, size=-(-pixels.frame_bits // 8))
        return _LITTLE_ENDIAN.decode(
            octets.data, pixels=pixels.with_(swapped_words=False), reduce=reduce
        )

    def encode(self, samples: PixelArray, *, pixels: PixelFormat) -> Encoded:
        """Deflate one frame."""
        plain = _LITTLE_ENDIAN.encode(samples, pixels=self.encoded_format(pixels)).data
        data = bytes(imagecodecs.deflate_encode(plain, _LEVEL, raw=True))
        return Encoded(data, lossy=False, ratio=pixels.decoded_bytes / len(data))


def open_codec(uid: str, *, quality: Quality | None = None) -> Codec:  # noqa: ARG001
    """The codec of Deflated Image Frame Compression."""
    if quality is not None:
        raise UsageError("deflated frames are lossless and take no quality")
    return DeflatedFrameCodec()


def _inflate(data: Buffer, *, size: int) -> PixelArray:
    """Exactly `size` bytes: a stream of fewer or more is an error, found within `size`."""
    stream = memoryview(data).cast("B")
    if size > _MOST_EXPANSION * stream.nbytes:
        raise FormatError(
            f"deflated frame of {stream.nbytes} bytes, too few to inflate to {size}",
            offset_bytes=stream.nbytes,
        )
    try:
        octets = np.empty(size, dtype=np.uint8)
        found = imagecodecs.deflate_decode(stream, raw=True, out=octets.data)
    except imagecodecs.DeflateError as error:
        raise FormatError(
            f"deflated frame of {stream.nbytes} bytes does not inflate to {size} bytes: {error}"
        ) from error
    except MemoryError as error:
        raise ResourceError(f"no memory for a frame of {size} bytes") from error
    if len(found) != size:
        raise FormatError(f"deflated frame inflates to {len(found)} bytes, expected {size}")
    return octets
