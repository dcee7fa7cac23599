"""The way through a sequence of undefined length, to the delimiter that ends it.

Finds the end and nothing else: what has a length is skipped by it. Never recurses; the open
sequences and items are a list, bounded in depth.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...codecs.errors import DicomError
from .encoding import Encoding, Located
from .tags import ITEM, ITEM_DELIMITATION, SEQUENCE_DELIMITATION, format_tag
from .value_representations import IS_LONG_FORM, UNDEFINED_LENGTH, is_unknown_long_form

__all__ = ["MAX_DEPTH", "SEQUENCE_VRS", "SequenceWalk"]

MAX_DEPTH = 128
"""Open sequences and items; real objects stay under 20 (pydicom's recursion ends near 300)."""

SEQUENCE_VRS = frozenset({b"SQ", b"UN", b"OB", b"OW", b""})
"""What may have undefined length: OB and OW hold fragments (an icon's, PS3.5 §A.4)."""

type _Level = tuple[bool, bool, Callable[..., Any], Callable[..., Any], Encoding]


class SequenceWalk:
    """Walks the sequence `located`, which is done once `is_open` is false.

    `parse` works as `ElementScanner.parse` does.
    """

    def __init__(
        self, located: Located, *, encoding: Encoding, end_bytes: int, source: str
    ) -> None:
        self.located = located
        self.wanted_bytes = 8
        self._end_bytes = end_bytes
        self._source = source
        # Open levels: is it an item, has it VRs, how to unpack headers and lengths.
        self._open: list[_Level] = [_level(False, encoding.inside(located.vr))]

    @property
    def is_open(self) -> bool:
        return bool(self._open)

    def parse(self, data: bytes, position: int, base_bytes: int) -> int:
        """Go on as far as `data` allows; returns the position to go on from."""
        size, end = len(data), self._end_bytes - base_bytes
        levels = self._open
        self.wanted_bytes = 8
        is_item, explicit_vr, read_header, read_length, encoding = levels[-1]
        while True:
            if position + 8 > size:
                return position
            group, element, vr, length = read_header(data, position)
            value = position + 8
            if group == 0xFFFE:
                (length,) = read_length(data, position + 4)
                tag = 0xFFFE0000 | element
                if tag == (ITEM_DELIMITATION if is_item else SEQUENCE_DELIMITATION):
                    levels.pop()
                    if not levels:
                        return value
                    is_item, explicit_vr, read_header, read_length, encoding = levels[-1]
                    position = value
                    continue
                if is_item or tag != ITEM:
                    raise self._misplaced(tag, base_bytes + position)
                vr = b"SQ"
            elif not is_item:
                raise self._misplaced(group << 16 | element, base_bytes + position)
            else:
                is_long = IS_LONG_FORM.get(vr) if explicit_vr else False
                if is_long is None:
                    is_long = is_unknown_long_form(vr, length)
                if is_long is None or not explicit_vr:
                    vr = b""
                    (length,) = read_length(data, position + 4)
                elif is_long:
                    value = position + 12
                    if value > size:
                        self.wanted_bytes = 12
                        return position
                    (length,) = read_length(data, position + 8)
            if length == UNDEFINED_LENGTH:
                if vr not in SEQUENCE_VRS:
                    raise self._misplaced(group << 16 | element, base_bytes + position)
                if len(levels) >= MAX_DEPTH:
                    raise self._error(
                        f"nests deeper than {MAX_DEPTH} levels", base_bytes + position
                    )
                levels.append(_level(group == 0xFFFE, encoding.inside(vr)))
                is_item, explicit_vr, read_header, read_length, encoding = levels[-1]
                position = value
                continue
            if value + length > end:
                raise self._error(
                    f"holds an element or item that declares {length} bytes where only"
                    f" {max(end - value, 0)} are left,",
                    base_bytes + position,
                )
            position = value + length

    def unfinished(self, offset_bytes: int) -> DicomError:
        """The error that the data ended at `offset_bytes` although the sequence is open."""
        return self._error("has no end; the data ends", offset_bytes)

    def _misplaced(self, tag: int, offset_bytes: int) -> DicomError:
        return self._error(f"holds an unexpected {format_tag(tag)}", offset_bytes)

    def _error(self, what: str, offset_bytes: int) -> DicomError:
        return DicomError(
            f"the sequence {format_tag(self.located.tag)} from byte"
            f" {self.located.offset_bytes} {what} at byte {offset_bytes}",
            tag=self.located.tag,
            offset_bytes=offset_bytes,
            source=self._source,
        )


def _level(is_item: bool, encoding: Encoding) -> _Level:
    fields = encoding.fields
    return (
        is_item,
        encoding.explicit_vr,
        fields.header.unpack_from,
        fields.length.unpack_from,
        encoding,
    )
