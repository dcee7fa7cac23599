"""RLE Lossless (PS3.5 §A.4.2, §8.2.2, Annex G): each byte of the samples a plane, PackBits.

Containers are kept as stored, unused bits with them. Never reads past a segment, never
writes past a plane, whatever the runs say.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np

from . import kernels
from .codec import Codec, Encoded
from .encapsulated_form import full_samples, require_form
from .errors import FormatError, UnsupportedError, UsageError
from .pixels import Buffer, PixelArray, PixelFormat
from .quality import Quality
from .reduction import halve
from .samples import require_samples

__all__ = ["RleCodec", "open_codec"]

_HEADER = struct.Struct("<16I")
"""The number of segments, and the offsets of 15 (PS3.5 §G.5)."""
_MOST_SEGMENTS = 15
_MOST_EXPANSION = 64
"""128 bytes from two are the most that a run can do."""
_BITS_ALLOCATED = (8, 16, 32, 64)


@dataclass(frozen=True, slots=True)
class RleCodec:
    """Run-length encoded frames. All have the samples of a colour in planes of their own;
    Planar Configuration says 0 beside them (PS3.5 §G.2, Note 2)."""

    name: str = "rle"
    library: str = "numpy"

    def decoded_format(self, pixels: PixelFormat) -> PixelFormat:
        """Colour-by-pixel, else unchanged."""
        return full_samples(pixels)

    def encoded_format(self, pixels: PixelFormat) -> PixelFormat:
        """Unchanged, Planar Configuration 0."""
        require_form(pixels, syntax="RLE", bits_allocated=_BITS_ALLOCATED)
        _require_segments(pixels)
        return full_samples(pixels)

    def decode(self, data: Buffer, *, pixels: PixelFormat, reduce: int = 0) -> PixelArray:
        """The samples of one frame, halved `reduce` times by area."""
        if pixels.bits_allocated not in _BITS_ALLOCATED or pixels.floating:
            raise UnsupportedError(
                f"RLE of Bits Allocated {pixels.bits_allocated}"
                f"{' float' * pixels.floating}, expected 8, 16, 32 or 64 (PS3.5 §8.2.2)",
                feature=f"RLE of Bits Allocated {pixels.bits_allocated}",
            )
        octets = np.frombuffer(data, dtype=np.uint8)
        bounds = _segment_bounds(octets, pixels)
        out = np.empty(pixels.shape, dtype=pixels.dtype.newbyteorder("<"))
        planes = out.reshape(-1).view(np.uint8).reshape(pixels.rows * pixels.columns, -1)
        fault, segment, place = kernels.unpack_planes(
            octets, bounds=bounds, lanes=_lanes(pixels), out=planes
        )
        if fault:
            what = "ends before" if fault == 1 else "goes on after"
            raise FormatError(
                f"RLE segment {segment + 1} of {bounds.size - 1} {what} the last of its "
                f"{len(planes)} bytes",
                offset_bytes=place,
            )
        samples = out.astype(pixels.dtype, copy=False)
        return halve(samples, pixels=full_samples(pixels), reduce=reduce)

    def encode(self, samples: PixelArray, *, pixels: PixelFormat) -> Encoded:
        """Runs of every row by itself, segments of even length (PS3.5 §G.3.1)."""
        self.encoded_format(pixels)
        samples = require_samples(samples, pixels=pixels)
        little = samples.astype(samples.dtype.newbyteorder("<"), copy=False)
        octets = little.reshape(-1).view(np.uint8).reshape(pixels.rows * pixels.columns, -1)
        packed, bounds = kernels.pack_planes(octets, lanes=_lanes(pixels), columns=pixels.columns)
        count = bounds.size - 1
        offsets = (bounds[:-1] + _HEADER.size).tolist() + [0] * (_MOST_SEGMENTS - count)
        data = b"".join((_HEADER.pack(count, *offsets), packed.data))
        return Encoded(data, lossy=False, ratio=pixels.decoded_bytes / len(data))


def open_codec(uid: str, *, quality: Quality | None = None) -> Codec:  # noqa: ARG001
    """The codec of RLE Lossless."""
    if quality is not None:
        raise UsageError("RLE is lossless and takes no quality")
    return RleCodec()


def _require_segments(pixels: PixelFormat) -> int:
    count = pixels.samples * pixels.dtype.itemsize
    if count > _MOST_SEGMENTS:
        raise UnsupportedError(
            f"{pixels.samples} samples of {pixels.bits_allocated} bits are {count} RLE segments, "
            f"a frame has at most {_MOST_SEGMENTS} (PS3.5 §G.5)",
            feature=f"RLE of {count} segments",
        )
    return count


def _lanes(pixels: PixelFormat) -> PixelArray:
    """Which byte of a pixel each segment holds: sample by sample, most significant first."""
    width = pixels.dtype.itemsize
    lanes = np.arange(pixels.samples * width).reshape(pixels.samples, width)
    return lanes[:, ::-1].reshape(-1).copy()


def _segment_bounds(octets: PixelArray, pixels: PixelFormat) -> PixelArray:
    """Where the segments begin and end, by the RLE Header."""
    expected = _require_segments(pixels)
    if octets.size < _HEADER.size:
        raise FormatError(
            f"RLE frame of {octets.size} bytes, its header alone has {_HEADER.size}",
            offset_bytes=octets.size,
        )
    count, *offsets = _HEADER.unpack_from(octets.data)
    if count != expected:
        raise FormatError(
            f"RLE frame of {count} segments, expected {expected} "
            f"({pixels.samples} samples of {pixels.bits_allocated} bits)",
            offset_bytes=0,
        )
    least = _HEADER.size
    for index, offset in enumerate(offsets[:count]):
        if not least <= offset < octets.size:
            raise FormatError(
                f"RLE segment {index + 1} at offset {offset}, "
                f"expected {least} to {octets.size - 1}",
                offset_bytes=4 * (index + 1),
            )
        least = offset + 1
    bounds = np.array([*offsets[:count], octets.size], dtype=np.int64)
    lengths = np.diff(bounds)
    plane = pixels.rows * pixels.columns
    if plane > _MOST_EXPANSION * int(lengths.min()):
        segment = int(lengths.argmin())
        raise FormatError(
            f"RLE segment {segment + 1} of {lengths[segment]} bytes, too few for {plane} bytes",
            offset_bytes=int(bounds[segment]),
        )
    return bounds
