"""Which fragments make which frame, from the offset tables and the codestreams' own starts.

Pure arithmetic on offsets that were already found; trusts no table that the items deny.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...codecs.errors import DicomError
from .codestream_start import CodestreamStart, family_of_syntax
from .encapsulation import ITEM_HEADER_BYTES
from .frame_index import FrameIndex
from .item_walker import ItemWalker
from .tags import NUMBER_OF_FRAMES, PIXEL_DATA

__all__ = ["chained_items", "group_fragments"]

type _Int64Array = np.ndarray[Any, np.dtype[np.int64]]


def chained_items(
    offsets: bytes, lengths: bytes, *, frame_count: int, room_bytes: int
) -> tuple[_Int64Array, _Int64Array] | None:
    """Offsets and item lengths of an Extended Offset Table whose entries follow each other.

    Parameters
    ----------
    offsets, lengths
        Values of (7FE0,0001) and (7FE0,0002).
    frame_count
        One fragment a frame is what the table promises (PS3.3 §C.7.6.3.1.8).
    room_bytes
        How many bytes the source holds from the first item on.

    Returns
    -------
    tuple or None
        Offsets of the item tags from the first one's, and the items' lengths, which include
        padding whether or not the table counts it; None where the table contradicts itself.
    """
    if not (len(offsets) == len(lengths) == 8 * frame_count) or frame_count == 0:
        return None
    starts = np.frombuffer(offsets, "<u8")
    sizes = np.frombuffer(lengths, "<u8")
    if int(starts.max()) >= room_bytes or int(sizes.max()) >= room_bytes:
        return None
    items = starts.astype(np.int64)
    padded = (sizes + (sizes & np.uint64(1))).astype(np.int64)
    ends = items + ITEM_HEADER_BYTES + padded
    if items[0] != 0 or not np.array_equal(items[1:], ends[:-1]) or int(ends[-1]) > room_bytes:
        return None
    return items, padded


def group_fragments(
    walked: ItemWalker, *, frame_count: int, transfer_syntax_uid: str, source: str = ""
) -> tuple[FrameIndex, list[str]]:
    """The FrameIndex of walked items, and warnings in sentences.

    A Basic Offset Table is believed where it points at items and does not contradict the
    codestreams; then one fragment a frame where the counts agree; then the codestreams' own
    starts; and a single frame has all fragments.

    Raises
    ------
    DicomError
        The Pixel Data holds fewer frames than `frame_count`, or does not tell them apart.
    """
    offsets = np.array(walked.offsets, np.int64)
    lengths = np.array(walked.lengths, np.int64)
    fragments = len(offsets)
    warnings: list[str] = []
    if not walked.done and fragments > frame_count:
        raise DicomError(
            f"Pixel Data ends after {fragments} fragments without a Sequence Delimitation Item,"
            f" so that the last of {frame_count} frames may not be whole",
            tag=PIXEL_DATA,
            source=source,
        )
    table = _table_starts(walked, offsets)
    begins = _codestream_starts(walked, transfer_syntax_uid)
    if table is not None and len(begins) == frame_count and not np.array_equal(table, begins):
        table = None
    if table is None and walked.basic_offsets:
        warnings.append("the Basic Offset Table is wrong; the items were scanned instead")
    if table is not None and len(table) >= frame_count:
        firsts = table
    elif fragments == frame_count:
        firsts = np.arange(fragments)
    elif len(begins) >= frame_count:
        firsts = begins
    elif frame_count == 1:
        firsts = np.zeros(1, np.int64)
    elif fragments < frame_count:
        raise DicomError(
            f"Number of Frames is {frame_count}, but Pixel Data holds {fragments} fragments",
            tag=NUMBER_OF_FRAMES,
            source=source,
        )
    else:
        raise DicomError(
            f"the {fragments} fragments of Pixel Data cannot be told apart into {frame_count}"
            f" frames: no right offset table, and {len(begins)} fragments begin a codestream",
            tag=PIXEL_DATA,
            source=source,
        )
    if len(firsts) > frame_count:
        warnings.append(
            f"Pixel Data holds {len(firsts)} frames, but Number of Frames is {frame_count}"
        )
    starts = np.append(firsts, fragments)[: frame_count + 1]
    return FrameIndex.encapsulated(offsets=offsets, lengths=lengths, starts=starts), warnings


def _table_starts(walked: ItemWalker, offsets: _Int64Array) -> _Int64Array | None:
    """The first fragment of each frame by the Basic Offset Table, None where it is not right."""
    if not walked.basic_offsets or len(walked.basic_offsets) % 4:
        return None
    table = np.frombuffer(walked.basic_offsets, "<u4").astype(np.int64)
    values = table + walked.first_item_offset + ITEM_HEADER_BYTES
    firsts = np.searchsorted(offsets, values)
    if firsts[-1] >= len(offsets) or table[0] != 0 or np.any(np.diff(table) <= 0):
        return None
    return firsts if np.array_equal(offsets[firsts], values) else None


def _codestream_starts(walked: ItemWalker, transfer_syntax_uid: str) -> _Int64Array:
    """The fragments that begin a codestream of the syntax's family, or of any.

    None where the first fragment does not: then starts seen later mean nothing.
    """
    kinds = np.frombuffer(walked.starts, np.uint8)
    family = family_of_syntax(transfer_syntax_uid)
    is_start = kinds != CodestreamStart.NONE
    if family is not CodestreamStart.NONE and np.any(kinds == family):
        is_start = kinds == family
    return np.flatnonzero(is_start) if is_start[:1].any() else np.zeros(0, np.int64)
