"""What the first bytes of a file or a data set say about how it is written.

Looks at a few bytes; takes nothing on trust from the file meta.
"""

from __future__ import annotations

from .encoding import Encoding
from .value_representations import IS_LONG_FORM

__all__ = ["HEAD_BYTES", "detect_encoding", "starts_as_dataset"]

HEAD_BYTES = 8
"""A tag and a VR with length, or a tag and a length."""

_FIRST_GROUPS_END = 0x0400
"""A data set starts well below this group; read in the wrong byte order, group 8 is above."""


def detect_encoding(head: bytes, *, declared: Encoding | None) -> Encoding:
    """How the data set that starts with `head` is written.

    `declared` (by the transfer syntax) decides what the bytes leave open. An implicit
    length whose low half reads as two capitals would be longer than 16 KiB, which a first
    element never is; pydicom detects by the same rule.
    """
    if len(head) < HEAD_BYTES:
        return declared or Encoding(explicit_vr=True, little_endian=True)
    vr = head[4:6]
    explicit_vr = vr in IS_LONG_FORM or (vr.isalpha() and vr.isupper())
    if not explicit_vr:
        return Encoding(explicit_vr=False, little_endian=True)
    little, big = (int.from_bytes(head[:2], order) for order in ("little", "big"))
    little_endian = True if declared is None else declared.little_endian
    assumed, other = (little, big) if little_endian else (big, little)
    if assumed >= _FIRST_GROUPS_END > other:
        little_endian = not little_endian
    return Encoding(explicit_vr=True, little_endian=little_endian)


def starts_as_dataset(head: bytes, *, size_bytes: int) -> bool:
    """Whether a file without a preamble starts as DICOM (or ACR-NEMA) does."""
    if len(head) < HEAD_BYTES:
        return False
    little, big = (int.from_bytes(head[:2], order) for order in ("little", "big"))
    if head[4:6] in IS_LONG_FORM:
        return any(group % 2 == 0 and 2 <= group <= 0x0028 for group in (little, big))
    length = int.from_bytes(head[4:8], "little")
    return little in (2, 4, 8, 0x0010, 0x0018, 0x0020, 0x0028) and length <= size_bytes - HEAD_BYTES
