"""The beginning of a Part 10 file: preamble, prefix and File Meta Information (PS3.10 §7).

A stage of the push parser, like `ElementScanner`. Takes files without a preamble, and file
meta that is missing or wrong, and says in sentences what was wrong.
"""

from __future__ import annotations

from struct import Struct

from ...codecs.errors import DicomError
from .element import Element
from .encoding_detection import HEAD_BYTES, starts_as_dataset
from .tags import MAX_KEPT_BYTES, TRANSFER_SYNTAX_UID, format_tag
from .value_representations import IS_LONG_FORM, UNDEFINED_LENGTH

__all__ = ["FILE_META_OFFSET", "PREAMBLE_BYTES", "PREFIX", "FileMetaParser"]

PREAMBLE_BYTES = 128
PREFIX = b"DICM"
FILE_META_OFFSET = PREAMBLE_BYTES + len(PREFIX)

MAX_META_ELEMENTS = 64
"""More are passed over; the standard defines 18."""

_HEADER = Struct("<HH2sH")
_LENGTH = Struct("<I")
_GROUP_LENGTH = 0x00020000
_META_GROUP = b"\x02\x00"
_DEFLATED = b"1.2.840.10008.1.2.1.99"


class FileMetaParser:
    """Parses up to the first byte of the data set, which `dataset_offset` tells when `done`.

    `at_end` must be set once no more bytes will come, so that short files are understood.
    """

    def __init__(self, *, end_bytes: int, source: str = "") -> None:
        self.done = False
        self.at_end = False
        self.wanted_bytes = FILE_META_OFFSET + HEAD_BYTES
        self.has_preamble = False
        self.dataset_offset = 0
        self.elements: dict[int, Element] = {}
        self.warnings: list[str] = []
        self._end_bytes = end_bytes
        self._source = source
        self._prefix_read = False
        self._meta_offset = 0
        self._declared_end: int | None = None

    @property
    def transfer_syntax_uid(self) -> str:
        """What the file meta says, "" where it does not."""
        element = self.elements.get(TRANSFER_SYNTAX_UID)
        return element.value.decode("latin-1").strip(" \0") if element else ""

    def parse(self, data: bytes, position: int, base_bytes: int) -> int:
        """Take what can be had of `data`; see `ElementScanner.parse`."""
        if not self._prefix_read:
            if len(data) - position < self.wanted_bytes and not self.at_end:
                return position
            position += self._read_prefix(data[position : position + self.wanted_bytes])
            self._meta_offset = base_bytes + position
            self._prefix_read = True
        return self._read_elements(data, position, base_bytes)

    def _read_prefix(self, head: bytes) -> int:
        """The length of preamble and prefix."""
        if head[PREAMBLE_BYTES:FILE_META_OFFSET] == PREFIX:
            self.has_preamble = True
            return FILE_META_OFFSET
        if head[: len(PREFIX)] == PREFIX:
            self.warnings.append("the file has no preamble")
            return len(PREFIX)
        if not starts_as_dataset(head[:HEAD_BYTES], size_bytes=self._end_bytes):
            raise DicomError(
                "not a DICOM file: no DICM at byte 128, and it does not start with a data set",
                offset_bytes=0,
                source=self._source,
            )
        self.warnings.append("the file has neither preamble nor prefix (DICM)")
        return 0

    def _read_elements(self, data: bytes, position: int, base_bytes: int) -> int:
        """Read group 2, always Explicit VR Little Endian, as long as it lasts."""
        size, end = len(data), self._end_bytes - base_bytes
        while True:
            if self._ends_at(base_bytes + position) and self._is_deflated():
                break
            self.wanted_bytes = 8
            if position + 8 > size:
                if not self.at_end:
                    return position
                break
            if data[position : position + 2] != _META_GROUP:
                break
            group, number, vr, length = _HEADER.unpack_from(data, position)
            tag = group << 16 | number
            value = position + 8
            is_long = IS_LONG_FORM.get(vr)
            if is_long is None:
                vr = b""
                (length,) = _LENGTH.unpack_from(data, position + 4)
            elif is_long:
                value = position + 12
                self.wanted_bytes = 12
                if value > size:
                    if not self.at_end:
                        return position
                    raise self._too_long(tag, base_bytes + position)
                (length,) = _LENGTH.unpack_from(data, position + 8)
            stop = value + length
            if length == UNDEFINED_LENGTH or stop > end:
                raise self._too_long(tag, base_bytes + position)
            if length <= MAX_KEPT_BYTES:
                if stop > size:
                    self.wanted_bytes = stop - position
                    if not self.at_end:
                        return position
                    raise self._too_long(tag, base_bytes + position)
                self._take(Element(tag, vr.decode("latin-1"), data[value:stop]), base_bytes + stop)
            position = stop
        self._check_group_length(base_bytes + position)
        self.dataset_offset = base_bytes + position
        self.done = True
        return position

    def _take(self, element: Element, end_offset: int) -> None:
        if element.tag == _GROUP_LENGTH and len(element.value) == 4:
            self._declared_end = end_offset + int.from_bytes(element.value, "little")
        elif len(self.elements) < MAX_META_ELEMENTS:
            self.elements[element.tag] = element

    def _ends_at(self, offset_bytes: int) -> bool:
        return self._declared_end == offset_bytes

    def _is_deflated(self) -> bool:
        """Deflated bytes may look like group 2: there the group length alone ends the meta."""
        element = self.elements.get(TRANSFER_SYNTAX_UID)
        return element is not None and element.value.strip(b" \0") == _DEFLATED

    def _check_group_length(self, offset_bytes: int) -> None:
        if offset_bytes == self._meta_offset:
            self.warnings.append("the file has no File Meta Information")
        elif self._declared_end is None:
            self.warnings.append("the File Meta Information has no group length")
        elif self._declared_end != offset_bytes:
            self.warnings.append(
                f"the group length of the File Meta Information says that it ends at byte"
                f" {self._declared_end}, but it ends at byte {offset_bytes}"
            )

    def _too_long(self, tag: int, offset_bytes: int) -> DicomError:
        return DicomError(
            f"{format_tag(tag)} at byte {offset_bytes} of the File Meta Information is longer"
            f" than the file",
            tag=tag,
            offset_bytes=offset_bytes,
            source=self._source,
        )
