"""The members of a DICOM JSON object as text, and what the items they hold are encoded in."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from .encoding import Encoding
from .json_surroundings import Surroundings
from .json_values import ASCII, value_text
from .tags import PIXEL_DATA_TAGS, SPECIFIC_CHARACTER_SET
from .value_representations import IS_LONG_FORM

__all__ = [
    "BULK_PREFIX",
    "INLINE_BYTES",
    "bulk_member",
    "charsets_of",
    "element_member",
    "empty_member",
    "item_encoding",
    "object_text",
    "sequence_member",
]

BULK_PREFIX = "mersey-bulk:"
"""Stands before the path of a bulk value, for the server to put its own address there."""

INLINE_BYTES = 1024
"""Longer binary values are bulk data."""

_SHORT_BYTES = 64
_KNOWN_MEMBERS = 8192  # some MiB at most

_KNOWN_VRS = frozenset(vr.decode("ascii") for vr in IS_LONG_FORM)
_PLAIN_CHARSETS = {
    b"": ASCII,
    b"ISO_IR 6": ASCII,
    b"ISO_IR 100": ("latin_1",),
    b"ISO_IR 192": ("UTF8",),
}


def object_text(members: Mapping[int, str]) -> str:
    """The JSON object of a data set, its members in the order of their tags."""
    return f"{{{','.join([members[tag] for tag in sorted(members)])}}}"


def bulk_member(tag: int, vr: str, place: str) -> str:
    return f'"{tag:08X}":{{"vr":"{vr}","BulkDataURI":"{BULK_PREFIX}{place}{tag:08X}"}}'


def empty_member(tag: int, vr: str) -> str:
    return f'"{tag:08X}":{{"vr":"{vr}"}}'


def element_member(tag: int, vr: str, value: bytes, around: Surroundings, place: str) -> str:
    """The member of an element that is no sequence.

    `place` is the path of items to it; "" is the top level, whose Pixel Data are bulk data
    however short.
    """
    if tag in PIXEL_DATA_TAGS and not place:
        return bulk_member(tag, vr, place)
    charset = ASCII if tag == SPECIFIC_CHARACTER_SET else around.charset
    make = _known_member if len(value) <= _SHORT_BYTES else _member
    return make(tag, vr, value, charset, around.encoding.little_endian)


def _member(tag: int, vr: str, value: bytes, charset: tuple[str, ...], little_endian: bool) -> str:
    if vr not in _KNOWN_VRS:
        return empty_member(tag, "UN")
    text = value_text(tag, vr, value, charset=charset, little_endian=little_endian)
    return f'"{tag:08X}":{text}'


# Nearly all short values of an instance are those of the one before it, in the same series.
_known_member = lru_cache(_KNOWN_MEMBERS)(_member)


def sequence_member(tag: int, items: list[str]) -> str:
    if not items:
        return empty_member(tag, "SQ")
    return f'"{tag:08X}":{{"vr":"SQ","Value":[{",".join(items)}]}}'


def item_encoding(encoding: Encoding, data: bytes, start: int) -> Encoding:
    """How an item is encoded: some writers switch to Implicit VR inside sequences (pydicom)."""
    if not encoding.explicit_vr or start + 6 > len(data):
        return encoding
    if 0x40 < data[start + 4] < 0x5B and 0x40 < data[start + 5] < 0x5B:
        return encoding
    return Encoding(explicit_vr=False, little_endian=encoding.little_endian)


def charsets_of(value: bytes) -> tuple[str, ...]:
    plain = _PLAIN_CHARSETS.get(value.rstrip(b" \0"))
    if plain is not None:
        return plain
    from .json_odd_values import python_charsets

    return python_charsets(value)
