"""DICOM files made byte by byte: right ones, and wrong ones on purpose."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Sequence

__all__ = ["SYNTAX", "Make"]

LONG_VRS = {"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"}
UNDEFINED = 0xFFFFFFFF
SYNTAX = {
    "implicit": "1.2.840.10008.1.2",
    "explicit": "1.2.840.10008.1.2.1",
    "big": "1.2.840.10008.1.2.2",
    "deflated": "1.2.840.10008.1.2.1.99",
    "jpeg": "1.2.840.10008.1.2.4.50",
    "j2k": "1.2.840.10008.1.2.4.90",
    "rle": "1.2.840.10008.1.2.5",
    "htj2k-rpcl": "1.2.840.10008.1.2.4.202",
}


class Make:
    """Builds elements, data sets and files; `encoding` is a key of `SYNTAX`."""

    syntax = SYNTAX
    undefined = UNDEFINED

    def element(
        self,
        tag: int,
        vr: str,
        value: bytes | Sequence[int] | str,
        encoding: str = "explicit",
        *,
        length: int | None = None,
    ) -> bytes:
        """One element; integers are packed by VR, text is padded."""
        order = ">" if encoding == "big" else "<"
        if isinstance(value, str):
            value = value.encode("latin-1")
            value += (b"\0" if vr == "UI" else b" ") * (len(value) % 2)
        elif not isinstance(value, bytes):
            value = struct.pack(f"{order}{len(value)}{'I' if vr == 'UL' else 'H'}", *value)
        size = len(value) if length is None else length
        head = struct.pack(f"{order}HH", tag >> 16, tag & 0xFFFF)
        if encoding == "implicit" or tag >> 16 == 0xFFFE:
            return head + struct.pack(f"{order}I", size) + value
        if vr in LONG_VRS:
            return head + vr.encode() + struct.pack(f"{order}HI", 0, size) + value
        return head + vr.encode() + struct.pack(f"{order}H", size) + value

    def item(self, content: bytes, encoding: str = "explicit", *, undefined: bool = False) -> bytes:
        if not undefined:
            return self.element(0xFFFEE000, "", content, encoding)
        return (
            self.element(0xFFFEE000, "", b"", encoding, length=UNDEFINED)
            + content
            + self.element(0xFFFEE00D, "", b"", encoding)
        )

    def sequence(
        self,
        tag: int,
        items: Iterable[bytes],
        encoding: str = "explicit",
        *,
        undefined: bool = False,
        vr: str = "SQ",
    ) -> bytes:
        """A sequence of `items` (made by `item`)."""
        content = b"".join(items)
        if not undefined:
            return self.element(tag, vr, content, encoding)
        inner = "implicit" if vr == "UN" else encoding
        return (
            self.element(tag, vr, b"", encoding, length=UNDEFINED)
            + content
            + self.element(0xFFFEE0DD, "", b"", inner)
        )

    def image_elements(self, encoding: str = "explicit", **changes: object) -> dict[int, bytes]:
        """The elements of a small image; a change of None leaves one out.

        Changes are named by `rows`, `columns`, `samples`, `allocated`, `stored`, `signed`,
        `photometric`, `frames`, `planar`.
        """
        values: dict[str, object] = {
            "rows": 4,
            "columns": 6,
            "samples": 1,
            "allocated": 16,
            "stored": None,
            "signed": 0,
            "photometric": "MONOCHROME2",
            "frames": None,
            "planar": None,
        } | changes
        allocated = values["allocated"]
        assert isinstance(allocated, int)
        stored = allocated if values["stored"] is None else values["stored"]
        assert isinstance(stored, int)
        table: list[tuple[int, str, object]] = [
            (0x00080005, "CS", "ISO_IR 100"),
            (0x00080008, "CS", "ORIGINAL\\PRIMARY\\AXIAL"),
            (0x00080016, "UI", "1.2.840.10008.5.1.4.1.1.7"),
            (0x00080018, "UI", "1.2.3.4"),
            (0x00080060, "CS", "OT"),
            (0x00100020, "LO", "ID1"),
            (0x0020000D, "UI", "1.2.3"),
            (0x0020000E, "UI", "1.2.3.5"),
            (0x00200013, "IS", "7"),
            (0x00280002, "US", [values["samples"]]),
            (0x00280004, "CS", values["photometric"]),
            (0x00280006, "US", None if values["planar"] is None else [values["planar"]]),
            (0x00280008, "IS", None if values["frames"] is None else str(values["frames"])),
            (0x00280010, "US", [values["rows"]]),
            (0x00280011, "US", [values["columns"]]),
            (0x00280100, "US", [allocated]),
            (0x00280101, "US", [stored]),
            (0x00280102, "US", [stored - 1]),
            (0x00280103, "US", [values["signed"]]),
        ]
        return {
            tag: self.element(tag, vr, value, encoding)  # type: ignore[arg-type]
            for tag, vr, value in table
            if value not in (None, [None])
        }

    def dataset(self, *elements: dict[int, bytes] | tuple[int, bytes]) -> bytes:
        """Elements joined in the order of their tags."""
        joined: dict[int, bytes] = {}
        for element in elements:
            joined |= element if isinstance(element, dict) else dict([element])
        return b"".join(joined[tag] for tag in sorted(joined))

    def file_meta(
        self, syntax: str | None, *, extra: bytes = b"", group_length: int | str | None = "right"
    ) -> bytes:
        """Group 2; `syntax` is a key of `SYNTAX` or a UID, None leaves it out."""
        group = self.element(0x00020001, "OB", b"\0\1")
        group += self.element(0x00020002, "UI", "1.2.840.10008.5.1.4.1.1.7")
        group += self.element(0x00020003, "UI", "1.2.3.4")
        if syntax is not None:
            group += self.element(0x00020010, "UI", SYNTAX.get(syntax, syntax))
        group += extra
        if group_length is None:
            return group
        length = len(group) if group_length == "right" else group_length
        assert isinstance(length, int)
        return self.element(0x00020000, "UL", [length]) + group

    def file(
        self, dataset: bytes, *, syntax: str | None = "explicit", meta: bytes | None = None
    ) -> bytes:
        if syntax == "deflated":
            squeeze = zlib.compressobj(wbits=-15)
            dataset = squeeze.compress(dataset) + squeeze.flush()
            dataset += b"\0" * (len(dataset) % 2)
        meta = self.file_meta(syntax) if meta is None else meta
        return bytes(128) + b"DICM" + meta + dataset

    def encapsulated(
        self,
        fragments: Iterable[bytes],
        *,
        table: bytes = b"",
        delimiter: bool = True,
        vr: str = "OB",
    ) -> bytes:
        """Pixel Data of `fragments`, padded to even lengths."""
        items = [self.item(table), *(self.item(f + b"\0" * (len(f) % 2)) for f in fragments)]
        start = self.element(0x7FE00010, vr, b"", length=UNDEFINED)
        end = self.element(0xFFFEE0DD, "", b"") if delimiter else b""
        return start + b"".join(items) + end

    def encapsulated_file(
        self,
        fragments: Sequence[bytes],
        *,
        frames: int | None,
        syntax: str | None = "j2k",
        table: bytes = b"",
        offsets: bytes | None = None,
        lengths: bytes | None = None,
        delimiter: bool = True,
        behind: bytes = b"",
    ) -> bytes:
        elements = self.image_elements(frames=frames)
        if offsets is not None:
            elements[0x7FE00001] = self.element(0x7FE00001, "OV", offsets)
        if lengths is not None:
            elements[0x7FE00002] = self.element(0x7FE00002, "OV", lengths)
        pixels = self.encapsulated(fragments, table=table, delimiter=delimiter)
        return self.file(self.dataset(elements) + pixels + behind, syntax=syntax)

    def basic_table(self, lengths: Iterable[int], *, group: int = 1) -> bytes:
        """A Basic Offset Table for fragments of `lengths`, `group` of them a frame."""
        offsets, position = [], 0
        for number, length in enumerate(lengths):
            if number % group == 0:
                offsets.append(position)
            position += 8 + length + length % 2
        return struct.pack(f"<{len(offsets)}I", *offsets)
