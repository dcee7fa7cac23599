"""The second opinion: decode J2K and HTJ2K with an implementation other than the writer's.

OpenJPEG through pylibjpeg-openjpeg, against OpenJPH. It holds the GIL, so callers who want
to go on meanwhile run it in worker processes.
"""

from __future__ import annotations

from openjpeg.utils import decode

from .errors import CodestreamError, ResourceError, UnsupportedError
from .j2k_frame import open_frame
from .openjpeg import MAX_PRECISION
from .pixels import Buffer, PixelArray, PixelFormat

__all__ = ["decode_independently"]


def decode_independently(data: Buffer, *, pixels: PixelFormat) -> PixelArray:
    """Decode one whole J2K or HTJ2K frame.

    Returns
    -------
    PixelArray
        As `Codec.decode`: exact in precision and sign, read as Pixel Representation says.

    Raises
    ------
    CodestreamError
        The frame is not what `pixels` says, not complete, or OpenJPEG refuses it.
    UnsupportedError
        More bits than OpenJPEG keeps exactly: there is no second opinion to be had.
    ResourceError
        No memory for the image.
    """
    frame = open_frame(data, pixels=pixels)
    if frame.precision > MAX_PRECISION:
        raise UnsupportedError(
            f"no independent decoder is exact for {frame.precision} bits, at most {MAX_PRECISION}",
            feature=f"independent decoding of {frame.precision} bits",
        )
    try:
        samples = decode(bytes(frame.codestream), 0)
    except RuntimeError as error:
        raise CodestreamError(f"OpenJPEG cannot decode the codestream: {error}") from error
    except MemoryError as error:
        raise ResourceError(f"no memory for a decoded image of {frame.shape}") from error
    if samples.shape != frame.shape:
        raise UnsupportedError(
            f"the independent decoder made {samples.shape} of an image of {frame.shape}: "
            "it misreads image offsets",
            feature="independent decoding of an image offset",
        )
    return frame.to_container(samples.astype(frame.stored_dtype))
