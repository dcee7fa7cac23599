"""The VR of an element that is stored without one, or as UN, as pydicom finds it.

Imported only where there is such an element, because pydicom takes a while to import.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache

from pydicom.datadict import dictionary_VR, private_dictionary_VR

from .tags import PIXEL_REPRESENTATION

__all__ = ["known_vr", "settled_vr"]

_LUT_DESCRIPTOR = 0x00283002


def known_vr(tag: int, found: Mapping[int, str]) -> str:
    """The VR of the dictionaries, "UN" where they know none, several ("US or SS") as they say.

    `found` are the members of the same data set so far, among which the private creators are.
    """
    group, element = tag >> 16, tag & 0xFFFF
    if not group % 2:
        return _dictionary_vr(tag)
    if 0x0010 <= element < 0x0100:
        return "LO"
    creator = _first_value(found.get(group << 16 | element >> 8)) if element & 0xFF00 else None
    return _private_vr(tag, creator) if isinstance(creator, str) else "UN"


def settled_vr(vr: str, found: Mapping[int, str], *, length_bytes: int | None, signed: bool) -> str:
    """One VR out of several, by the members of the same data set so far.

    Parameters
    ----------
    length_bytes
        Of the value; None where a delimiter ends it.
    signed
        Pixel Representation of the nearest data set around this one.

    References
    ----------
    PS3.5 §A.1 (OW wherever OB or OW could be), PS3.3 §C.11.1.1.1 (LUT Data of one entry)
    """
    if vr == "US or SS":
        return "SS" if is_signed(found, signed) else "US"
    if vr == "US or OW":
        entries = _first_value(found.get(_LUT_DESCRIPTOR))
        return "US" if entries == 1 or (entries is None and length_bytes == 2) else "OW"
    if vr == "OB or OW" and length_bytes is None:
        return "OB"
    return "OW"


def is_signed(found: Mapping[int, str], signed: bool) -> bool:
    """Pixel Representation of a data set, from its members or, absent, the one around it."""
    stored = _first_value(found.get(PIXEL_REPRESENTATION))
    return signed if stored is None else stored != 0


def _first_value(member: str | None) -> object:
    if member is None:
        return None
    (content,) = json.loads(f"{{{member}}}").values()
    values = content.get("Value") or [None]
    return values[0] if len(values) == 1 or isinstance(values[0], int) else None


@lru_cache(maxsize=8192)
def _dictionary_vr(tag: int) -> str:
    try:
        return str(dictionary_VR(tag))
    except KeyError:
        return "UN" if tag & 0xFFFF else "UL"


@lru_cache(maxsize=8192)
def _private_vr(tag: int, creator: str) -> str:
    try:
        return str(private_dictionary_VR(tag, creator))
    except KeyError:
        return "UN"
