"""OpenJPEG through imagecodecs: J2K and HTJ2K codestreams that have been checked, to samples.

Releases the GIL and clamps. Reads what OpenJPH cannot: Part 1 block coding, subsampled
components (repeated to full size), image offsets.
"""

from __future__ import annotations

import imagecodecs

from .errors import CodestreamError, ResourceError, UnsupportedError
from .j2k_frame import J2kFrame
from .pixels import PixelArray

__all__ = ["MAX_PRECISION", "decode_with_openjpeg"]

MAX_PRECISION = 26
"""OpenJPEG 2.5 computes in 32 bits: full-range samples of 27 bits still pass through RCT and
the wavelet, of 28 and more they fail or come out wrong."""


def decode_with_openjpeg(frame: J2kFrame) -> PixelArray:
    """The samples of `frame` at its `reduce`, in a dtype of the codestream's sign.

    Raises
    ------
    CodestreamError
        OpenJPEG refuses the codestream, or it has another size than its header said.
    UnsupportedError
        More bits than OpenJPEG keeps exactly.
    ResourceError
        No memory for the image.
    """
    if frame.precision > MAX_PRECISION:
        raise UnsupportedError(
            f"OpenJPEG is not exact for {frame.precision} bits, at most {MAX_PRECISION}",
            feature=f"J2K of {frame.precision} bits",
        )
    try:
        samples = imagecodecs.jpeg2k_decode(
            frame.codestream, planar=False, skipres=frame.reduce, numthreads=1
        )
    except (imagecodecs.Jpeg2kError, ValueError, RuntimeError) as error:
        if frame.subsampled:
            raise UnsupportedError(
                f"components subsampled in a way that OpenJPEG here does not undo: {error}",
                feature="subsampled components",
            ) from error
        raise CodestreamError(f"OpenJPEG cannot decode the codestream: {error}") from error
    except MemoryError as error:
        raise ResourceError(f"no memory for a decoded image of {frame.shape}") from error
    if samples.shape != frame.shape:
        raise CodestreamError(f"OpenJPEG decoded {samples.shape}, expected {frame.shape}")
    return samples.astype(frame.stored_dtype, copy=False)
