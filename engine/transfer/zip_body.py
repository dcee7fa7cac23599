"""A ZIP archive as a Body: stored files between literal headers, nothing read.

Lengths and CRCs are known beforehand, so that every header is whole where it stands and any
part of the archive can be asked for again. The bytes are a pure function of the members: times
are those that ZIP begins with. Beyond 4 GiB or 65,535 members it is ZIP64.

References
----------
PKWARE APPNOTE.TXT 6.3 §4.3–§4.5
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from .body import Body, Segment

__all__ = ["Member", "ZipLayout", "zip_body"]

_LOCAL = struct.Struct("<4s5H3L2H")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_END = struct.Struct("<4s4H2LH")
_END_64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR_64 = struct.Struct("<4sLQL")
_DATE = (1 << 5) | 1  # 1980-01-01, the first day of MS-DOS
_PLAIN, _ZIP64 = 20, 45  # versions needed to extract
_UNIX = 3 << 8
_FILE_MODE = 0o100644 << 16
_MOST = 0xFFFFFFFF
_MOST_MEMBERS = 0xFFFF


@dataclass(frozen=True, slots=True)
class Member:
    """A file in the archive; `name` is ASCII, with slashes."""

    name: str
    segments: tuple[Segment, ...]
    length_bytes: int
    crc32: int


class ZipLayout:
    """Writes an archive piece by piece: a header for each member, then the directory."""

    def __init__(self) -> None:
        self._offset = 0
        self._directory: list[bytes] = []

    def header(self, name: str, *, length_bytes: int, crc32: int) -> bytes:
        """What goes in front of the next member's bytes: its local file header (§4.3.7)."""
        encoded = name.encode("ascii")
        is_long = length_bytes >= _MOST
        needed = _ZIP64 if is_long or self._offset >= _MOST else _PLAIN
        told = _MOST if is_long else length_bytes
        extra = struct.pack("<2H2Q", 1, 16, length_bytes, length_bytes) if is_long else b""
        fields = (needed, 0, 0, 0, _DATE, crc32, told, told, len(encoded), len(extra))
        header = _LOCAL.pack(b"PK\x03\x04", *fields) + encoded + extra
        self._directory.append(self._entry(encoded, length_bytes, crc32, needed))
        self._offset += len(header) + length_bytes
        return header

    def directory(self) -> bytes:
        """What goes behind the last member: the central directory and its end (§4.3.12–16)."""
        entries = b"".join(self._directory)
        count, start = len(self._directory), self._offset
        end = b""
        if count >= _MOST_MEMBERS or start >= _MOST or len(entries) >= _MOST:
            sizes = (count, count, len(entries), start)
            end = _END_64.pack(b"PK\x06\x06", 44, _UNIX | _ZIP64, _ZIP64, 0, 0, *sizes)
            end += _LOCATOR_64.pack(b"PK\x06\x07", 0, start + len(entries), 1)
        told = min(count, _MOST_MEMBERS)
        sizes_told = (min(len(entries), _MOST), min(start, _MOST))
        return entries + end + _END.pack(b"PK\x05\x06", 0, 0, told, told, *sizes_told, 0)

    def _entry(self, name: bytes, length_bytes: int, crc32: int, needed: int) -> bytes:
        is_long, is_far = length_bytes >= _MOST, self._offset >= _MOST
        values = [length_bytes, length_bytes] if is_long else []
        values += [self._offset] if is_far else []
        extra = struct.pack(f"<2H{len(values)}Q", 1, 8 * len(values), *values) if values else b""
        told = _MOST if is_long else length_bytes
        fields = (_UNIX | _ZIP64, needed, 0, 0, 0, _DATE, crc32, told, told)
        rest = (len(name), len(extra), 0, 0, 0, _FILE_MODE, _MOST if is_far else self._offset)
        return _CENTRAL.pack(b"PK\x01\x02", *fields, *rest) + name + extra


def zip_body(members: Iterable[Member], *, etag: str) -> Body:
    """The archive of `members`, in order, as one Body."""

    def segments() -> Iterator[Segment]:
        layout = ZipLayout()
        for member in members:
            yield layout.header(member.name, length_bytes=member.length_bytes, crc32=member.crc32)
            yield from member.segments
        yield layout.directory()

    return Body.of(segments(), etag=etag)
