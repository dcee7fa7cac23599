"""The walk over a data set's elements, sequences and items that writes their JSON members.

Equal elements and equal items are written once and remembered: the per-frame items of an
enhanced image mostly repeat each other.
"""

from __future__ import annotations

from collections.abc import Mapping

from ...codecs.errors import DicomError
from .json_members import (
    BULK_PREFIX,
    INLINE_BYTES,
    bulk_member,
    charsets_of,
    element_member,
    empty_member,
    item_encoding,
    object_text,
    sequence_member,
)
from .json_open_vrs import resolved_vr, signed_inside
from .json_surroundings import Surroundings
from .json_values import BINARY_VRS
from .tags import (
    ITEM,
    ITEM_DELIMITATION,
    PIXEL_REPRESENTATION,
    SEQUENCE_DELIMITATION,
    SPECIFIC_CHARACTER_SET,
    format_tag,
)
from .value_representations import IS_LONG_FORM, UNDEFINED_LENGTH, is_unknown_long_form

__all__ = ["JsonWalk"]

MAX_DEPTH = 64
"""Sequences in sequences; deeper ones are told by their VR alone."""

_HARD_DEPTH = 80
_REMEMBERED_ELEMENT_BYTES = 128
_REMEMBERED_ITEM_BYTES = 4096
_NOT_REMEMBERED = frozenset({b"SQ", b"UN", b""})
_ITEM_TAGS = (b"\xfe\xff\x00\xe0", b"\xff\xfe\xe0\x00")


class JsonWalk:
    """Walks whole elements of a data set: `data`, which starts at `base_bytes` of the stream."""

    __slots__ = ("_base_bytes", "_data", "_source")

    def __init__(self, data: bytes, *, base_bytes: int, source: str) -> None:
        self._data = data
        self._base_bytes = base_bytes
        self._source = source

    def top_level(self, around: Surroundings, *, members: dict[int, str]) -> Surroundings:
        """Write the elements into `members` by tag; returns what surrounds those that follow.

        Raises
        ------
        DicomError
            They are not whole, or not elements.
        """
        _, around = self._data_set(0, len(self._data), around, "", 0, False, members)
        return around

    def _data_set(
        self,
        position: int,
        end: int,
        around: Surroundings,
        place: str,
        depth: int,
        is_open: bool,
        found: dict[int, str],
    ) -> tuple[int, Surroundings]:
        """Write elements up to `end`, or the delimiter where the data set `is_open`.

        `place` is the path of items to it, `depth` how many sequences it is in. Returns where
        the elements end, and what surrounds those that follow.
        """
        data = self._data
        encoding = around.encoding
        explicit_vr = encoding.explicit_vr
        read_header = encoding.fields.header.unpack_from
        read_length = encoding.fields.length.unpack_from
        is_long_form = IS_LONG_FORM.get
        remembered = around.elements
        inherited: Surroundings | None = None  # by the items of sequences
        while position + 8 <= end:
            group, element, stored, length = read_header(data, position)
            value = position + 8
            tag = group << 16 | element
            is_long = is_long_form(stored) if explicit_vr else None
            if is_long is None:
                if group == 0xFFFE:
                    if tag == ITEM_DELIMITATION and depth:
                        return (value if is_open else end), around
                    raise self._error(f"an unexpected {format_tag(tag)}", tag, position)
                if explicit_vr:
                    is_long = is_unknown_long_form(stored, length)
                if is_long is None:
                    stored = b""
                    (length,) = read_length(data, position + 4)
            if is_long:
                value = position + 12
                if value > end:
                    break
                (length,) = read_length(data, position + 8)
            if length == UNDEFINED_LENGTH:
                if inherited is None or tag > PIXEL_REPRESENTATION:
                    inherited = self._inherited(tag, position, end, around, found)
                found[tag], position = self._undefined(
                    tag, stored, value, end, inherited, place, depth, found
                )
                continue
            stop = value + length
            if stop > end:
                raise self._error(
                    f"{format_tag(tag)} declares {length} bytes where {end - value} are left",
                    tag,
                    position,
                )
            if (
                explicit_vr
                and stop - position <= _REMEMBERED_ELEMENT_BYTES
                and stored not in _NOT_REMEMBERED
            ):
                key = data[position:stop]
                text = remembered.get(key)
                if text is None:
                    vr = stored.decode("latin-1")
                    text = element_member(tag, vr, data[value:stop], around, place)
                    remembered[key] = text
                found[tag] = text
            else:
                vr = stored.decode("latin-1")
                if stored in (b"", b"UN"):
                    if not tag and not depth and not any(data[position:stop]):
                        return end, around  # zeros that pad the file
                    vr = resolved_vr(tag, vr, found, length_bytes=length, signed=around.signed)
                if vr == "SQ":
                    if inherited is None or tag > PIXEL_REPRESENTATION:
                        inherited = self._inherited(tag, position, end, around, found)
                    found[tag] = self._sequence(tag, value, stop, inherited, place, depth)
                elif vr in BINARY_VRS and length > INLINE_BYTES:
                    found[tag] = bulk_member(tag, vr, place)
                else:
                    found[tag] = element_member(tag, vr, data[value:stop], around, place)
            if tag == SPECIFIC_CHARACTER_SET:
                around = around.spelled(charsets_of(data[value:stop]))
                remembered, inherited = around.elements, None
            position = stop
        if is_open or (position < end and any(data[position:end])):
            raise self._error("the data ends inside an element", 0, position)
        return end, around

    def _inherited(
        self, tag: int, position: int, end: int, around: Surroundings, found: Mapping[int, str]
    ) -> Surroundings:
        """What surrounds the items of a sequence: Pixel Representation may come behind it."""
        encoding, signed = around.encoding, around.signed
        ahead = position if tag < PIXEL_REPRESENTATION else end
        return around.counted(
            signed_inside(self._data, ahead, end, found=found, encoding=encoding, signed=signed)
        )

    def _sequence(
        self, tag: int, position: int, stop: int, around: Surroundings, place: str, depth: int
    ) -> str:
        """The member of a sequence that has a length."""
        if depth >= MAX_DEPTH:
            return empty_member(tag, "SQ")
        try:
            items, _ = self._items(tag, position, stop, around, place, depth, False)
        except DicomError:
            return empty_member(tag, "UN")
        return sequence_member(tag, items)

    def _items(
        self,
        tag: int,
        position: int,
        end: int,
        around: Surroundings,
        place: str,
        depth: int,
        is_open: bool,
    ) -> tuple[list[str], int]:
        """The JSON objects of a sequence's items, and where it ends."""
        data = self._data
        read_header = around.encoding.fields.header.unpack_from
        read_length = around.encoding.fields.length.unpack_from
        remembered = around.items
        here = f"{place}{tag:08X}/"
        items: list[str] = []
        while position + 8 <= end:
            group, element, _, _ = read_header(data, position)
            (length,) = read_length(data, position + 4)
            start = position + 8
            found = group << 16 | element
            if found == SEQUENCE_DELIMITATION:
                return items, start
            if found != ITEM:
                raise self._error(f"{format_tag(found)} where an item should be", tag, position)
            if length == UNDEFINED_LENGTH:
                place = f"{here}{len(items)}/"
                text, position = self._item(start, end, around, place, depth + 1, True)
                items.append(text)
                continue
            position = start + length
            if position > end:
                raise self._error(f"an item declares {length} bytes, too many", tag, start)
            key = data[start:position] if length <= _REMEMBERED_ITEM_BYTES else b""
            known = remembered.get(key) if key else None
            if known is None:
                place = f"{here}{len(items)}/"
                known, _ = self._item(start, position, around, place, depth + 1, False)
                if key and BULK_PREFIX not in known:
                    remembered[key] = known
            items.append(known)
        if is_open or position != end:
            raise self._error("the data ends inside a sequence", tag, position)
        return items, end

    def _item(
        self, start: int, end: int, around: Surroundings, place: str, depth: int, is_open: bool
    ) -> tuple[str, int]:
        """The JSON object of an item's data set, and where it ends."""
        inside = around.encoded(item_encoding(around.encoding, self._data, start))
        members: dict[int, str] = {}
        position, _ = self._data_set(start, end, inside, place, depth, is_open, members)
        return object_text(members), position

    def _undefined(
        self,
        tag: int,
        stored: bytes,
        position: int,
        end: int,
        around: Surroundings,
        place: str,
        depth: int,
        found: Mapping[int, str],
    ) -> tuple[str, int]:
        """The member of an element that a delimiter ends, and where it ends."""
        vr = stored.decode("latin-1")
        if vr == "UN":
            vr = "SQ"
        elif not vr:
            vr = resolved_vr(tag, vr, found, length_bytes=None, signed=around.signed)
            if vr == "UN" and self._data[position : position + 4] in _ITEM_TAGS:
                vr = "SQ"
        if depth >= _HARD_DEPTH:
            raise self._error("sequences nest too deep", tag, position)
        if vr != "SQ":
            return self._fragments(tag, vr, position, end, around, place)
        inside = around.encoded(around.encoding.inside(stored))
        items, stop = self._items(tag, position, end, inside, place, depth, True)
        return sequence_member(tag, items if depth < MAX_DEPTH else []), stop

    def _fragments(
        self, tag: int, vr: str, start: int, end: int, around: Surroundings, place: str
    ) -> tuple[str, int]:
        """The member of encapsulated fragments (an icon's, PS3.5 §A.4), items and all."""
        position = start
        fields = around.encoding.fields
        while position + 8 <= end:
            group, element, _, _ = fields.header.unpack_from(self._data, position)
            (length,) = fields.length.unpack_from(self._data, position + 4)
            found = group << 16 | element
            if found == SEQUENCE_DELIMITATION:
                if vr in BINARY_VRS and position - start > INLINE_BYTES:
                    return bulk_member(tag, vr, place), position + 8
                value = self._data[start:position]
                return element_member(tag, vr, value, around, place), position + 8
            if found != ITEM or length == UNDEFINED_LENGTH:
                break
            position += 8 + length
        raise self._error(f"{format_tag(tag)} holds no fragments with an end", tag, position)

    def _error(self, what: str, tag: int, position: int) -> DicomError:
        offset_bytes = self._base_bytes + position
        return DicomError(
            f"{what}, at byte {offset_bytes}",
            tag=tag or None,
            offset_bytes=offset_bytes,
            source=self._source,
        )
