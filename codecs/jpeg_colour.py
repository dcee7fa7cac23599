"""What the three components of a JPEG image are, by its codestream and by its data set.

Decides names only: no sample is ever converted.
"""

from __future__ import annotations

from typing import Literal

from .jpeg_header import JpegHeader, read_jpeg_header
from .pixels import Buffer, PixelFormat

__all__ = ["codestream_format", "colour_of"]

type Colour = Literal["RGB", "YBR"]

_DECLARED = ("RGB", "YBR_FULL", "YBR_FULL_422")


def colour_of(header: JpegHeader) -> Colour | None:
    """What the codestream itself says of three DCT components, None where it says nothing.

    In this order: the identifiers "RGB"; the Adobe transform flag; chroma with fewer samples
    than luma; JFIF, whose components are YCbCr by definition. Lossless images say nothing
    (their encoders write JFIF beside RGB), nor do identifiers 1, 2, 3.
    """
    if len(header.components) != 3 or header.lossless:
        return None
    if bytes(row.identifier for row in header.components).upper() == b"RGB":
        return "RGB"
    if header.adobe_transform is not None:
        return "YBR" if header.adobe_transform else "RGB"
    return "YBR" if header.subsampled or header.has_jfif else None


def codestream_format(data: Buffer, *, pixels: PixelFormat) -> PixelFormat:
    """`pixels` with the Photometric Interpretation that the codestream itself has.

    Changes RGB to YBR_FULL, or YBR_FULL and YBR_FULL_422 to RGB, where the codestream
    contradicts the data set, and nothing else: "the Pixel Data characteristics included in
    the JPEG Interchange Format shall be used to decode" (PS3.5 §8.2.1).

    Parameters
    ----------
    data
        A whole frame; not looked at where `pixels` has no three components.

    Raises
    ------
    CodestreamError, UnsupportedError
        `data` is no whole JPEG image, or of a process that we lack.
    """
    if pixels.samples != 3 or pixels.photometric not in _DECLARED:
        return pixels
    colour = colour_of(read_jpeg_header(data))
    if colour is None or pixels.photometric.startswith(colour):
        return pixels
    return pixels.with_(photometric="RGB" if colour == "RGB" else "YBR_FULL")
