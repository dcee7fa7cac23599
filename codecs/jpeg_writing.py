"""Samples to JPEG: Baseline at a quality, lossless with predictor 1, pictures for screens.

By libjpeg-turbo. The same samples always give the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import imagecodecs
import numpy as np

from .codec import Encoded
from .errors import ResourceError, UnsupportedError, UsageError
from .pixels import PixelArray, PixelFormat
from .quality import Quality, psnr_db
from .samples import fit_samples

__all__ = ["jpeg_bytes", "require_baseline_form", "write_baseline", "write_lossless"]

_FINEST, _COARSEST = 100, 1
"""Levels of libjpeg's quality, which scales the quantisation tables of ISO/IEC 10918-1 §K.1."""

_SPACES = {"RGB": "RGB", "YBR_FULL": "YCBCR"}
"""What imagecodecs calls the colour of an array; the same on both sides converts nothing."""
_BASELINE_FORMS = ((1, "MONOCHROME1"), (1, "MONOCHROME2"), (3, "RGB"), (3, "YBR_FULL"))

type _Sampling = Literal["444", "422", "420"]


def jpeg_bytes(image: PixelArray, *, level: int = 90) -> bytes:
    """A JFIF file of a picture for a screen, for browsers.

    Parameters
    ----------
    image
        uint8, ``(rows, columns)`` grey or ``(rows, columns, 3)`` RGB.
    level
        1–100, libjpeg's quality; chroma is subsampled (4:2:0) below 90.
    """
    if image.dtype != np.uint8 or not (
        image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 3)
    ):
        raise UsageError(f"no JPEG of an image of shape {image.shape} and dtype {image.dtype}")
    if not _COARSEST <= level <= _FINEST:
        raise UsageError(f"JPEG quality {level}, expected {_COARSEST}–{_FINEST}")
    space = "RGB" if image.ndim == 3 else "GRAYSCALE"
    return _baseline(image, level=level, space=space, sampling="420" if level < 90 else "444")


def write_baseline(samples: PixelArray, *, pixels: PixelFormat, quality: Quality) -> Encoded:
    """Baseline: the coarsest level that keeps a PSNR, the finest that keeps a ratio.

    Colour is 4:2:2, so some images never come up to a high PSNR: then the finest level is
    the answer, and `psnr_db` tells. Same for a ratio that the coarsest level does not reach.

    Parameters
    ----------
    samples
        Of `pixels`, which :func:`require_baseline_form` allows.

    Raises
    ------
    UnsupportedError
        Samples beyond Bits Stored.
    """
    image = fit_samples(samples, pixels=pixels).astype(np.uint8, copy=False)
    space = _SPACES.get(pixels.photometric, "GRAYSCALE")
    trials: dict[int, bytes] = {}

    def encode(level: int) -> bytes:
        if level not in trials:
            trials[level] = _baseline(image, level=level, space=space, sampling="422")
        return trials[level]

    def good(level: int) -> bool:
        if quality.psnr_db is not None:
            return _psnr(encode(level), image, space, pixels) >= quality.psnr_db
        assert quality.ratio is not None
        return pixels.decoded_bytes / len(encode(level)) >= quality.ratio

    level = _search(good, ascending=quality.psnr_db is not None)
    data = encode(level)
    return Encoded(
        data,
        lossy=True,
        ratio=pixels.decoded_bytes / len(data),
        psnr_db=_psnr(data, image, space, pixels),
    )


def write_lossless(samples: PixelArray, *, pixels: PixelFormat) -> bytes:
    """Process 14, predictor 1. Precision is Bits Stored where unsigned samples fit it.

    Otherwise (signed samples, old overlays in unused bits) it is Bits Allocated: all bits are
    kept, and since lossless JPEG counts modulo 2**16 signed samples pack no worse.
    """
    precision = pixels.bits_allocated
    if not pixels.signed and int(samples.max()) >> pixels.bits_stored == 0:
        precision = max(pixels.bits_stored, 2)
    width = 1 if precision <= 8 else 2
    image = samples.view(f"u{samples.dtype.itemsize}").astype(f"u{width}", copy=False)
    # Told YCbCr, libjpeg-turbo 3.2 writes other samples than it was given; UNKNOWN is exact.
    space = "RGB" if pixels.photometric == "RGB" else "UNKNOWN"
    return _encode(
        image,
        lossless=True,
        predictor=1,
        bitspersample=precision,
        colorspace=space if pixels.samples > 1 else None,
        outcolorspace=space if pixels.samples > 1 else None,
    )


def require_baseline_form(pixels: PixelFormat) -> None:
    """Refuse what has no Baseline form, by name (PS3.5 §8.2.1: 8 bits, unsigned).

    Raises
    ------
    UnsupportedError
    """
    missing = None
    if pixels.floating or pixels.bits_stored != 8:
        missing = f"{pixels.bits_stored} bits stored" if not pixels.floating else "float samples"
    elif pixels.signed:
        missing = "signed samples"
    elif (pixels.samples, pixels.photometric) not in _BASELINE_FORMS:
        missing = f"{pixels.photometric} of {pixels.samples} samples"
    if missing is not None:
        raise UnsupportedError(f"JPEG Baseline has no form for {missing}", feature=missing)


def _baseline(image: PixelArray, *, level: int, space: str, sampling: _Sampling) -> bytes:
    colour = space != "GRAYSCALE"
    return _encode(
        image,
        level=level,
        colorspace=space,
        outcolorspace="YCBCR" if colour else space,
        subsampling=sampling if colour else None,
        optimize=True,
    )


def _encode(image: PixelArray, **settings: Any) -> bytes:
    try:
        return bytes(imagecodecs.jpeg8_encode(image, **settings))
    except MemoryError as error:
        raise ResourceError(f"no memory to encode an image of {image.shape}") from error


def _search(good: Callable[[int], bool], *, ascending: bool) -> int:
    """The first good level, from the coarsest (`ascending`) or from the finest.

    The last of the other end where none is.
    """
    low, high = _COARSEST, _FINEST
    while low < high:
        middle = (low + high) // 2 if ascending else (low + high + 1) // 2
        if good(middle) is ascending:
            low, high = (low, middle) if ascending else (low, middle - 1)
        else:
            low, high = (middle + 1, high) if ascending else (middle, high)
    return low


def _psnr(data: bytes, image: PixelArray, space: str, pixels: PixelFormat) -> float:
    """Against the samples as they were given: RGB where they were RGB."""
    inside = "YCBCR" if space != "GRAYSCALE" else space
    decoded = imagecodecs.jpeg8_decode(data, colorspace=inside, outcolorspace=space)
    return psnr_db(decoded, image, pixels=pixels)
