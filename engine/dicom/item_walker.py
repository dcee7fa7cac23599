"""The items of encapsulated Pixel Data: where each fragment lies and how it begins.

A stage of the push parser, like `ElementScanner`: it reads item tags and the first bytes of
each fragment, and skips the rest. It decides nothing about frames (`frame_grouping` does).
"""

from __future__ import annotations

from array import array
from struct import Struct

from ...codecs.errors import DicomError
from .codestream_start import START_BYTES, recognise_start
from .element_scanner import MAX_OFFSET_TABLE_BYTES
from .tags import ITEM, PIXEL_DATA, SEQUENCE_DELIMITATION, format_tag

__all__ = ["ItemWalker"]

_ITEM_HEADER = Struct("<HHI")
_SNIFF_BYTES = 4096


class ItemWalker:
    """Walks the items from the Basic Offset Table to the Sequence Delimitation Item.

    `offsets` and `lengths` locate the fragments' values in the stream, `starts` holds a
    `CodestreamStart` for each. With `sniff`, `first_bytes` gets the beginning of the first
    fragment, for an object whose transfer syntax is unknown.
    """

    def __init__(
        self, *, offset_bytes: int, end_bytes: int, sniff: bool = False, source: str = ""
    ) -> None:
        self.offset_bytes = offset_bytes
        self.done = False
        self.wanted_bytes = 8
        self.basic_offsets: bytes | None = None
        self.first_item_offset = 0
        self.offsets = array("q")
        self.lengths = array("q")
        self.starts = bytearray()
        self.first_bytes = b""
        self._sniff = sniff
        self._end_bytes = end_bytes
        self._source = source

    def parse(self, data: bytes, position: int, base_bytes: int) -> int:
        """Take what can be had of `data`; see `ElementScanner.parse`."""
        size, end = len(data), self._end_bytes - base_bytes
        read_header = _ITEM_HEADER.unpack_from
        while True:
            self.wanted_bytes = 8
            if position + 8 > size:
                return position
            group, element, length = read_header(data, position)
            tag = group << 16 | element
            value = position + 8
            if tag == SEQUENCE_DELIMITATION:
                self.done = True
                return value
            if tag != ITEM:
                raise self._error(
                    f"expected an Item or the Sequence Delimitation Item at byte"
                    f" {base_bytes + position}, found {format_tag(tag)}",
                    base_bytes + position,
                )
            stop = value + length
            if stop > end:
                raise self._error(
                    f"the item at byte {base_bytes + position} declares {length} bytes, but the"
                    f" data holds only {end - value} more",
                    base_bytes + position,
                )
            if self.basic_offsets is None:
                if length > MAX_OFFSET_TABLE_BYTES:
                    self.basic_offsets = b""
                elif stop > size:
                    self.wanted_bytes = 8 + length
                    return position
                else:
                    self.basic_offsets = data[value:stop]
                self.first_item_offset = base_bytes + stop
            else:
                sniff = _SNIFF_BYTES if self._sniff and not self.offsets else START_BYTES
                needed = value + min(length, sniff)
                if needed > size:
                    self.wanted_bytes = needed - position
                    return position
                if self._sniff and not self.offsets:
                    self.first_bytes = data[value:needed]
                self.offsets.append(base_bytes + value)
                self.lengths.append(length)
                self.starts.append(recognise_start(data[value : value + min(length, START_BYTES)]))
            position = stop

    def check_complete(self, rest: bytes, offset_bytes: int) -> str:
        """Assert that the data may end at `offset_bytes` without a delimiter; a warning if so."""
        if any(rest) or not self.offsets:
            raise self._error(
                f"the data ends at byte {offset_bytes + len(rest)} inside the items of Pixel Data",
                offset_bytes,
            )
        return "encapsulated Pixel Data ends without a Sequence Delimitation Item"

    def _error(self, message: str, offset_bytes: int) -> DicomError:
        return DicomError(
            f"Pixel Data: {message}",
            tag=PIXEL_DATA,
            offset_bytes=offset_bytes,
            source=self._source,
        )
