"""The VR of elements that are stored without one, from pydicom's data dictionary (PS3.6).

Imported only where Implicit VR is rewritten, because pydicom takes a while to import.
"""

from __future__ import annotations

from functools import lru_cache

from pydicom.datadict import dictionary_VR

from .value_representations import IS_LONG_FORM, SHORT_FORM_MAX_BYTES

__all__ = ["implicit_vr"]


def implicit_vr(tag: int, *, length_bytes: int, signed: bool) -> str:
    """The VR to write for an element of an Implicit VR data set.

    Parameters
    ----------
    length_bytes
        The value's length: a value that no 16-bit length can tell gets UN (PS3.5 §6.2.2).
    signed
        Pixel Representation of the nearest data set, for "US or SS".

    References
    ----------
    PS3.5 §A.1 (OW wherever OB or OW could be), §7.8.1 (private creators), §6.2.2 (UN)
    """
    vr = _dictionary_vr(tag)
    if vr == "US or SS":
        vr = "SS" if signed else "US"
    elif vr == "US or OW":
        # LUT Data of one entry is US (PS3.3 §C.11.1.1.1).
        vr = "US" if length_bytes == 2 else "OW"
    elif " or " in vr:
        vr = "OW"
    is_long = IS_LONG_FORM.get(vr.encode("ascii"))
    if is_long is None or (not is_long and length_bytes > SHORT_FORM_MAX_BYTES):
        return "UN"
    return vr


@lru_cache(maxsize=4096)
def _dictionary_vr(tag: int) -> str:
    group, element = tag >> 16, tag & 0xFFFF
    if group % 2:
        return "LO" if 0x0010 <= element <= 0x00FF else "UN"
    try:
        return dictionary_VR(tag)
    except KeyError:
        return "UN"
