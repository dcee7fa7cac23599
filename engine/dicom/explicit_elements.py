"""Elements in Explicit VR Little Endian: their headers, and short ones whole.

The only encoding that this package writes.
"""

from __future__ import annotations

from struct import pack

from .value_representations import IS_LONG_FORM

__all__ = ["explicit_element", "explicit_header"]


def explicit_header(tag: int, vr: str, length_bytes: int) -> bytes:
    """The header of an Explicit VR Little Endian element (PS3.5 §7.1.2)."""
    head = pack("<HH2s", tag >> 16, tag & 0xFFFF, vr.encode("ascii"))
    if IS_LONG_FORM.get(vr.encode("ascii"), True):
        return head + pack("<HI", 0, length_bytes)
    return head + pack("<H", length_bytes)


def explicit_element(tag: int, vr: str, value: bytes) -> bytes:
    """A whole element in Explicit VR Little Endian, padded to an even length."""
    if len(value) % 2:
        value += b"\0" if vr in ("UI", "OB", "UN") else b" "
    return explicit_header(tag, vr, len(value)) + value
