"""A data set as DICOM JSON text, straight from its bytes (PS3.18 Annex F).

The members are those of pydicom's JSON, in its order. Where pydicom errs we differ:

- binary values of big-endian data sets are written little-endian, as §F.2.7 asks;
- an empty one among several DS, IS or PN values is null, and the others stay (§F.2.5);
- an attribute whose VR the dictionary leaves open always gets one VR of two letters, without
  Pixel Representation as unsigned;
- the first value of a LUT Descriptor is unsigned in Implicit VR too (PS3.3 §C.11.1.1);
- a sequence that breaks inside its own length is told as UN without a value, whole; one of
  undefined length, whose end is then unknown, is an error.

Equal elements and equal items are written once and remembered: the per-frame items of an
enhanced image mostly repeat each other.
"""

from __future__ import annotations

from collections.abc import Mapping

from ...codecs.errors import DicomError
from .encoding import Encoding, Located
from .json_members import (
    BULK_PREFIX,
    INLINE_BYTES,
    bulk_member,
    charsets_of,
    item_encoding,
    object_text,
    sequence_member,
)
from .json_open_vrs import resolved_vr, signed_inside
from .json_values import ASCII, BINARY_VRS, value_text
from .tags import (
    ITEM,
    ITEM_DELIMITATION,
    PIXEL_DATA_TAGS,
    PIXEL_REPRESENTATION,
    SEQUENCE_DELIMITATION,
    SPECIFIC_CHARACTER_SET,
    format_tag,
)
from .value_representations import IS_LONG_FORM, UNDEFINED_LENGTH, is_unknown_long_form

__all__ = ["JsonWriter"]

MAX_DEPTH = 64
"""Sequences in sequences; deeper ones are told by their VR alone."""

_HARD_DEPTH = 80
_REMEMBERED_ELEMENT_BYTES = 128
_REMEMBERED_ITEM_BYTES = 4096

type _Context = tuple[bool, bool, tuple[str, ...], bool]
type _Memory = dict[bytes, str]


class JsonWriter:
    """Writes the members of one data set, whose bytes may come in several pieces.

    `members` collects the top-level ones by tag, group 2 and below left out.
    """

    def __init__(self, *, encoding: Encoding, source: str = "") -> None:
        self.members: dict[int, str] = {}
        self._encoding = encoding
        self._source = source
        self._charset: tuple[str, ...] = ASCII
        self._data = b""
        self._base_bytes = 0
        # An item of one element has the bytes of that element: two memories.
        self._memories: dict[_Context, _Memory] = {}
        self._item_memories: dict[_Context, _Memory] = {}

    def text(self) -> str:
        """The JSON object of all that was added."""
        return object_text({tag: text for tag, text in self.members.items() if tag >> 16 > 2})

    def add(self, data: bytes, *, offset_bytes: int) -> None:
        """Add whole elements, the first of which is at `offset_bytes` of the stream.

        Raises
        ------
        DicomError
            They are not whole, or not elements.
        """
        self._data = data
        self._base_bytes = offset_bytes
        _, self._charset = self._data_set(
            0, len(data), self._encoding, self._charset, False, "", 0, False, self.members
        )

    def vr_of(self, located: Located) -> str:
        """The VR of a top-level element of which only the header is known."""
        vr = located.vr.decode("latin-1")
        if vr not in ("", "UN"):
            return vr
        length = None if located.is_undefined else located.length_bytes
        return resolved_vr(located.tag, vr, self.members, length_bytes=length, signed=False)

    def add_bulk(self, tag: int, vr: str) -> None:
        """Add a top-level element as bulk data, without having its value."""
        self.members[tag] = bulk_member(tag, vr, "")

    def add_empty(self, tag: int, vr: str) -> None:
        """Add a top-level element by its VR alone."""
        self.members[tag] = f'"{tag:08X}":{{"vr":"{vr}"}}'

    def _data_set(
        self,
        position: int,
        end: int,
        encoding: Encoding,
        charset: tuple[str, ...],
        signed: bool,
        place: str,
        depth: int,
        is_undefined: bool,
        found: dict[int, str],
    ) -> tuple[int, tuple[str, ...]]:
        """Write elements up to `end`, or the delimiter; returns where they end."""
        data = self._data
        explicit_vr, little_endian = encoding.explicit_vr, encoding.little_endian
        read_header = encoding.fields.header.unpack_from
        read_length = encoding.fields.length.unpack_from
        is_long_form = IS_LONG_FORM.get
        memory = self._memories.setdefault((explicit_vr, little_endian, charset, signed), {})
        inherited: bool | None = None  # Pixel Representation, for the items of sequences
        while position + 8 <= end:
            group, element, stored, length = read_header(data, position)
            value = position + 8
            tag = group << 16 | element
            is_long = is_long_form(stored) if explicit_vr else None
            if is_long is None:
                if group == 0xFFFE:
                    if tag == ITEM_DELIMITATION and depth:
                        return (value if is_undefined else end), charset
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
                    ahead = position if tag < PIXEL_REPRESENTATION else end
                    inherited = signed_inside(
                        data, ahead, end, found=found, encoding=encoding, signed=signed
                    )
                found[tag], position = self._undefined(
                    tag, stored, value, end, encoding, charset, inherited, place, depth, found
                )
                continue
            stop = value + length
            if stop > end:
                raise self._error(
                    f"{format_tag(tag)} declares {length} bytes where {end - value} are left",
                    tag,
                    position,
                )
            remembered = (
                explicit_vr
                and stop - position <= _REMEMBERED_ELEMENT_BYTES
                and stored not in _NOT_REMEMBERED
            )
            if remembered:
                key = data[position:stop]
                text = memory.get(key)
                if text is None:
                    vr = stored.decode("latin-1")
                    memory[key] = text = self._member(
                        tag, vr, data[value:stop], charset, little_endian, place
                    )
                found[tag] = text
            else:
                vr = stored.decode("latin-1")
                if stored in (b"", b"UN"):
                    if not tag and not depth and not any(data[position:stop]):
                        return end, charset  # zeros that pad the file
                    vr = resolved_vr(tag, vr, found, length_bytes=length, signed=signed)
                if vr == "SQ":
                    if inherited is None or tag > PIXEL_REPRESENTATION:
                        ahead = stop if tag < PIXEL_REPRESENTATION else end
                        inherited = signed_inside(
                            data, ahead, end, found=found, encoding=encoding, signed=signed
                        )
                    found[tag] = self._sequence(
                        tag, value, stop, encoding, charset, inherited, place, depth
                    )
                elif vr in BINARY_VRS and length > INLINE_BYTES:
                    found[tag] = bulk_member(tag, vr, place)
                else:
                    content = data[value:stop]
                    found[tag] = self._member(tag, vr, content, charset, little_endian, place)
            if tag == SPECIFIC_CHARACTER_SET:
                charset = charsets_of(data[value:stop])
                memory = self._memories.setdefault(
                    (explicit_vr, little_endian, charset, signed), {}
                )
            position = stop
        if is_undefined or (position < end and any(data[position:end])):
            raise self._error("the data ends inside an element", 0, position)
        return end, charset

    def _member(
        self,
        tag: int,
        vr: str,
        value: bytes,
        charset: tuple[str, ...],
        little_endian: bool,
        place: str,
    ) -> str:
        if tag in PIXEL_DATA_TAGS and not place:
            return bulk_member(tag, vr, place)
        if vr.encode("latin-1") not in IS_LONG_FORM:
            return f'"{tag:08X}":{{"vr":"UN"}}'
        if tag == SPECIFIC_CHARACTER_SET:
            charset = ASCII
        text = value_text(tag, vr, value, charset=charset, little_endian=little_endian)
        return f'"{tag:08X}":{text}'

    def _sequence(
        self,
        tag: int,
        position: int,
        stop: int,
        encoding: Encoding,
        charset: tuple[str, ...],
        signed: bool,
        place: str,
        depth: int,
    ) -> str:
        """The member of a sequence that has a length."""
        if depth >= MAX_DEPTH:
            return f'"{tag:08X}":{{"vr":"SQ"}}'
        try:
            items, _ = self._items(
                tag, position, stop, encoding, charset, signed, place, depth, False
            )
        except DicomError:
            return f'"{tag:08X}":{{"vr":"UN"}}'
        return sequence_member(tag, items)

    def _items(
        self,
        tag: int,
        position: int,
        end: int,
        encoding: Encoding,
        charset: tuple[str, ...],
        signed: bool,
        place: str,
        depth: int,
        is_undefined: bool,
    ) -> tuple[list[str], int]:
        """The JSON objects of a sequence's items, and where it ends."""
        data = self._data
        read_header = encoding.fields.header.unpack_from
        read_length = encoding.fields.length.unpack_from
        context = (encoding.explicit_vr, encoding.little_endian, charset, signed)
        memory = self._item_memories.setdefault(context, {})
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
            within = item_encoding(encoding, data, start)
            inside = f"{here}{len(items)}/"
            if length == UNDEFINED_LENGTH:
                members: dict[int, str] = {}
                position, _ = self._data_set(
                    start, end, within, charset, signed, inside, depth + 1, True, members
                )
                items.append(object_text(members))
                continue
            position = start + length
            if position > end:
                raise self._error(f"an item declares {length} bytes, too many", tag, start)
            key = data[start:position] if length <= _REMEMBERED_ITEM_BYTES else b""
            text = memory.get(key) if key else None
            if text is None:
                members = {}
                self._data_set(
                    start, position, within, charset, signed, inside, depth + 1, False, members
                )
                text = object_text(members)
                if key and BULK_PREFIX not in text:
                    memory[key] = text
            items.append(text)
        if is_undefined or position != end:
            raise self._error("the data ends inside a sequence", tag, position)
        return items, end

    def _undefined(
        self,
        tag: int,
        stored: bytes,
        position: int,
        end: int,
        encoding: Encoding,
        charset: tuple[str, ...],
        signed: bool,
        place: str,
        depth: int,
        found: Mapping[int, str],
    ) -> tuple[str, int]:
        """The member of an element that a delimiter ends, and where it ends."""
        vr = stored.decode("latin-1")
        if vr == "UN":
            vr = "SQ"
        elif not vr:
            vr = resolved_vr(tag, vr, found, length_bytes=None, signed=signed)
            if vr == "UN" and self._data[position : position + 4] in _ITEM_TAGS:
                vr = "SQ"
        if depth >= _HARD_DEPTH:
            raise self._error("sequences nest too deep", tag, position)
        if vr != "SQ":
            return self._fragments(tag, vr, position, end, encoding, charset, place)
        items, stop = self._items(
            tag, position, end, encoding.inside(stored), charset, signed, place, depth, True
        )
        return sequence_member(tag, items if depth < MAX_DEPTH else []), stop

    def _fragments(
        self,
        tag: int,
        vr: str,
        start: int,
        end: int,
        encoding: Encoding,
        charset: tuple[str, ...],
        place: str,
    ) -> tuple[str, int]:
        """The member of encapsulated fragments (an icon's, PS3.5 §A.4), items and all."""
        position = start
        while position + 8 <= end:
            group, element, _, _ = encoding.fields.header.unpack_from(self._data, position)
            (length,) = encoding.fields.length.unpack_from(self._data, position + 4)
            found = group << 16 | element
            if found == SEQUENCE_DELIMITATION:
                if vr in BINARY_VRS and position - start > INLINE_BYTES:
                    return bulk_member(tag, vr, place), position + 8
                value = self._data[start:position]
                member = self._member(tag, vr, value, charset, encoding.little_endian, place)
                return member, position + 8
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


_ITEM_TAGS = (b"\xfe\xff\x00\xe0", b"\xff\xfe\xe0\x00")
_NOT_REMEMBERED = frozenset({b"SQ", b"UN", b""})
