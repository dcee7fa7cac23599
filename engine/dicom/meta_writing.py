"""The File Meta Information that Mersey writes (PS3.10 §7.1).

What the source's says is kept, but for what names this file and its writer.
"""

from __future__ import annotations

from struct import pack

from .element import Element
from .explicit_elements import explicit_element
from .file_meta import PREAMBLE_BYTES, PREFIX
from .instance import Instance

__all__ = ["IMPLEMENTATION_CLASS_UID", "IMPLEMENTATION_VERSION_NAME", "file_meta"]

IMPLEMENTATION_CLASS_UID = "2.25.50100382354244995731060872811360699653"
"""Names Mersey as the writer (PS3.7 §D.3.3.2)."""

IMPLEMENTATION_VERSION_NAME = "MERSEY_0_1"

_GROUP_LENGTH = 0x00020000
_VERSION = 0x00020001
_META_VRS = {
    0x00020016: "AE",
    0x00020017: "AE",
    0x00020018: "AE",
    0x00020026: "UR",
    0x00020027: "UR",
    0x00020028: "UR",
    0x00020031: "OB",
    0x00020032: "UI",
    0x00020033: "OB",
    0x00020035: "OB",
    0x00020036: "OB",
    0x00020037: "OB",
    0x00020038: "OB",
    0x00020100: "UI",
    0x00020102: "OB",
}


def file_meta(instance: Instance, *, sop_instance_uid: str, transfer_syntax_uid: str) -> bytes:
    """A zeroed preamble, the prefix and group 2 of a file made from `instance`.

    The preamble may have held another format's header (TIFF); that is not true of the new
    file, and executable preambles are a known attack, so it is not copied.
    """
    texts = {
        0x00020002: instance.sop_class_uid,
        0x00020003: sop_instance_uid,
        0x00020010: transfer_syntax_uid,
        0x00020012: IMPLEMENTATION_CLASS_UID,
    }
    elements = {
        tag: explicit_element(tag, "UI", text.encode("latin-1")) for tag, text in texts.items()
    }
    elements[_VERSION] = explicit_element(_VERSION, "OB", b"\0\1")
    elements[0x00020013] = explicit_element(
        0x00020013, "SH", IMPLEMENTATION_VERSION_NAME.encode("ascii")
    )
    for tag, element in instance.attributes.items():
        if tag >> 16 == 2 and tag not in elements and tag != _GROUP_LENGTH:
            elements[tag] = _kept(element)
    group = b"".join(elements[tag] for tag in sorted(elements))
    length = explicit_element(_GROUP_LENGTH, "UL", pack("<I", len(group)))
    return bytes(PREAMBLE_BYTES) + PREFIX + length + group


def _kept(element: Element) -> bytes:
    vr = element.vr or _META_VRS.get(element.tag, "UN")
    return explicit_element(element.tag, vr, element.value)
