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

from .codestream import CodestreamLayout, scan_codestream
from .codestream import reduced_size as layout_size
from .errors import CodestreamError, UnsupportedError, UsageError
from .pixels import Buffer, PixelArray, PixelFormat
from .reduction import reduced_size

__all__ = ["J2kFrame", "decoded_photometric", "open_frame"]

_SIZ = 0xFF51
_EOC = b"\xff\xd9"
_MAX_REDUCE = 32


@dataclass(frozen=True, slots=True)
class J2kFrame:
    """A codestream that agrees with its data set and is complete for `reduce`.

    `codestream` is bare and ends in EOC or holds everything; `reduce` is what the
    codestream's own resolutions can do of the reduction that was asked, `left_over` the rest.
    """

    codestream: Buffer
    layout: CodestreamLayout
    pixels: PixelFormat
    reduce: int
    left_over: int

    @property
    def precision(self) -> int:
        return self.layout.precision[0]

    @property
    def signed(self) -> bool:
        return self.layout.signed[0]

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape at `reduce`, as `PixelFormat.shape`."""
        rows = reduced_size(self.pixels.rows, reduce=self.reduce)
        columns = reduced_size(self.pixels.columns, reduce=self.reduce)
        return (rows, columns, *self.pixels.shape[2:])

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
        """Read the bits of decoded samples as Pixel Representation says; may write to them."""
        dtype = self.pixels.dtype
        if self.signed != self.pixels.signed:
            samples = samples.view(dtype)
            spare = dtype.itemsize * 8 - self.precision
            if spare:
                samples <<= spare
                samples >>= spare
            return samples
        return samples.astype(dtype, copy=False)


def open_frame(data: Buffer, *, pixels: PixelFormat, reduce: int = 0) -> J2kFrame:
    """Check one frame against its data set, and cut it to what `reduce` needs.

    Raises
    ------
    CodestreamError
        No codestream, not the size that the data set says, or not complete.
    UnsupportedError
        Components of different precision or sign.
    """
    if not 0 <= reduce <= _MAX_REDUCE:
        raise UsageError(f"reduce is {reduce}, expected 0–{_MAX_REDUCE}")
    layout = scan_codestream(data, complete=reduce == 0)
    _require_agreement(layout, pixels)
    inside = min(reduce, layout.decompositions)
    wanted = tuple(reduced_size(side, reduce=inside) for side in (pixels.columns, pixels.rows))
    if layout_size(layout, inside) != wanted:
        # An image offset that is no multiple of 2**reduce: its small image has another size.
        inside = 0
    bare = memoryview(data).cast("B")[layout.jp2_offset :]
    codestream = _cut(data, bare, layout, inside) if reduce else bare
    return J2kFrame(codestream, layout, pixels, inside, reduce - inside)


def decoded_photometric(photometric: str) -> str:
    """Photometric Interpretation of the decoded samples: component transforms are undone.

    Frames of J2K have all samples of every pixel, whatever the data set says of 4:2:2.
    """
    if photometric in ("YBR_RCT", "YBR_ICT"):
        return "RGB"
    return {"YBR_FULL_422": "YBR_FULL", "YBR_PARTIAL_422": "YBR_PARTIAL"}.get(
        photometric, photometric
    )


def _cut(data: Buffer, codestream: memoryview, layout: CodestreamLayout, reduce: int) -> Buffer:
    """The prefix that holds the reduction, closed by EOC so that no decoder looks further."""
    if reduce == 0 or layout.cut_points is None:
        scan_codestream(data, complete=True)
        return codestream
    needed = layout.cut_points[reduce]
    if codestream.nbytes < needed:
        raise CodestreamError(
            f"{codestream.nbytes} bytes of codestream, reduce {reduce} is complete at {needed}",
            offset_bytes=codestream.nbytes,
        )
    return b"".join((codestream[:needed], _EOC))


def _require_agreement(layout: CodestreamLayout, pixels: PixelFormat) -> None:
    found = (layout.height, layout.width, layout.components)
    expected = (pixels.rows, pixels.columns, pixels.samples)
    if found != expected:
        raise CodestreamError(
            "codestream of {} rows, {} columns, {} components; ".format(*found)
            + "the data set says {}, {}, {}".format(*expected),
            marker=_SIZ,
        )
    if pixels.floating:
        raise UnsupportedError("floating-point samples in a J2K codestream", feature="float")
    if len(set(layout.precision)) > 1 or len(set(layout.signed)) > 1:
        raise UnsupportedError(
            f"components of different precision {layout.precision} or sign {layout.signed}",
            feature="components of different precision",
        )
    if layout.precision[0] > pixels.dtype.itemsize * 8:
        raise CodestreamError(
            f"codestream of {layout.precision[0]} bits, Bits Allocated is {pixels.bits_allocated}",
            marker=_SIZ,
        )
