"""An Extended Offset Table put to the proof at its first and last item.

A stage of the push parser for sources that can be read at any place: where the proof holds,
the items between need not be read, which makes indexing independent of the number of frames.
"""

from __future__ import annotations

from struct import Struct
from typing import Any

import numpy as np

from .element_scanner import MAX_OFFSET_TABLE_BYTES
from .encapsulation import ITEM_HEADER_BYTES
from .frame_grouping import chained_items
from .tags import ITEM, SEQUENCE_DELIMITATION

__all__ = ["TableProbe"]

_ITEM_HEADER = Struct("<HHI")


class TableProbe:
    """Reads the Basic Offset Table's item, the first item's tag, the last one's and the delimiter.

    When `done`, `proved` tells whether the table holds; `offsets` and `lengths` are then
    those of the fragments' values in the stream.
    """

    def __init__(
        self, *, offset_bytes: int, end_bytes: int, tables: tuple[bytes, bytes], frame_count: int
    ) -> None:
        self.offset_bytes = offset_bytes
        self.done = False
        self.proved = False
        self.wanted_bytes = 8
        self.offsets: np.ndarray[Any, np.dtype[np.int64]] = np.zeros(0, np.int64)
        self.lengths: np.ndarray[Any, np.dtype[np.int64]] = np.zeros(0, np.int64)
        self._end_bytes = end_bytes
        self._tables = tables
        self._frame_count = frame_count
        self._checks: list[tuple[int, int, int]] | None = None

    def parse(self, data: bytes, position: int, base_bytes: int) -> int:
        """Take what can be had of `data`; see `ElementScanner.parse`."""
        while not self.done:
            if position + 8 > len(data):
                return position
            group, element, length = _ITEM_HEADER.unpack_from(data, position)
            tag = group << 16 | element
            if self._checks is None:
                position = self._plan(tag, length, base_bytes + position) - base_bytes
                continue
            _, expected_tag, expected_length = self._checks[0]
            if tag != expected_tag or (tag == ITEM and length != expected_length):
                self.done = True
                break
            del self._checks[0]
            if self._checks:
                position = self._checks[0][0] - base_bytes
            else:
                position += 8
                self.done = self.proved = True
        return position

    def _plan(self, tag: int, length: int, offset_bytes: int) -> int:
        """What to check, once it is known where the first item starts."""
        first = offset_bytes + ITEM_HEADER_BYTES + length
        room = self._end_bytes - first
        chain = None
        if tag == ITEM and length <= MAX_OFFSET_TABLE_BYTES and room > 0:
            chain = chained_items(*self._tables, frame_count=self._frame_count, room_bytes=room - 8)
        if chain is None:
            self.done = True
            return offset_bytes
        items, lengths = chain
        last = first + int(items[-1])
        self._checks = [
            (first, ITEM, int(lengths[0])),
            (last, ITEM, int(lengths[-1])),
            (last + ITEM_HEADER_BYTES + int(lengths[-1]), SEQUENCE_DELIMITATION, 0),
        ]
        if len(items) == 1:
            del self._checks[0]
        self.offsets = items + (first + ITEM_HEADER_BYTES)
        self.lengths = lengths
        return first
