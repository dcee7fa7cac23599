"""One J2K or HTJ2K frame before and after its decoder: what must agree, and with what.

The size that a codestream claims is compared with the data set before any decoder sees it,
and completeness is read off the tile-parts, since no decoder tells (it returns partial images
without a word). Decodes nothing itself.

Where SIZ and the data set disagree:

- rows, columns, components: the frame is wrong, CodestreamError;
- precision: the samples come as the codestream has them, and Bits Stored loses, as in
  pydicom; only a precision that the container (Bits Allocated) cannot hold is an error;
- signedness: the *bits* of each sample are kept, in ``precision`` bits, and read as Pixel
  Representation says: 13-bit unsigned 6192 in a signed data set is -2000 (as in pydicom).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .._native import Layout, scan
from .errors import CodestreamError, UnsupportedError, UsageError
from .pixels import Buffer, PixelArray, PixelFormat
from .reduction import reduced_size

__all__ = ["J2kFrame", "decoded_photometric", "open_frame"]

_SIZ = 0xFF51
_EOC = b"\xff\xd9"
_PSOT = 6
"""Where the length of a tile-part lies in it (ISO/IEC 15444-1 §A.4.2)."""
_MAX_REDUCE = 32
_FEW_TILES, _TILE_SAMPLES = 1024, 1024
"""Decoders spend some 15 KB on a tile before they read it: a bomb, where tiles are tiny."""
_CLAMPED_BITS = 28
"""Samples of more bits may overshoot the 32 bits of the decoders at a lower resolution, where
nothing can clamp them any more: those images are halved by area."""


@dataclass(frozen=True, slots=True)
class J2kFrame:
    """A codestream that agrees with its data set and is complete for `reduce`.

    `codestream` is bare; where it was cut it ends in EOC. `reduce` is what the codestream's
    own resolutions can do of the reduction that was asked, `left_over` the rest. `precision`
    and `signed` are the codestream's, `pixels` the data set's.
    """

    codestream: Buffer
    pixels: PixelFormat
    reduce: int
    left_over: int
    precision: int
    signed: bool
    subsampled: bool
    colour_transform: bool
    layers: int
    ht: bool

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape at `reduce`, as `PixelFormat.shape`."""
        pixels = self.pixels
        rows = reduced_size(pixels.rows, reduce=self.reduce)
        columns = reduced_size(pixels.columns, reduce=self.reduce)
        return (rows, columns) if pixels.samples == 1 else (rows, columns, pixels.samples)

    @property
    def stored_dtype(self) -> np.dtype[np.generic]:
        """The dtype of the samples as the codestream signs them, as wide as the container."""
        return np.dtype(f"{'i' if self.signed else 'u'}{self.pixels.dtype.itemsize}")

    @property
    def limits(self) -> tuple[int, int]:
        """The least and the greatest sample that the codestream can mean."""
        if self.signed:
            return -(1 << (self.precision - 1)), (1 << (self.precision - 1)) - 1
        return 0, (1 << self.precision) - 1

    def to_container(self, samples: PixelArray) -> PixelArray:
        """Read the bits of samples of `stored_dtype` as Pixel Representation says, in place."""
        if self.signed == self.pixels.signed:
            return samples
        samples = samples.view(self.pixels.dtype)
        spare = samples.dtype.itemsize * 8 - self.precision
        if spare:
            samples <<= spare
            samples >>= spare
        return samples


def open_frame(data: Buffer, *, pixels: PixelFormat, reduce: int = 0) -> J2kFrame:
    """Check one frame against its data set, and cut it to what `reduce` needs.

    Reads the native layout itself: the full `CodestreamLayout` would cost every frame of a
    series a fiftieth of its decoding.

    Raises
    ------
    CodestreamError
        No codestream, not the size that the data set says, or not complete.
    UnsupportedError
        Components of different precision or sign.
    """
    if not 0 <= reduce <= _MAX_REDUCE:
        raise UsageError(f"reduce is {reduce}, expected 0–{_MAX_REDUCE}")
    layout = scan(data, complete=reduce == 0)
    components = layout.components
    _require_agreement(layout, components, pixels)
    precision, signed, _, _ = components[0]
    bare = memoryview(data).cast("B")[layout.wrapper_bytes :]
    inside = _reduce_inside(layout, pixels, reduce) if precision <= _CLAMPED_BITS else 0
    if inside == 0:
        layout = layout if reduce == 0 else scan(data, complete=True)
        _require_complete(layout, 0)
    return J2kFrame(
        _cut(bare, layout, inside) if inside else bare,
        pixels,
        reduce=inside,
        left_over=reduce - inside,
        precision=precision,
        signed=signed,
        subsampled=any(row[2:] != (1, 1) for row in components),
        colour_transform=layout.colour_transform != 0,
        layers=layout.layers,
        ht=layout.ht,
    )


def decoded_photometric(photometric: str) -> str:
    """Photometric Interpretation of the decoded samples: component transforms are undone.

    Frames of J2K have all samples of every pixel, whatever the data set says of 4:2:2.
    """
    if photometric in ("YBR_RCT", "YBR_ICT"):
        return "RGB"
    return {"YBR_FULL_422": "YBR_FULL", "YBR_PARTIAL_422": "YBR_PARTIAL"}.get(
        photometric, photometric
    )


def _reduce_inside(layout: Layout, pixels: PixelFormat, reduce: int) -> int:
    """How much of `reduce` the codestream's resolutions can do.

    None where an image offset is no multiple of ``2**reduce``: then ISO/IEC 15444-1 §B.5
    gives the small image another size than the ``ceil(rows / 2**reduce)`` that we promise.
    """
    inside = min(reduce, layout.decompositions)
    up = (1 << inside) - 1
    left, top, right, bottom = ((side + up) >> inside for side in layout.image_area)
    rows = reduced_size(pixels.rows, reduce=inside)
    columns = reduced_size(pixels.columns, reduce=inside)
    return inside if (bottom - top, right - left) == (rows, columns) else 0


def _cut(codestream: memoryview, layout: Layout, reduce: int) -> Buffer:
    """The prefix that holds the reduction, closed by EOC so that no decoder looks further."""
    end = max((start + length for _, _, start, length in layout.tile_parts), default=0)
    if layout.cut_points is not None:
        needed = layout.cut_points[reduce]
    else:
        # A prefix whose packets prove it complete, or a whole codestream in another order.
        _require_complete(layout, reduce)
        if end <= codestream.nbytes:
            return codestream if layout.has_eoc else b"".join((codestream, _EOC))
        needed = codestream.nbytes
    if codestream.nbytes < needed:
        raise CodestreamError(
            f"{codestream.nbytes} bytes of codestream, reduce {reduce} is complete at {needed}",
            offset_bytes=codestream.nbytes,
        )
    cut = bytearray(needed + len(_EOC))
    cut[:needed], cut[needed:] = codestream[:needed], _EOC
    for _, _, start, length in layout.tile_parts:
        if start < needed < start + length:
            # The cut goes through this tile-part: Psot has to say so, or OpenJPEG refuses.
            cut[start + _PSOT : start + _PSOT + 4] = (needed - start).to_bytes(4, "big")
    return cut


def _require_complete(layout: Layout, reduce: int) -> None:
    """Refuse what ends in EOC, or in nothing, before everything for `reduce` was there."""
    tiles = 1 if layout.tiles == 1 else len({tile for tile, _, _, _ in layout.tile_parts})
    if tiles != layout.tiles:
        raise CodestreamError(f"codestream of {tiles} tiles, expected {layout.tiles}")
    if layout.complete_reduce is None or layout.complete_reduce > reduce:
        raise CodestreamError(
            f"codestream of {layout.length_bytes or 'too few'} bytes is not complete for "
            f"reduce {reduce}: {layout.why_no_cut_points}",
            offset_bytes=layout.length_bytes,
        )


def _require_agreement(
    layout: Layout, components: tuple[tuple[int, bool, int, int], ...], pixels: PixelFormat
) -> None:
    left, top, right, bottom = layout.image_area
    found = (bottom - top, right - left, len(components))
    expected = (pixels.rows, pixels.columns, pixels.samples)
    if found != expected:
        raise CodestreamError(
            "codestream of {} rows, {} columns, {} components; ".format(*found)
            + "the data set says {}, {}, {}".format(*expected),
            marker=_SIZ,
        )
    most_tiles = _FEW_TILES + pixels.rows * pixels.columns // _TILE_SAMPLES
    if layout.tiles > most_tiles:
        raise UnsupportedError(
            f"codestream of {layout.tiles} tiles, at most {most_tiles} for an image of its size",
            feature="very many tiles",
        )
    if pixels.floating:
        raise UnsupportedError("floating-point samples in a J2K codestream", feature="float")
    if len(components) > 1 and len({row[:2] for row in components}) > 1:
        raise UnsupportedError(
            "components of different precision or sign: "
            + ", ".join(f"{'signed' if row[1] else 'unsigned'} {row[0]}" for row in components),
            feature="components of different precision",
        )
    if layout.colour_transform > 1:
        raise UnsupportedError(
            "a transform between components of Part 2 (ISO/IEC 15444-2 §A.2.2)",
            feature="multi-component transforms",
        )
    if components[0][0] > pixels.dtype.itemsize * 8:
        raise CodestreamError(
            f"codestream of {components[0][0]} bits, Bits Allocated is {pixels.bits_allocated}",
            marker=_SIZ,
        )
