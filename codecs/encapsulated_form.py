"""Which pixels have a form in an encapsulated syntax, and what they are called once decoded.

What the codecs of whole samples share: RLE, JPEG-LS, JPEG XL, deflated frames.
"""

from __future__ import annotations

from .errors import UnsupportedError
from .pixels import PixelFormat

__all__ = ["full_samples", "require_form"]

_FULL = {"YBR_FULL_422": "YBR_FULL", "YBR_PARTIAL_422": "YBR_PARTIAL"}


def full_samples(pixels: PixelFormat) -> PixelFormat:
    """The decoded format: colour-by-pixel, and every sample of every pixel."""
    photometric = _FULL.get(pixels.photometric, pixels.photometric)
    return pixels.with_(planar=0, swapped_words=False, photometric=photometric)


def require_form(
    pixels: PixelFormat,
    *,
    syntax: str,
    bits_allocated: tuple[int, ...],
    samples: tuple[int, ...] = (1, 2, 3, 4),
) -> None:
    """Refuse, by name, arrays that `syntax` has no form for.

    Raises
    ------
    UnsupportedError
        `feature` says what is missing.
    """
    missing = None
    if pixels.floating:
        # Float Pixel Data is never encapsulated (PS3.5 §A.4).
        missing = f"{pixels.bits_allocated}-bit float samples"
    elif pixels.bits_allocated not in bits_allocated:
        missing = f"Bits Allocated {pixels.bits_allocated}"
    elif pixels.samples not in samples:
        missing = f"{pixels.samples} samples a pixel"
    elif pixels.photometric in _FULL:
        missing = f"{pixels.photometric} (arrays are full samples)"
    elif pixels.photometric in ("YBR_RCT", "YBR_ICT", "XYB"):
        missing = f"{pixels.photometric} outside a codestream"
    if missing is not None:
        raise UnsupportedError(f"{syntax} has no form here for {missing}", feature=missing)
