"""The top-level elements of a data set, found in whatever bytes are at hand.

A stage of the push parser: `parse` is given a window of the stream, takes what it can use
and says where it wants to go on, which may be far behind the window. It keeps short values,
skips all others by their length, and walks sequences of undefined length to their end. It
holds no buffer.
"""

from __future__ import annotations

from collections.abc import Container

from ...codecs.errors import DicomError
from .element import Element
from .encoding import Encoding, Located
from .sequence_walk import SEQUENCE_VRS, SequenceWalk
from .tags import (
    EXTENDED_OFFSET_TABLE,
    EXTENDED_OFFSET_TABLE_LENGTHS,
    MAX_KEPT_BYTES,
    PIXEL_DATA_TAGS,
    format_tag,
)
from .value_representations import IS_LONG_FORM, UNDEFINED_LENGTH, is_unknown_long_form

__all__ = ["MAX_OFFSET_TABLE_BYTES", "ElementScanner"]

MAX_OFFSET_TABLE_BYTES = 1 << 24
"""A longer offset table (2 million frames) is not read; the items are walked instead."""

_OFFSET_TABLE_TAGS = frozenset({EXTENDED_OFFSET_TABLE, EXTENDED_OFFSET_TABLE_LENGTHS})


class ElementScanner:
    """Scans one data set up to its Pixel Data, and on behind it after `resume`.

    `done` is set at Pixel Data (`pixel_data` says where it lies) and at trailing zeros
    (`zeros_offset`). With `locate`, every top-level element is appended to `located`, for the
    caller to drain after each `parse`; otherwise only those in `keep` leave a trace, in
    `kept`, and offset tables in `offset_tables`.
    """

    def __init__(
        self,
        *,
        encoding: Encoding,
        end_bytes: int,
        keep: Container[int] = (),
        locate: bool = False,
        source: str = "",
    ) -> None:
        self.encoding = encoding
        self.done = False
        self.wanted_bytes = 8
        self.kept: dict[int, Element] = {}
        self.offset_tables: dict[int, bytes] = {}
        self.located: list[Located] = []
        self.pixel_data: Located | None = None
        self.zeros_offset: int | None = None
        self.duplicate: int | None = None
        self.unordered: int | None = None
        self.last_tag = -1
        self._end_bytes = end_bytes
        self._keep = keep
        self._locate = locate
        self._source = source
        self._walk: SequenceWalk | None = None

    def parse(self, data: bytes, position: int, base_bytes: int) -> int:
        """Take what can be had of `data`, whose first byte is byte `base_bytes` of the stream.

        Returns the position to go on from: inside `data` where more bytes are needed to
        understand what is there (`wanted_bytes` from that position), behind its end where
        the bytes between are not needed.
        """
        size, end = len(data), self._end_bytes - base_bytes
        keep, kept, locate, last_tag = self._keep, self.kept, self._locate, self.last_tag
        explicit_vr = self.encoding.explicit_vr
        read_header = self.encoding.fields.header.unpack_from
        read_length = self.encoding.fields.length.unpack_from
        is_long_form = IS_LONG_FORM.get
        self.wanted_bytes = 8
        while True:
            if self._walk is not None:
                position = self._walk.parse(data, position, base_bytes)
                if self._walk.is_open:
                    self.wanted_bytes = self._walk.wanted_bytes
                    break
                self._close_sequence(self._walk, base_bytes + position)
            if position + 8 > size:
                break
            group, element, vr, length = read_header(data, position)
            value = position + 8
            is_long = is_long_form(vr) if explicit_vr else False
            if is_long is None:
                is_long = is_unknown_long_form(vr, length)
            if is_long is None or not explicit_vr:
                vr = b""
                (length,) = read_length(data, position + 4)
            elif is_long:
                value = position + 12
                if value > size:
                    self.wanted_bytes = 12
                    break
                (length,) = read_length(data, position + 8)
            tag = group << 16 | element
            stop = value + length
            if tag <= last_tag:
                if tag == 0 and not any(data[position:value]):
                    self.zeros_offset = base_bytes + position
                    self.done = True
                    break
                self._note_order(tag, last_tag)
            if length == UNDEFINED_LENGTH or tag in PIXEL_DATA_TAGS or stop > end or locate:
                located = Located(
                    tag,
                    vr,
                    base_bytes + position,
                    base_bytes + value,
                    length,
                    base_bytes + stop,
                )
                if length != UNDEFINED_LENGTH and stop > end:
                    raise self._too_long(located)
                if tag in PIXEL_DATA_TAGS:
                    last_tag = tag
                    position = value
                    self.pixel_data = located
                    self.done = True
                    break
                if length == UNDEFINED_LENGTH:
                    last_tag = tag
                    position = value
                    self._open_sequence(located)
                    continue
                self.located.append(located)
            if tag in keep:
                if length <= MAX_KEPT_BYTES:
                    if stop > size:
                        self.wanted_bytes = stop - position
                        break
                    kept[tag] = Element(tag, vr.decode("latin-1"), data[value:stop])
            elif tag in _OFFSET_TABLE_TAGS and keep and length <= MAX_OFFSET_TABLE_BYTES:
                if stop > size:
                    self.wanted_bytes = stop - position
                    break
                self.offset_tables[tag] = data[value:stop]
            last_tag = tag
            position = stop
        self.last_tag = last_tag
        return position

    def resume(self) -> None:
        """Go on with the elements behind Pixel Data."""
        self.done = False

    def check_complete(self, rest: bytes, offset_bytes: int) -> None:
        """Assert that the stream may end, with `rest`, from `offset_bytes` on, not understood.

        Raises
        ------
        DicomError
            The stream ends inside an element or a sequence.
        """
        if self._walk is not None:
            raise self._walk.unfinished(offset_bytes + len(rest))
        if any(rest):
            raise DicomError(
                f"the data ends at byte {offset_bytes + len(rest)} inside the element that"
                f" starts at byte {offset_bytes}",
                offset_bytes=offset_bytes,
                source=self._source,
            )

    def _note_order(self, tag: int, last_tag: int) -> None:
        if tag == last_tag:
            self.duplicate = tag
        else:
            self.unordered = tag

    def _open_sequence(self, located: Located) -> None:
        if located.vr not in SEQUENCE_VRS:
            raise DicomError(
                f"{format_tag(located.tag)} at byte {located.offset_bytes} has undefined length,"
                f" which VR {located.vr.decode('latin-1')} cannot have",
                tag=located.tag,
                offset_bytes=located.offset_bytes,
                source=self._source,
            )
        self._walk = SequenceWalk(
            located, encoding=self.encoding, end_bytes=self._end_bytes, source=self._source
        )

    def _close_sequence(self, walk: SequenceWalk, end_offset: int) -> None:
        if self._locate:
            self.located.append(walk.located._replace(end_offset=end_offset))
        self._walk = None

    def _too_long(self, located: Located) -> DicomError:
        what = "Pixel Data " if located.tag in PIXEL_DATA_TAGS else ""
        return DicomError(
            f"{what}{format_tag(located.tag)} at byte {located.offset_bytes} declares"
            f" {located.length_bytes} bytes, but the data holds only"
            f" {max(self._end_bytes - located.value_offset, 0)} more",
            tag=located.tag,
            offset_bytes=located.offset_bytes,
            source=self._source,
        )
