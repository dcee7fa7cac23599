"""The top-level elements of a data set, found in whatever bytes are at hand.

A stage of the push parser: `parse` is given a window of the stream, takes what it can use
and says where it wants to go on, which may be far behind the window. It keeps short values,
skips all others by their length, and walks sequences of undefined length to their end. It
holds no buffer and never recurses: the open sequences are a list, bounded in depth.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from struct import Struct
from typing import NamedTuple

from ...codecs.errors import DicomError
from .instance import Element
from .tags import (
    EXTENDED_OFFSET_TABLE,
    EXTENDED_OFFSET_TABLE_LENGTHS,
    ITEM,
    ITEM_DELIMITATION,
    MAX_KEPT_BYTES,
    PIXEL_DATA_TAGS,
    SEQUENCE_DELIMITATION,
    format_tag,
)
from .value_representations import IS_LONG_FORM, UNDEFINED_LENGTH

__all__ = [
    "IMPLICIT_LITTLE_ENDIAN",
    "ElementScanner",
    "Encoding",
    "Located",
    "MAX_DEPTH",
    "MAX_OFFSET_TABLE_BYTES",
]

MAX_DEPTH = 128
"""Open sequences and items; real objects stay under 20 (pydicom's recursion ends near 300)."""

MAX_OFFSET_TABLE_BYTES = 1 << 24
"""A longer offset table (2 million frames) is not read; the items are walked instead."""

_OFFSET_TABLE_TAGS = frozenset({EXTENDED_OFFSET_TABLE, EXTENDED_OFFSET_TABLE_LENGTHS})
_SEQUENCE_VRS = frozenset({b"SQ", b"UN", b"OB", b"OW", b""})


@dataclass(frozen=True, slots=True)
class Encoding:
    """How elements are written: with their VR or without, in which byte order (PS3.5 §7.1)."""

    explicit_vr: bool
    little_endian: bool

    @property
    def order(self) -> str:
        """The prefix of a `struct` format."""
        return "<" if self.little_endian else ">"


class Located(NamedTuple):
    """A top-level element and where it lies in the stream; its value ends at `end_offset`."""

    tag: int
    vr: bytes
    offset_bytes: int
    value_offset: int
    length_bytes: int
    end_offset: int


class _Fields(NamedTuple):
    header: Struct
    length: Struct


_FIELDS = {
    True: _Fields(Struct("<HH2sH"), Struct("<I")),
    False: _Fields(Struct(">HH2sH"), Struct(">I")),
}
IMPLICIT_LITTLE_ENDIAN = Encoding(explicit_vr=False, little_endian=True)


class ElementScanner:
    """Scans one data set up to its Pixel Data, and on behind it after `resume`.

    `done` is set at Pixel Data (`pixel_data` says where it lies) and at trailing zeros
    (`zeros_offset`). With `locate`, every top-level element is appended to `located`, for the
    caller to drain after each `parse`; otherwise only those in `keep` leave a trace, in
    `kept`.
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
        # Open sequences and items of undefined length: (is an item, encoding inside).
        self._open: list[tuple[bool, Encoding]] = []
        self._opened: Located | None = None

    def parse(self, data: bytes, position: int, base_bytes: int) -> int:
        """Take what can be had of `data`, whose first byte is byte `base_bytes` of the stream.

        Returns the position to go on from: inside `data` where more bytes are needed to
        understand what is there (`wanted_bytes` from that position), behind its end where
        the bytes between are not needed.
        """
        size, end = len(data), self._end_bytes - base_bytes
        keep, kept, last_tag = self._keep, self.kept, self.last_tag
        explicit_vr, little_endian = self.encoding.explicit_vr, self.encoding.little_endian
        read_header, read_length = (fields.unpack_from for fields in _FIELDS[little_endian])
        self.wanted_bytes = 8
        while True:
            if self._open:
                position = self._walk(data, position, base_bytes)
                if self._open:
                    break
            if position + 8 > size:
                break
            group, element, vr, length = read_header(data, position)
            value = position + 8
            is_long = IS_LONG_FORM.get(vr) if explicit_vr else False
            if is_long is None:
                is_long = _is_long_form(vr, length)
            if is_long is None or not explicit_vr:
                vr = b""
                is_long = False
                (length,) = read_length(data, position + 4)
            if is_long:
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
            if length == UNDEFINED_LENGTH or tag in PIXEL_DATA_TAGS:
                located = Located(
                    tag, vr, base_bytes + position, base_bytes + value, length, base_bytes + stop
                )
                last_tag = tag
                position = value
                if tag in PIXEL_DATA_TAGS:
                    self._check_end(located)
                    self.pixel_data = located
                    self.done = True
                    break
                self._open_sequence(located)
                continue
            if stop > end:
                self._check_end(
                    Located(
                        tag,
                        vr,
                        base_bytes + position,
                        base_bytes + value,
                        length,
                        base_bytes + stop,
                    )
                )
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
            if self._locate:
                self.located.append(
                    Located(
                        tag,
                        vr,
                        base_bytes + position,
                        base_bytes + value,
                        length,
                        base_bytes + stop,
                    )
                )
            last_tag = tag
            position = stop
        self.last_tag = last_tag
        return position

    def resume(self) -> None:
        """Go on with the elements behind Pixel Data."""
        self.done = False

    def check_complete(self, rest: bytes, offset_bytes: int) -> None:
        """Assert that the stream may end at `offset_bytes`, with `rest` not understood.

        Raises
        ------
        DicomError
            The stream ends inside an element or a sequence.
        """
        if self._opened is not None:
            raise DicomError(
                f"the data ends at byte {offset_bytes + len(rest)} inside the sequence"
                f" {format_tag(self._opened.tag)}, which has no delimiter",
                tag=self._opened.tag,
                offset_bytes=self._opened.offset_bytes,
                source=self._source,
            )
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

    def _check_end(self, located: Located) -> None:
        if located.length_bytes == UNDEFINED_LENGTH or located.end_offset <= self._end_bytes:
            return
        held = max(self._end_bytes - located.value_offset, 0)
        what = "Pixel Data " if located.tag in PIXEL_DATA_TAGS else ""
        raise DicomError(
            f"{what}{format_tag(located.tag)} at byte {located.offset_bytes} declares"
            f" {located.length_bytes} bytes, but the data holds only {held} more",
            tag=located.tag,
            offset_bytes=located.offset_bytes,
            source=self._source,
        )

    def _open_sequence(self, located: Located) -> None:
        if located.vr not in _SEQUENCE_VRS:
            raise DicomError(
                f"{format_tag(located.tag)} at byte {located.offset_bytes} has undefined length,"
                f" which VR {located.vr.decode('latin-1')} cannot have",
                tag=located.tag,
                offset_bytes=located.offset_bytes,
                source=self._source,
            )
        self._opened = located
        self._open.append((False, _inside(located.vr, self.encoding)))

    def _walk(self, data: bytes, position: int, base_bytes: int) -> int:
        """Walk the open sequence of undefined length as far as `data` allows."""
        size, end = len(data), self._end_bytes - base_bytes
        stack = self._open
        self.wanted_bytes = 8
        while stack:
            is_item, encoding = stack[-1]
            read_header, read_length = (
                fields.unpack_from for fields in _FIELDS[encoding.little_endian]
            )
            if position + 8 > size:
                return position
            group, element, vr, length = read_header(data, position)
            value = position + 8
            if group == 0xFFFE:
                (length,) = read_length(data, position + 4)
                tag = group << 16 | element
                if tag == (ITEM_DELIMITATION if is_item else SEQUENCE_DELIMITATION):
                    stack.pop()
                    position = value
                    continue
                if is_item or tag != ITEM:
                    raise self._misplaced(tag, base_bytes + position)
                if length == UNDEFINED_LENGTH:
                    self._push(True, encoding, base_bytes + position)
                    position = value
                    continue
            elif not is_item:
                raise self._misplaced(group << 16 | element, base_bytes + position)
            else:
                is_long = IS_LONG_FORM.get(vr) if encoding.explicit_vr else False
                if is_long is None:
                    is_long = _is_long_form(vr, length)
                if is_long is None or not encoding.explicit_vr:
                    vr = b""
                    is_long = False
                    (length,) = read_length(data, position + 4)
                if is_long:
                    value = position + 12
                    if value > size:
                        self.wanted_bytes = 12
                        return position
                    (length,) = read_length(data, position + 8)
                if length == UNDEFINED_LENGTH:
                    if vr not in _SEQUENCE_VRS:
                        raise self._misplaced(group << 16 | element, base_bytes + position)
                    self._push(False, _inside(vr, encoding), base_bytes + position)
                    position = value
                    continue
            position = value + length
            if position > end:
                assert self._opened is not None
                raise DicomError(
                    f"an element or item at byte {base_bytes + value - 8} inside"
                    f" {format_tag(self._opened.tag)} declares {length} bytes, but the data"
                    f" holds only {max(end - value, 0)} more",
                    tag=self._opened.tag,
                    offset_bytes=base_bytes + value - 8,
                    source=self._source,
                )
        assert self._opened is not None
        if self._locate:
            self.located.append(self._opened._replace(end_offset=base_bytes + position))
        self._opened = None
        return position

    def _push(self, is_item: bool, encoding: Encoding, offset_bytes: int) -> None:
        if len(self._open) >= MAX_DEPTH:
            assert self._opened is not None
            raise DicomError(
                f"{format_tag(self._opened.tag)} nests deeper than {MAX_DEPTH} levels"
                f" at byte {offset_bytes}",
                tag=self._opened.tag,
                offset_bytes=offset_bytes,
                source=self._source,
            )
        self._open.append((is_item, encoding))

    def _misplaced(self, tag: int, offset_bytes: int) -> DicomError:
        assert self._opened is not None
        return DicomError(
            f"unexpected {format_tag(tag)} at byte {offset_bytes} inside the sequence"
            f" {format_tag(self._opened.tag)}",
            tag=self._opened.tag,
            offset_bytes=offset_bytes,
            source=self._source,
        )


def _is_long_form(vr: bytes, length_or_reserved: int) -> bool | None:
    """Whether a VR that no table knows has a 32-bit length; None: it is not a VR at all.

    New VRs take the 32-bit form (PS3.5 §7.1.2), whose reserved bytes are zero. Elements
    without a VR amid explicit ones occur in real files; pydicom reads them as implicit too.
    """
    if vr.isalpha() and vr.isupper():
        return length_or_reserved == 0
    return None


def _inside(vr: bytes, encoding: Encoding) -> Encoding:
    """The encoding inside a sequence: UN of undefined length holds Implicit VR LE (§6.2.2)."""
    return IMPLICIT_LITTLE_ENDIAN if vr == b"UN" else encoding
