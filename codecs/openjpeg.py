"""OpenJPEG through imagecodecs: checked J2K and HTJ2K codestreams to samples; samples to J2K.

Releases the GIL and clamps. Reads what OpenJPH cannot: Part 1 block coding, subsampled
components (repeated to full size), image offsets. Knows nothing of DICOM's attributes on the
way out: the samples it gets fit their precision.
"""

from __future__ import annotations

import math
from typing import Any

import imagecodecs

from .errors import CodestreamError, ResourceError, UnsupportedError
from .j2k_frame import J2kFrame
from .pixels import PixelArray

__all__ = [
    "MAX_PRECISION",
    "MAX_WRITTEN_PRECISION",
    "decode_with_openjpeg",
    "encode_with_openjpeg",
]

MAX_PRECISION = 26
"""OpenJPEG 2.5 computes in 32 bits: full-range samples of 27 bits still pass through RCT and
the wavelet, of 28 and more they fail or come out wrong."""

MAX_WRITTEN_PRECISION = 21
"""OpenJPEG's encoder computes in 32 bits with 6 more below the sample; RCT and the wavelet may
make 21 bits 25 of them and a sign. Noise of 24 bits already comes out wrong, without a word."""

_COD = b"\xff\x52"
_RPCL = 2
_PRECINCT = 1 << 15
"""The side of OpenJPEG's precincts where it is not told another (ISO/IEC 15444-1 §A.6.1)."""


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


def encode_with_openjpeg(
    samples: PixelArray,
    *,
    precision: int,
    decompositions: int,
    colour_transform: bool,
    step: float | None = None,
) -> bytes:
    """Encode one frame; safe in threads, which pylibjpeg-openjpeg's encoder is not.

    Parameters
    ----------
    samples
        Shape ``(rows, columns)`` or ``(rows, columns, components)``, of a native integer dtype
        whose kind is the sign of the components.
    precision
        Bits of each component, at most `MAX_WRITTEN_PRECISION`; the samples must fit.
    decompositions
        An upper limit: OpenJPEG stops before a side gets shorter than 8.
    colour_transform
        RCT (reversible) or ICT.
    step
        The error to aim at as a fraction of full scale, for the irreversible transform; None
        is reversible.
    """
    width = 1 if precision <= 8 else 2 if precision <= 16 else 4
    # The dtype decides what precisions imagecodecs can write: 8 bits need one of 8.
    fitting = samples.astype(f"{samples.dtype.kind}{width}", copy=False)
    # In dB. The stubs say int, but it is OpenJPEG's float.
    level: Any = None if step is None else -20 * math.log10(step)
    try:
        data = imagecodecs.jpeg2k_encode(
            fitting,
            level=level,
            codecformat="j2k",
            bitspersample=precision,
            resolutions=decompositions + 1,
            reversible=step is None,
            mct=colour_transform,
            planar=False,
            numthreads=1,
            # Noise grows when it is encoded; imagecodecs allows for 2 KB of it.
            out=fitting.nbytes + (fitting.nbytes >> 1) + (1 << 16),
        )
    except MemoryError as error:
        raise ResourceError(f"no memory to encode an image of {samples.shape}") from error
    return _in_rpcl(bytes(data), samples.shape) if step is None else bytes(data)


def _in_rpcl(data: bytes, shape: tuple[int, ...]) -> bytes:
    """The same packets under the name of RPCL, where LRCP orders them alike.

    With one layer, that is so for a single component, or for one precinct a resolution.
    imagecodecs writes LRCP where lossless, and RPCL where lossy.
    """
    if len(shape) == 3 and max(shape[:2]) > _PRECINCT:
        return data
    out = bytearray(data)
    position = 2
    while out[position : position + 2] != _COD:
        position += 2 + int.from_bytes(out[position + 2 : position + 4], "big")
    out[position + 5] = _RPCL
    return bytes(out)
