"""The value of one element as DICOM JSON text, fast where it is plain (PS3.18 §F.2).

What is not plain (text beyond ASCII, numbers that are no numbers) goes to `json_odd_values`;
both give what pydicom gives, save where `json_writer` says otherwise.
"""

from __future__ import annotations

import math
import re
from base64 import b64encode
from collections.abc import Callable
from json.encoder import encode_basestring
from struct import unpack

from .value_representations import SWAP_BYTES

__all__ = ["ASCII", "BINARY_VRS", "inline_value", "value_text"]

ASCII = ("iso8859",)
"""The character sets of a data set that names none, as Python calls them."""

BINARY_VRS = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})
LUT_DESCRIPTORS = frozenset({0x00281101, 0x00281102, 0x00281103, 0x00283002})

_NUMBER = re.compile(r" *[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)? *")
_INTEGER = re.compile(r" *[+-]?[0-9]{1,18} *")
# First character sets in which a byte below 0x80 is ASCII; ESC aside.
_ASCII_BELOW_80 = frozenset(
    {
        *("iso8859", "latin_1", "iso8859_2", "iso8859_3", "iso8859_4", "iso_ir_126", "iso_ir_127"),
        *(
            "iso_ir_138",
            "iso_ir_144",
            "iso_ir_148",
            "iso_ir_166",
            "UTF8",
            "GB18030",
            "GBK",
            "GB2312",
        ),
        *("shift_jis", "euc_kr", "iso2022_jp", "iso2022_jp_2", "iso_ir_58"),
    }
)
_FORMATS = {"FD": "d", "FL": "f", "SL": "l", "SS": "h", "SV": "q", "UL": "L", "US": "H", "UV": "Q"}
_WIDTHS = {"FD": 8, "FL": 4, "SL": 4, "SS": 2, "SV": 8, "UL": 4, "US": 2, "UV": 8}


def value_text(
    tag: int, vr: str, value: bytes, *, charset: tuple[str, ...], little_endian: bool
) -> str:
    """The JSON object of an element: its vr, and its value where there is one.

    Parameters
    ----------
    value
        As stored, with its padding; not of a sequence.
    charset
        The Python names of the character sets in force.
    """
    if not value:
        return f'{{"vr":"{vr}"}}'
    width = _WIDTHS.get(vr)
    if width is not None:
        return _numbers(tag, vr, value, width, little_endian)
    writer = _WRITERS.get(vr)
    if writer is not None and value.isascii():
        if vr in _GOVERNED and (b"\x1b" in value or charset[0] not in _ASCII_BELOW_80):
            return _odd(tag, vr, value, charset, little_endian)
        text = writer(value.decode("ascii"))
        if text is not None:
            return f'{{"vr":"{vr}","Value":[{text}]}}' if text else f'{{"vr":"{vr}"}}'
    elif vr in BINARY_VRS:
        return inline_value(vr, value, little_endian=little_endian)
    elif vr == "AT" and not len(value) % 4:
        parts = unpack(f"{'<' if little_endian else '>'}{len(value) // 2}H", value)
        pairs = zip(parts[::2], parts[1::2], strict=True)
        tags = ",".join(f'"{group:04X}{element:04X}"' for group, element in pairs)
        return f'{{"vr":"AT","Value":[{tags}]}}'
    return _odd(tag, vr, value, charset, little_endian)


def inline_value(vr: str, value: bytes, *, little_endian: bool) -> str:
    """Bytes in base64, little-endian whatever the data set is (PS3.18 §F.2.7)."""
    width = SWAP_BYTES.get(vr, 1)
    if width > 1 and not little_endian and not len(value) % width:
        value = b"".join(
            value[start : start + width][::-1] for start in range(0, len(value), width)
        )
    return f'{{"vr":"{vr}","InlineBinary":"{b64encode(value).decode("ascii")}"}}'


def _odd(tag: int, vr: str, value: bytes, charset: tuple[str, ...], little_endian: bool) -> str:
    # Deferred: plain values have no need of pydicom (0.2 s to import).
    from .json_odd_values import odd_value_text

    return odd_value_text(tag, vr, value, charset=charset, little_endian=little_endian)


def _numbers(tag: int, vr: str, value: bytes, width: int, little_endian: bool) -> str:
    count, rest = divmod(len(value), width)
    if rest:
        return f'{{"vr":"{vr}"}}'
    numbers = unpack(f"{'<' if little_endian else '>'}{count}{_FORMATS[vr]}", value)
    if vr in ("FD", "FL"):
        text = ",".join(repr(n) if math.isfinite(n) else "null" for n in numbers)
    else:
        if tag in LUT_DESCRIPTORS and count > 1 and numbers[0] < 0:
            # How many entries: never negative, whatever the VR says (PS3.3 §C.11.1.1).
            numbers = (numbers[0] + 65536, *numbers[1:])
        text = ",".join(map(repr, numbers))
    return f'{{"vr":"{vr}","Value":[{text}]}}'


def _strings(text: str) -> str:
    text = text.rstrip(" \0")
    if "\\" in text:
        return ",".join(map(encode_basestring, text.split("\\")))
    return text and encode_basestring(text)


def _titles(text: str) -> str:
    if "\\" in text:
        return ",".join(encode_basestring(part.strip()) for part in text.split("\\"))
    text = text.strip()
    return text and encode_basestring(text)


def _texts(text: str) -> str:
    if "\\" in text:
        return ",".join(encode_basestring(part.rstrip("\0 ")) for part in text.split("\\"))
    text = text.rstrip("\0 ")
    return text and encode_basestring(text)


def _long_text(text: str) -> str:
    text = text.rstrip("\0 ")
    return text and encode_basestring(text)


def _address(text: str) -> str | None:
    return None if "\\" in text else (text := text.rstrip()) and encode_basestring(text)


def _decimals(text: str) -> str | None:
    text = text.strip(" ").rstrip(" \0")
    numbers = []
    for part in text.split("\\"):
        if _NUMBER.fullmatch(part):
            number = float(part)
            numbers.append(repr(number) if math.isfinite(number) else "null")
        elif part.strip(" "):
            return None
        else:
            numbers.append("null")
    return ",".join(numbers) if text else ""


def _integers(text: str) -> str | None:
    text = text.rstrip(" \0")
    numbers = []
    for part in text.split("\\"):
        if _INTEGER.fullmatch(part):
            numbers.append(repr(int(part)))
        elif part.strip(" "):
            return None
        else:
            numbers.append("null")
    return ",".join(numbers) if text.strip(" ") else ""


def _names(text: str) -> str:
    text = text.rstrip("\0 ")
    return ",".join(map(_name, text.split("\\"))) if text else ""


def _name(text: str) -> str:
    groups = text.rstrip("=").split("=")[:3]
    if groups == [""]:
        return "null"
    members = zip(("Alphabetic", "Ideographic", "Phonetic"), groups, strict=False)
    return f"{{{','.join(f'"{name}":{encode_basestring(group)}' for name, group in members)}}}"


_WRITERS: dict[str, Callable[[str], str | None]] = {
    "AE": _titles,
    "AS": _strings,
    "CS": _strings,
    "DA": _strings,
    "DS": _decimals,
    "DT": _strings,
    "IS": _integers,
    "LO": _texts,
    "LT": _long_text,
    "PN": _names,
    "SH": _texts,
    "ST": _long_text,
    "TM": _strings,
    "UC": _texts,
    "UI": _strings,
    "UR": _address,
    "UT": _long_text,
}
_GOVERNED = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UT"})
