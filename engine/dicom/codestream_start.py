"""How the codestreams of each family begin: to tell frames apart, and unnamed syntaxes.

Looks at the first bytes of fragments only; decodes nothing.
"""

from __future__ import annotations

from enum import IntEnum

__all__ = ["START_BYTES", "CodestreamStart", "family_of_syntax", "guess_syntax", "recognise_start"]

START_BYTES = 12
"""What `recognise_start` needs: the JP2 signature box."""


class CodestreamStart(IntEnum):
    """The family whose codestream begins with some bytes."""

    NONE = 0
    JPEG = 1
    JPEG_2000 = 2
    RLE = 3
    JPEG_XL = 4


_JP2_SIGNATURE = b"\x00\x00\x00\x0cjP  \r\n\x87\n"
_JXL_SIGNATURE = b"\x00\x00\x00\x0cJXL \r\n\x87\n"
_RLE_FIRST_OFFSET = (64).to_bytes(4, "little")


def recognise_start(head: bytes) -> CodestreamStart:
    """The family of the codestream that begins with `head` (`START_BYTES` or a whole fragment).

    References
    ----------
    ISO/IEC 10918-1 B.1.1.3 (SOI), 15444-1 A.4 (SOC, SIZ) and I.5.1 (JP2), 18181-2 (JXL);
    DICOM PS3.5 §G.5 (RLE header: 1–15 segments, the first at byte 64).
    """
    if head[:3] == b"\xff\xd8\xff":
        return CodestreamStart.JPEG
    if head[:4] == b"\xff\x4f\xff\x51" or head == _JP2_SIGNATURE:
        return CodestreamStart.JPEG_2000
    if head[:2] == b"\xff\x0a" or head == _JXL_SIGNATURE:
        return CodestreamStart.JPEG_XL
    if head[4:8] == _RLE_FIRST_OFFSET and 1 <= int.from_bytes(head[:4], "little") <= 15:
        return CodestreamStart.RLE
    return CodestreamStart.NONE


def family_of_syntax(uid: str) -> CodestreamStart:
    """The family that frames of a Transfer Syntax UID belong to, NONE where they have none."""
    if uid == "1.2.840.10008.1.2.5":
        return CodestreamStart.RLE
    head, _, number = uid.rpartition(".")
    if head != "1.2.840.10008.1.2.4" or not number.isdecimal():
        return CodestreamStart.NONE
    code = int(number)
    if 50 <= code <= 81:
        return CodestreamStart.JPEG
    if 90 <= code <= 93 or 201 <= code <= 203:
        return CodestreamStart.JPEG_2000
    if 110 <= code <= 112:
        return CodestreamStart.JPEG_XL
    return CodestreamStart.NONE


_SYNTAX_OF_FRAME_MARKER = {
    0xC0: "1.2.840.10008.1.2.4.50",
    0xC1: "1.2.840.10008.1.2.4.51",
    0xC2: "1.2.840.10008.1.2.4.55",
    0xC3: "1.2.840.10008.1.2.4.57",
    0xF7: "1.2.840.10008.1.2.4.81",
}
_CAP = b"\xff\x50"


def guess_syntax(head: bytes) -> str | None:
    """The Transfer Syntax UID that covers a codestream of which `head` is the beginning.

    The most general one of its family: whether a JPEG 2000 codestream is lossless is not
    asked. None where the bytes do not tell.
    """
    start = recognise_start(head[:START_BYTES])
    if start is CodestreamStart.RLE:
        return "1.2.840.10008.1.2.5"
    if start is CodestreamStart.JPEG_2000:
        siz = head.find(b"\xff\x4f\xff\x51")
        if siz < 0:
            return None
        after_siz = siz + 4 + int.from_bytes(head[siz + 4 : siz + 6], "big")
        is_high_throughput = head[after_siz : after_siz + 2] == _CAP
        return "1.2.840.10008.1.2.4.203" if is_high_throughput else "1.2.840.10008.1.2.4.91"
    if start is CodestreamStart.JPEG_XL:
        return "1.2.840.10008.1.2.4.112"
    if start is CodestreamStart.JPEG:
        return _SYNTAX_OF_FRAME_MARKER.get(_frame_marker(head))
    return None


def _frame_marker(head: bytes) -> int:
    """The code of the SOF marker of a JPEG or JPEG-LS codestream, 0 where `head` has none."""
    position = 2
    while position + 4 <= len(head) and head[position] == 0xFF:
        code = head[position + 1]
        if code == 0xFF:
            position += 1
            continue
        if code in _SYNTAX_OF_FRAME_MARKER:
            return code
        position += 2 + max(int.from_bytes(head[position + 2 : position + 4], "big"), 2)
    return 0
