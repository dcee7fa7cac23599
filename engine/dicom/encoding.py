"""How the elements of a data set are written, and where one of them lies (PS3.5 §7.1).

Values shared by the stages of the parser and by the writer.
"""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct
from typing import NamedTuple

from .value_representations import UNDEFINED_LENGTH

__all__ = ["IMPLICIT_LITTLE_ENDIAN", "Encoding", "HeaderFields", "Located"]


@dataclass(frozen=True, slots=True)
class Encoding:
    """With their VR or without, in which byte order."""

    explicit_vr: bool
    little_endian: bool

    @property
    def fields(self) -> HeaderFields:
        """The parts of an element's header, to unpack."""
        return _LITTLE_ENDIAN if self.little_endian else _BIG_ENDIAN

    def inside(self, vr: bytes) -> Encoding:
        """The encoding inside a sequence of undefined length with that VR.

        UN of undefined length holds Implicit VR Little Endian, wherever it is (§6.2.2).
        """
        return IMPLICIT_LITTLE_ENDIAN if vr == b"UN" else self


class HeaderFields(NamedTuple):
    """`header`: group, element, VR and 16-bit length; `length`: a 32-bit length."""

    header: Struct
    length: Struct


class Located(NamedTuple):
    """A top-level element and where it lies in the stream; its value ends at `end_offset`."""

    tag: int
    vr: bytes
    offset_bytes: int
    value_offset: int
    length_bytes: int
    end_offset: int

    @property
    def is_undefined(self) -> bool:
        """Whether a delimiter, not a length, ends the value."""
        return self.length_bytes == UNDEFINED_LENGTH


IMPLICIT_LITTLE_ENDIAN = Encoding(explicit_vr=False, little_endian=True)
_LITTLE_ENDIAN = HeaderFields(Struct("<HH2sH"), Struct("<I"))
_BIG_ENDIAN = HeaderFields(Struct(">HH2sH"), Struct(">I"))
