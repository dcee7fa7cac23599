"""Which pixels have a J2K or HTJ2K form, and which attributes go with it.

What the two families share: RGB passes through a component transform, samples sit in the low
bits (PS3.5 §8.2.4), and what has no form is refused by name. Touches no samples.
"""

from __future__ import annotations

from .errors import UnsupportedError
from .j2k_frame import decoded_photometric
from .pixels import PixelFormat

__all__ = ["decoded_form", "decompositions_for", "encoded_form", "uses_colour_transform"]

_SMALLEST = 64
_WANTED_DECOMPOSITIONS = 5
_LOSSY_BITS = 16


def decoded_form(pixels: PixelFormat) -> PixelFormat:
    """RCT and ICT are undone: RGB comes out, colour-by-pixel, each sample in its low bits."""
    return pixels.with_(
        planar=0,
        photometric=decoded_photometric(pixels.photometric),
        high_bit=pixels.bits_stored - 1,
    )


def encoded_form(
    pixels: PixelFormat, *, family: str, lossy: bool, most_bits: int = 32
) -> PixelFormat:
    """RGB goes through RCT, or ICT where lossy; anything else stays what it is.

    Raises
    ------
    UnsupportedError
        Such pixels have no form in `family`; `feature` says what of them.
    """
    missing = None
    if pixels.floating:
        missing = f"{pixels.bits_allocated}-bit float samples"
    elif pixels.bits_allocated in (1, 64):
        missing = f"Bits Allocated {pixels.bits_allocated}"
    elif pixels.photometric in ("YBR_FULL_422", "YBR_PARTIAL_422"):
        missing = f"{pixels.photometric} (arrays are full samples)"
    elif pixels.photometric in ("YBR_RCT", "YBR_ICT"):
        missing = f"{pixels.photometric} outside a codestream"
    elif lossy and pixels.photometric == "PALETTE COLOR":
        missing = "lossy PALETTE COLOR"
    elif pixels.bits_stored > (min(_LOSSY_BITS, most_bits) if lossy else most_bits):
        missing = f"{'lossy of ' if lossy else ''}{pixels.bits_stored} bits stored"
    if missing is not None:
        raise UnsupportedError(f"{family} has no form here for {missing}", feature=missing)
    photometric = pixels.photometric
    if uses_colour_transform(pixels):
        photometric = "YBR_ICT" if lossy else "YBR_RCT"
    return pixels.with_(planar=0, photometric=photometric, high_bit=pixels.bits_stored - 1)


def uses_colour_transform(pixels: PixelFormat) -> bool:
    """Whether a component transform is applied on the way in."""
    return pixels.samples == 3 and pixels.photometric == "RGB"


def decompositions_for(pixels: PixelFormat) -> int:
    """How many times the image is halved.

    As often as the smallest image needs to be at most 64 in both directions (the RPCL
    constraint, PS3.5 §8.2.14), and 5 times where neither side gets under one sample. Never
    0 times: without a wavelet OpenJPH 0.32 loses the least sample value (0, or the most
    negative) in every precision.
    """
    longer, shorter = max(pixels.rows, pixels.columns), min(pixels.rows, pixels.columns)
    needed = (-(-longer // _SMALLEST) - 1).bit_length()
    return max(1, needed, min(_WANTED_DECOMPOSITIONS, shorter.bit_length() - 1))
