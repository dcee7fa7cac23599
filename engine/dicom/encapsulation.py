"""Encapsulated Pixel Data on the way out: items, delimiters, the Extended Offset Table.

One fragment a frame, an empty Basic Offset Table (PS3.5 §A.4, PS3.3 §C.7.6.3.1.8). Writes
nothing; gives bytes.
"""

from __future__ import annotations

from collections.abc import Iterable
from struct import pack

import numpy as np

from ...codecs.errors import UnsupportedError
from ...codecs.pixels import Buffer
from .value_representations import UNDEFINED_LENGTH

__all__ = [
    "EMPTY_BASIC_OFFSET_TABLE",
    "ITEM_HEADER_BYTES",
    "SEQUENCE_DELIMITER",
    "extended_offset_table",
    "frame_item",
    "item_bytes",
]

ITEM_HEADER_BYTES = 8
EMPTY_BASIC_OFFSET_TABLE = b"\xfe\xff\x00\xe0\x00\x00\x00\x00"
SEQUENCE_DELIMITER = b"\xfe\xff\xdd\xe0\x00\x00\x00\x00"


def frame_item(data: Buffer) -> tuple[bytes, Buffer, bytes]:
    """Item tag and length, the codestream itself, and its padding to an even length.

    Raises
    ------
    UnsupportedError
        The codestream is longer than an item can be.
    """
    length = memoryview(data).nbytes
    if length + length % 2 >= UNDEFINED_LENGTH:
        raise UnsupportedError(
            f"a frame of {length} bytes does not fit an item of at most {UNDEFINED_LENGTH - 1}",
            feature="fragments of 4 GiB",
        )
    return pack("<HHI", 0xFFFE, 0xE000, length + length % 2), data, b"\0" * (length % 2)


def item_bytes(length_bytes: int) -> int:
    """What a frame of that length takes in the file, as `frame_item` makes it."""
    return ITEM_HEADER_BYTES + length_bytes + length_bytes % 2


def extended_offset_table(lengths: Iterable[int]) -> tuple[bytes, bytes]:
    """Values of Extended Offset Table (7FE0,0001) and Lengths (7FE0,0002).

    Parameters
    ----------
    lengths
        The codestreams' lengths in frame order. The table holds the items' lengths, with
        padding, as pydicom writes and reads them.
    """
    sizes = np.fromiter(lengths, "<u8")
    sizes += sizes & np.uint64(1)
    offsets = np.zeros_like(sizes)
    np.cumsum(sizes[:-1] + np.uint64(ITEM_HEADER_BYTES), out=offsets[1:])
    return offsets.tobytes(), sizes.tobytes()
