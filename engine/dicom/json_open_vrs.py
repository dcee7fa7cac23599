"""What a data set leaves open for its JSON: VRs that are not stored, and signs that items inherit.

Explicit VRs have no need of pydicom's dictionary, which takes 0.2 s to import: only what needs
it imports it.
"""

from __future__ import annotations

from collections.abc import Mapping

from .encoding import Encoding
from .json_lookahead import pixel_representation_ahead
from .tags import PIXEL_REPRESENTATION

__all__ = ["resolved_vr", "signed_inside"]


def resolved_vr(
    tag: int, vr: str, found: Mapping[int, str], *, length_bytes: int | None, signed: bool
) -> str:
    """The VR of an element stored without (`vr` is ""), or as UN (PS3.5 §6.2.2).

    `found` are the members before it, `length_bytes` is None where a delimiter ends it, and
    `signed` says what the items around it inherit.
    """
    from .json_dictionary import known_vr, settled_vr

    if vr == "UN" and not (tag >> 16) % 2:
        is_group_length = not tag & 0xFFFF
        if is_group_length or length_bytes is None or length_bytes >= 0xFFFF:
            return "UN"
    known = known_vr(tag, found)
    if " or " in known:
        return settled_vr(known, found, length_bytes=length_bytes, signed=signed)
    return known


def signed_inside(
    data: bytes,
    position: int,
    end: int,
    *,
    found: Mapping[int, str],
    encoding: Encoding,
    signed: bool,
) -> bool:
    """Pixel Representation as items inherit it, which may come behind their sequence.

    It is looked for in `found` and from `position` of `data` up to `end`; `signed` where it is
    in neither.
    """
    if encoding.explicit_vr:
        return signed
    from .json_dictionary import is_signed

    if PIXEL_REPRESENTATION not in found and position < end:
        ahead = pixel_representation_ahead(data, position, end, encoding=encoding)
        return signed if ahead is None else ahead
    return is_signed(found, signed)
