"""Elements of Implicit VR or Big Endian data sets as Explicit VR Little Endian, streaming.

Values are the same; only their headers, and in Big Endian their byte order, change.
Sequences and items come out with undefined length, because their new length is known only
behind them. Never holds a large value, and never recurses.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ...codecs.errors import DicomError
from .dictionary import implicit_vr
from .element_source import COPY_BYTES, copy_bytes, read_exactly
from .encapsulation import SEQUENCE_DELIMITER
from .encoding import Encoding, Located
from .explicit_elements import explicit_header
from .instance import ReadAt
from .sequence_walk import MAX_DEPTH
from .tags import (
    ITEM,
    ITEM_DELIMITATION,
    PIXEL_DATA,
    PIXEL_REPRESENTATION,
    SEQUENCE_DELIMITATION,
    format_tag,
)
from .value_representations import (
    IS_LONG_FORM,
    SWAP_BYTES,
    UNDEFINED_LENGTH,
    is_unknown_long_form,
)

__all__ = ["Transcriber"]

_ITEM_START = b"\xfe\xff\x00\xe0\xff\xff\xff\xff"
_ITEM_END = b"\xfe\xff\x0d\xe0\x00\x00\x00\x00"


@dataclass(slots=True)
class _Container:
    """An open sequence or item: ends at `end_offset`, or at a delimiter where `is_undefined`."""

    is_item: bool
    is_undefined: bool
    end_offset: int
    signed: bool
    encoding: Encoding


@dataclass(frozen=True, slots=True)
class _Header:
    tag: int
    vr: str
    value_offset: int
    length_bytes: int

    @property
    def is_sequence(self) -> bool:
        """UN of undefined length is a sequence in Implicit VR Little Endian (PS3.5 §6.2.2)."""
        return self.vr == "SQ" or (self.vr == "UN" and self.length_bytes == UNDEFINED_LENGTH)


class Transcriber:
    """Transcribes top-level elements of one data set.

    `signed` is its Pixel Representation, which decides elements that are US or SS.
    """

    def __init__(
        self,
        read_at: ReadAt,
        *,
        encoding: Encoding,
        signed: bool,
        size_bytes: int,
        source: str = "",
    ) -> None:
        self._read_at = read_at
        self._encoding = encoding
        self._signed = signed
        self._size_bytes = size_bytes
        self._source = source
        self._window = b""
        self._window_offset = 0

    def transcribe(self, located: Located) -> Iterator[bytes]:
        """The bytes of one element; none for a group length, which would be wrong now,
        nor for a stray delimiter.

        Raises
        ------
        DicomError
            A sequence in it is malformed.
        """
        header = self._header(
            located.offset_bytes, located.end_offset, encoding=self._encoding, signed=self._signed
        )
        if header.tag & 0xFFFF == 0 or header.tag >> 16 == 0xFFFE:
            return
        if not header.is_sequence:
            yield from self._plain(header, self._encoding)
            return
        if header.length_bytes == 0:
            yield explicit_header(header.tag, "SQ", 0)
            return
        yield explicit_header(header.tag, "SQ", UNDEFINED_LENGTH)
        yield from self._sequence(header, located.end_offset)

    def _sequence(self, header: _Header, end_offset: int) -> Iterator[bytes]:
        """Items and delimiter of the sequence that `header` starts, and all that is in it."""
        is_undefined = header.length_bytes == UNDEFINED_LENGTH
        inside = self._encoding.inside(header.vr.encode("ascii"))
        stack = [_Container(False, is_undefined, end_offset, self._signed, inside)]
        position = header.value_offset
        while stack:
            top = stack[-1]
            if not top.is_undefined and position >= top.end_offset:
                yield _ITEM_END if top.is_item else SEQUENCE_DELIMITER
                stack.pop()
                continue
            found = self._header(position, top.end_offset, encoding=top.encoding, signed=top.signed)
            if found.tag in (ITEM_DELIMITATION, SEQUENCE_DELIMITATION):
                expected = ITEM_DELIMITATION if top.is_item else SEQUENCE_DELIMITATION
                if found.tag != expected or not top.is_undefined:
                    raise self._misplaced(found.tag, position, header.tag)
                yield _ITEM_END if top.is_item else SEQUENCE_DELIMITER
                stack.pop()
                position += 8
            elif found.tag == ITEM or not top.is_item:
                if found.tag != ITEM or top.is_item:
                    raise self._misplaced(found.tag, position, header.tag)
                yield _ITEM_START
                stack.append(self._container(found, top, is_item=True))
                position += 8
            elif found.is_sequence and found.length_bytes:
                yield explicit_header(found.tag, "SQ", UNDEFINED_LENGTH)
                stack.append(self._container(found, top, is_item=False))
                position = found.value_offset
            else:
                position = found.value_offset + found.length_bytes
                if found.tag == PIXEL_REPRESENTATION and found.length_bytes == 2:
                    top.signed = self._peek(found.value_offset, 2) in (b"\1\0", b"\0\1")
                if found.tag & 0xFFFF:
                    yield from self._plain(found, top.encoding)
            if len(stack) > MAX_DEPTH:
                raise self._error(
                    f"{format_tag(header.tag)} nests deeper than {MAX_DEPTH} levels", position
                )

    def _container(self, found: _Header, parent: _Container, *, is_item: bool) -> _Container:
        is_undefined = found.length_bytes == UNDEFINED_LENGTH
        end = parent.end_offset if is_undefined else found.value_offset + found.length_bytes
        encoding = parent.encoding if is_item else parent.encoding.inside(found.vr.encode("ascii"))
        return _Container(is_item, is_undefined, end, parent.signed, encoding)

    def _plain(self, header: _Header, encoding: Encoding) -> Iterator[bytes]:
        """Header and value of an element that is no sequence."""
        yield explicit_header(header.tag, header.vr, header.length_bytes)
        width = 1 if encoding.little_endian else SWAP_BYTES.get(header.vr, 1)
        pieces = copy_bytes(
            self._peek,
            start_bytes=header.value_offset,
            end_bytes=header.value_offset + header.length_bytes,
            source=self._source,
        )
        yield from pieces if width == 1 else (_swapped(piece, width) for piece in pieces)

    def _header(
        self, position: int, end_offset: int, *, encoding: Encoding, signed: bool
    ) -> _Header:
        """The header at `position`, whose value must end by `end_offset`."""
        if position + 8 > end_offset:
            raise self._error(f"no room for an element at byte {position}", position)
        data = self._peek(position, min(12, end_offset - position))
        group, element, vr_bytes, length = encoding.fields.header.unpack_from(data)
        tag = group << 16 | element
        value = position + 8
        is_long = IS_LONG_FORM.get(vr_bytes)
        if is_long is None:
            is_long = is_unknown_long_form(vr_bytes, length)
        vr = ""
        if encoding.explicit_vr and group != 0xFFFE and is_long is not None:
            vr = vr_bytes.decode("ascii")
        if vr and is_long:
            value = position + 12
            if len(data) < 12:
                raise self._error(f"no room for an element at byte {position}", position)
        if is_long or not vr:
            (length,) = encoding.fields.length.unpack_from(data, 8 if vr else 4)
        if length == UNDEFINED_LENGTH:
            vr = vr or "SQ"
            if vr not in ("SQ", "UN") or tag == PIXEL_DATA:
                raise self._error(
                    f"{format_tag(tag)} at byte {position} has undefined length, which it cannot"
                    " have in this encoding",
                    position,
                )
        elif value + length > end_offset:
            raise self._error(
                f"{format_tag(tag)} at byte {position} declares {length} bytes, but only"
                f" {end_offset - value} are left",
                position,
            )
        elif not vr and group != 0xFFFE:
            vr = implicit_vr(tag, length_bytes=length, signed=signed)
        return _Header(tag, vr, value, length)

    def _peek(self, offset_bytes: int, length_bytes: int, /) -> bytes:
        """A few bytes, through a window: headers lie close to each other."""
        start = offset_bytes - self._window_offset
        if not 0 <= start <= len(self._window) - length_bytes:
            wanted = min(max(COPY_BYTES, length_bytes), self._size_bytes - offset_bytes)
            self._window = read_exactly(self._read_at, offset_bytes, wanted, source=self._source)
            self._window_offset = offset_bytes
            start = 0
        return self._window[start : start + length_bytes]

    def _misplaced(self, tag: int, offset_bytes: int, sequence_tag: int) -> DicomError:
        return self._error(
            f"unexpected {format_tag(tag)} at byte {offset_bytes} inside the sequence"
            f" {format_tag(sequence_tag)}",
            offset_bytes,
        )

    def _error(self, message: str, offset_bytes: int) -> DicomError:
        return DicomError(message, offset_bytes=offset_bytes, source=self._source)


def _swapped(piece: bytes, width: int) -> bytes:
    """The piece with every `width` bytes reversed; an odd rest stays as it is."""
    whole = len(piece) - len(piece) % width
    return np.frombuffer(piece, f"u{width}", whole // width).byteswap().tobytes() + piece[whole:]
