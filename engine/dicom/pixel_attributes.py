"""The PixelFormat and Number of Frames that a data set declares, checked.

What is wrong is a DicomError with the tag; what can be repaired without a doubt is a
warning. Reads attributes, never pixels.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from ...codecs.errors import DicomError, UnsupportedError
from ...codecs.pixels import PixelFormat
from .element import Element, integer_of
from .tags import (
    BITS_ALLOCATED,
    BITS_STORED,
    COLUMNS,
    DOUBLE_FLOAT_PIXEL_DATA,
    FLOAT_PIXEL_DATA,
    HIGH_BIT,
    NUMBER_OF_FRAMES,
    PHOTOMETRIC_INTERPRETATION,
    PIXEL_REPRESENTATION,
    PLANAR_CONFIGURATION,
    ROWS,
    SAMPLES_PER_PIXEL,
    format_tag,
)

__all__ = ["declared_frames", "declared_pixels"]

_NAMES = {
    ROWS: "Rows",
    COLUMNS: "Columns",
    SAMPLES_PER_PIXEL: "Samples per Pixel",
    BITS_ALLOCATED: "Bits Allocated",
    BITS_STORED: "Bits Stored",
    HIGH_BIT: "High Bit",
    PIXEL_REPRESENTATION: "Pixel Representation",
    PLANAR_CONFIGURATION: "Planar Configuration",
}
_BITS_ALLOCATED = (1, 8, 16, 32, 64)
_FLOATING_BITS = {FLOAT_PIXEL_DATA: 32, DOUBLE_FLOAT_PIXEL_DATA: 64}
_CODE_STRING = re.compile(r"[ -\[\]-~]{1,16}")
_INTEGER_STRING = re.compile(r"\+?[0-9]{1,10}")


def declared_frames(attributes: Mapping[int, Element], *, source: str = "") -> int:
    """Number of Frames (0028,0008), 1 where absent or empty.

    Raises
    ------
    DicomError
        It is not a positive integer.
    """
    element = attributes.get(NUMBER_OF_FRAMES)
    text = element.value.decode("latin-1").strip(" \0") if element else ""
    if not text:
        return 1
    # Some writers say 0 for a single-frame image; pydicom reads it as 1 too.
    if _INTEGER_STRING.fullmatch(text):
        return max(int(text), 1)
    raise DicomError(
        f"Number of Frames is {text[:16]!r}, expected a positive integer",
        tag=NUMBER_OF_FRAMES,
        source=source,
    )


def declared_pixels(
    attributes: Mapping[int, Element], *, pixel_tag: int, little_endian: bool, source: str = ""
) -> tuple[PixelFormat, list[str]]:
    """The PixelFormat of the Image Pixel attributes (PS3.3 §C.7.6.3), and warnings.

    Raises
    ------
    DicomError
        A needed attribute is absent or cannot be; `tag` says which.
    UnsupportedError
        Bits Allocated is allowed by the standard, but not handled here (24, 40, …).
    """
    warnings: list[str] = []

    def number(tag: int, low: int, high: int, default: int | None = None) -> int:
        element = attributes.get(tag)
        found = integer_of(element, little_endian=little_endian) if element else None
        if found is None:
            if default is None or (element and element.value.strip(b" \0")):
                what = "is not an integer" if element and element.value else "is absent or empty"
                raise _error(tag, what, source)
            return default
        if not low <= found <= high:
            raise _error(tag, f"is {found}, expected {low}–{high}", source)
        return found

    rows = number(ROWS, 1, 65535)
    columns = number(COLUMNS, 1, 65535)
    samples = number(SAMPLES_PER_PIXEL, 1, 4, default=1)
    floating_bits = _FLOATING_BITS.get(pixel_tag)
    allocated = number(BITS_ALLOCATED, 1, 65535, default=floating_bits)
    if floating_bits not in (None, allocated):
        raise _error(BITS_ALLOCATED, f"is {allocated}, expected {floating_bits}", source)
    if allocated not in _BITS_ALLOCATED:
        if allocated % 8 == 0:
            raise UnsupportedError(
                f"Bits Allocated is {allocated}, supported are 1, 8, 16, 32 and 64",
                feature=f"Bits Allocated {allocated}",
            )
        raise _error(BITS_ALLOCATED, f"is {allocated}, expected 1 or a multiple of 8", source)
    stored = number(BITS_STORED, 1, allocated, default=allocated)
    high_bit = number(HIGH_BIT, stored - 1, allocated - 1, default=stored - 1)
    if floating_bits is None and BITS_STORED not in attributes:
        warnings.append(f"Bits Stored is absent; {allocated} (Bits Allocated) was assumed")
    photometric_element = attributes.get(PHOTOMETRIC_INTERPRETATION)
    photometric = (
        photometric_element.value.decode("latin-1").strip(" \0") if photometric_element else ""
    )
    if not photometric:
        if samples > 1:
            raise _error(PHOTOMETRIC_INTERPRETATION, "is absent or empty", source)
        photometric = "MONOCHROME2"
        if floating_bits is None:
            warnings.append("Photometric Interpretation is absent; MONOCHROME2 was assumed")
    if not _CODE_STRING.fullmatch(photometric):
        raise _error(PHOTOMETRIC_INTERPRETATION, "is not a Code String", source)
    signed = number(PIXEL_REPRESENTATION, 0, 1, default=0) == 1
    planar = number(PLANAR_CONFIGURATION, 0, 1, default=0) if samples > 1 else 0
    pixels = PixelFormat(
        rows=rows,
        columns=columns,
        samples=samples,
        bits_allocated=allocated,
        bits_stored=stored,
        high_bit=high_bit,
        signed=signed,
        planar=planar,
        photometric=photometric,
        floating=floating_bits is not None,
    )
    return pixels, warnings


def _error(tag: int, what: str, source: str) -> DicomError:
    name = _NAMES.get(tag, "Photometric Interpretation")
    return DicomError(f"{name} {format_tag(tag)} {what}", tag=tag, source=source)
