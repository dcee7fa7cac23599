"""The second opinion on lossless JPEG: liblj92, against libjpeg-turbo that wrote it.

liblj92 knows neither restart intervals nor point transforms, nor a scan for each component,
and returns wrong samples where it meets them: what has any of them is refused here. Our own
encoder writes none.
"""

from __future__ import annotations

import imagecodecs

from .errors import CodestreamError, ResourceError, UnsupportedError
from .jpeg import require_agreement, to_container
from .jpeg_header import read_jpeg_header
from .pixels import Buffer, PixelArray, PixelFormat

__all__ = ["decode_lossless_independently"]


def decode_lossless_independently(data: Buffer, *, pixels: PixelFormat) -> PixelArray:
    """Decode one whole frame of lossless JPEG.

    Returns
    -------
    PixelArray
        As `Codec.decode`.

    Raises
    ------
    CodestreamError
        The frame is not what `pixels` says, or liblj92 refuses it.
    UnsupportedError
        Not lossless, or with what liblj92 does not know.
    ResourceError
        No memory for the image.
    """
    header = read_jpeg_header(data)
    require_agreement(header, pixels)
    if not header.lossless or header.restart_interval or header.point_transform or header.scans > 1:
        raise UnsupportedError(
            "no independent decoder for DCT, restart intervals, a point transform, several scans",
            feature="independent decoding of this JPEG",
        )
    try:
        samples = imagecodecs.ljpeg_decode(memoryview(data).cast("B")[: header.end_bytes])
    except (imagecodecs.LjpegError, ValueError) as error:
        raise CodestreamError(f"liblj92 cannot decode the codestream: {error}") from error
    except MemoryError as error:
        raise ResourceError(f"no memory for a decoded image of {pixels.shape}") from error
    if samples.shape != pixels.shape:
        raise CodestreamError(f"liblj92 decoded {samples.shape}, expected {pixels.shape}")
    return to_container(samples, header, pixels)
