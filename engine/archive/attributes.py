"""The kept attributes of an Instance as values of the DICOM JSON model (PS3.18 Annex F).

For QIDO-RS: only short top-level elements come here, binary values are left out. Bad values
cost themselves alone; nothing here raises on what a file holds.
"""

from __future__ import annotations

import json
import struct
import warnings
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from ..dicom.instance import Instance
from ..dicom.tags import SPECIFIC_CHARACTER_SET

__all__ = [
    "JsonElement",
    "Told",
    "is_told",
    "json_attributes",
    "text_of",
    "to_json",
    "told_attributes",
]

type JsonElement = dict[str, Any]

to_json = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode

_NUMBERS = {"US": "H", "SS": "h", "UL": "I", "SL": "i", "FL": "f", "FD": "d", "UV": "Q", "SV": "q"}
_SINGLE_TEXT = frozenset({"LT", "ST", "UT", "UR"})
_ENCODED_TEXT = frozenset({"LO", "LT", "SH", "ST", "UC", "UT", "PN"})
_PLAIN_TEXT = frozenset({"AE", "AS", "CS", "DA", "DT", "TM", "UI", "UR", "DS", "IS"})
_MOST_REMEMBERED_BYTES = 256
_PN_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")


class Told(NamedTuple):
    """An element of the JSON model, and its text. Shared between instances: not to be changed."""

    element: JsonElement
    text: str


def json_attributes(instance: Instance) -> dict[str, JsonElement]:
    """Tag, as eight hexadecimal digits, to vr and Value; group 0002 is left out."""
    return {tag: told.element for tag, told in told_attributes(instance).items()}


def told_attributes(instance: Instance) -> dict[str, Told]:
    """As `json_attributes`, each with its text."""
    encodings, little_endian = _encodings(instance), instance.layout.little_endian
    found = {}
    for tag, element in sorted(instance.attributes.items()):
        if tag >> 16 > 2:
            vr = element.vr or _dictionary_vr(tag)
            tell = _remembered if len(element.value) <= _MOST_REMEMBERED_BYTES else _told
            told = tell(element.value, vr, encodings, little_endian)
            if told is not None:
                found[f"{tag:08X}"] = told
    return found


def text_of(attributes: dict[str, JsonElement], tag: str) -> str:
    """The values of one attribute as text, joined by backslashes; "" where there are none."""
    values = attributes.get(tag, {}).get("Value", ())
    text = "\\".join(
        "=".join(value.get(group, "") for group in _PN_GROUPS).rstrip("=")
        if isinstance(value, dict)
        else ""
        if value is None
        else str(value)
        for value in values
    )
    return text.replace("\0", "")  # PostgreSQL keeps no NUL


def is_told(tag: int) -> bool:
    """Whether an element of the dictionary's VR for `tag` has values that are told here."""
    vr = _dictionary_vr(tag)
    return vr in _NUMBERS or vr in _PLAIN_TEXT or vr in _ENCODED_TEXT or vr == "AT"


def _encodings(instance: Instance) -> Sequence[str]:
    element = instance.attributes.get(SPECIFIC_CHARACTER_SET)
    return _encodings_named("" if element is None else element.value.decode("latin-1"))


@lru_cache(maxsize=256)
def _encodings_named(value: str) -> Sequence[str]:
    from pydicom.charset import convert_encodings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            terms = [term.strip(" \0") for term in value.split("\\")]
            return tuple(convert_encodings(terms))
        except (LookupError, ValueError):
            return ("iso8859",)


@lru_cache(maxsize=1024)
def _dictionary_vr(tag: int) -> str:
    from pydicom.datadict import dictionary_VR

    try:
        return str(dictionary_VR(tag))[:2]
    except KeyError:
        return "UN"


def _told(value: bytes, vr: str, encodings: Sequence[str], little_endian: bool) -> Told | None:
    values = _values(value, vr, encodings, little_endian)
    if values is None:
        return None
    element = {"vr": vr, "Value": values} if values else {"vr": vr}
    return Told(element, to_json(element))


# Most values of an instance are those of the one before it.
_remembered = lru_cache(maxsize=4096)(_told)


def _values(
    value: bytes, vr: str, encodings: Sequence[str], little_endian: bool
) -> list[Any] | None:
    """The JSON values; None where this VR has none that fit here."""
    if vr == "US" and len(value) == 2:
        return [int.from_bytes(value, "little" if little_endian else "big")]
    if vr in _NUMBERS:
        code = ("<" if little_endian else ">") + _NUMBERS[vr]
        size = struct.calcsize(code)
        whole = value[: len(value) // size * size]
        numbers = (number for (number,) in struct.iter_unpack(code, whole))
        return [
            number if number == number and abs(number) != float("inf") else None
            for number in numbers
        ]
    if vr == "AT":
        code = "<HH" if little_endian else ">HH"
        whole = value[: len(value) // 4 * 4]
        return [f"{group:04X}{number:04X}" for group, number in struct.iter_unpack(code, whole)]
    if vr in _PLAIN_TEXT:
        text = value.decode("latin-1")
    elif vr in _ENCODED_TEXT:
        text = _decoded(value, encodings)
    else:
        return None
    text = text.rstrip(" \0")
    if not text:
        return []
    parts = [text] if vr in _SINGLE_TEXT else [part.strip(" \0") for part in text.split("\\")]
    return [_json_value(part, vr) for part in parts]


def _decoded(value: bytes, encodings: Sequence[str]) -> str:
    if value.isascii() and b"\x1b" not in value:
        return value.decode("ascii")  # the same in every character set, a tenth of the time
    from pydicom.charset import decode_bytes
    from pydicom.valuerep import TEXT_VR_DELIMS

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return decode_bytes(value, encodings, TEXT_VR_DELIMS)
        except (LookupError, ValueError):
            return value.decode("latin-1")


def _json_value(text: str, vr: str) -> Any:
    if vr == "PN":
        groups = zip(_PN_GROUPS, text.split("="), strict=False)
        return {name: group for name, group in groups if group}
    if vr in ("IS", "DS"):
        return _number(text, whole=vr == "IS")
    return text or None


def _number(text: str, *, whole: bool) -> int | float | str | None:
    if not text or len(text) > 64:
        return None
    try:
        number = float(text)
    except ValueError:
        return None
    if number != number or abs(number) == float("inf"):
        return None
    return int(number) if whole or (number.is_integer() and "." not in text) else number
