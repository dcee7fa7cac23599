"""Values that are not plain, as DICOM JSON text by pydicom's converters.

Text in other character sets, numbers of odd spelling, values that break their VR. Imported
only where there is such a value, because pydicom takes a while to import.
"""

from __future__ import annotations

import json
import math
import warnings
from typing import Any

from pydicom.charset import convert_encodings
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.tag import BaseTag
from pydicom.values import convert_value

from .pydicom_faults import pydicom_faults

__all__ = ["odd_value_text", "python_charsets"]


def odd_value_text(
    tag: int, vr: str, value: bytes, *, charset: tuple[str, ...], little_endian: bool
) -> str:
    """As `json_values.value_text`; a value that breaks its VR is left out."""
    raw = RawDataElement(BaseTag(tag), vr, len(value), value, 0, False, little_endian)
    with warnings.catch_warnings():
        # pydicom warns of unknown character sets and undecodable bytes, and replaces them.
        warnings.simplefilter("ignore")
        try:
            converted = convert_value(vr, raw, list(charset))
            element = DataElement(BaseTag(tag), vr, converted, already_converted=True)
            if vr == "PN":
                return _names(element)
            found: dict[str, Any] = element.to_json_dict(None, 1 << 62)
        except pydicom_faults():
            return f'{{"vr":"{vr}"}}'
    values = found.get("Value")
    if isinstance(values, list):
        # JSON has no infinities and no NaN.
        found["Value"] = [
            None if isinstance(one, float) and not math.isfinite(one) else one for one in values
        ]
    try:
        return json.dumps(found, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    except pydicom_faults():
        return f'{{"vr":"{vr}"}}'


def _names(element: DataElement) -> str:
    if element.is_empty:
        return '{"vr":"PN"}'
    names = element.value if element.VM > 1 else [element.value]
    groups = ("Alphabetic", "Ideographic", "Phonetic")
    values = [dict(zip(groups, name.components, strict=False)) or None for name in names]
    return json.dumps({"vr": "PN", "Value": values}, separators=(",", ":"), ensure_ascii=False)


def python_charsets(value: bytes) -> tuple[str, ...]:
    """Python's names of what a Specific Character Set (0008,0005) says; never raises."""
    terms = value.decode("latin-1").rstrip(" \0").split("\\")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return tuple(convert_encodings(terms))
        except (LookupError, ValueError):
            return ("iso8859",)
