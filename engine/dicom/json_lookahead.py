"""What stands further on in a data set, and decides how earlier elements are read."""

from __future__ import annotations

from ...codecs.errors import DicomError
from .encoding import Encoding, Located
from .sequence_walk import SequenceWalk
from .tags import PIXEL_REPRESENTATION
from .value_representations import UNDEFINED_LENGTH

__all__ = ["pixel_representation_ahead"]


def pixel_representation_ahead(
    data: bytes, position: int, end: int, *, encoding: Encoding
) -> bool | None:
    """Whether Pixel Representation, further on in an Implicit VR data set, says signed.

    Parameters
    ----------
    position, end
        Where an element starts, and where the data set or what is around it ends.

    Returns
    -------
    bool or None
        None where there is none, or where the data set is damaged before it.
    """
    read_header = encoding.fields.header.unpack_from
    read_length = encoding.fields.length.unpack_from
    while position + 8 <= end:
        group, element, _, _ = read_header(data, position)
        (length,) = read_length(data, position + 4)
        tag, value = group << 16 | element, position + 8
        if tag == PIXEL_REPRESENTATION and length == 2 and value + 2 <= end:
            return any(data[value : value + 2])
        if tag >= PIXEL_REPRESENTATION:
            return None
        if length != UNDEFINED_LENGTH:
            position = value + length
            continue
        located = Located(tag, b"", position, value, length, value)
        walk = SequenceWalk(located, encoding=encoding, end_bytes=end, source="")
        try:
            position = walk.parse(data, value, 0)
        except DicomError:
            return None
        if walk.is_open:
            return None
    return None
