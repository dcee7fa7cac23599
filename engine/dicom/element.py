"""A data element as it is stored, and what its value says.

Only short values: the reader keeps no others.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from .tags import BINARY_INTEGER_TAGS

__all__ = ["Element", "integer_of"]


@dataclass(frozen=True, slots=True)
class Element:
    """A top-level element with a short value, as stored: `vr` is "" in Implicit VR."""

    tag: int
    vr: str
    value: bytes

    def __reduce__(self) -> tuple[type[Element], tuple[int, str, bytes]]:
        # By its arguments: a data class with slots pickles by the names of its fields, which
        # takes several times as long, and an instance has some fifty elements.
        return Element, (self.tag, self.vr, self.value)


_INTEGER_WIDTHS = {"US": 2, "SS": 2, "UL": 4, "SL": 4, "UV": 8, "SV": 8}
_INTEGER_TEXT = re.compile(rb"[+-]?[0-9]{1,18}")


def integer_of(element: Element, *, little_endian: bool) -> int | None:
    """The first value of a binary or text integer; None where it is not one.

    Where the VR is not told (Implicit VR, UN), the tag tells whether it is binary.
    """
    value = element.value
    width = _INTEGER_WIDTHS.get(element.vr)
    if width is None and element.vr in ("", "UN") and element.tag in BINARY_INTEGER_TAGS:
        width = 4 if len(value) == 4 else 2
    if width is None:
        text = value.split(b"\\")[0].strip(b" \0")
        return int(text) if _INTEGER_TEXT.fullmatch(text) else None
    if len(value) < width:
        return None
    order: Literal["little", "big"] = "little" if little_endian else "big"
    return int.from_bytes(value[:width], order, signed=element.vr in ("SS", "SL", "SV"))
