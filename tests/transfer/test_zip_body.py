"""A ZIP archive as a Body opens everywhere, and its bytes follow from the members alone."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from pathlib import Path

from mersey.engine.transfer.body import Body, FileSlice
from mersey.engine.transfer.zip_body import Member, zip_body


def _read(body: Body) -> bytes:
    pieces = []
    for segment in body.segments():
        if isinstance(segment, bytes):
            pieces.append(segment)
        else:
            assert isinstance(segment, FileSlice)
            with open(segment.path, "rb") as file:
                file.seek(segment.offset_bytes)
                pieces.append(file.read(segment.length_bytes))
    return b"".join(pieces)


def _members(tmp_path: Path) -> list[Member]:
    path = tmp_path / "whole.bin"
    path.write_bytes(bytes(range(256)) * 10)
    data = path.read_bytes()
    return [
        Member("1.2/1.3/1.dcm", (b"abc", b"def"), 6, zlib.crc32(b"abcdef")),
        Member("1.2/1.3/2.dcm", (FileSlice(str(path), 5, 700),), 700, zlib.crc32(data[5:705])),
        Member("1.2/1.3/empty.dcm", (), 0, 0),
    ]


def test_it_opens_and_every_member_is_right(tmp_path: Path) -> None:
    body = zip_body(_members(tmp_path), etag='"z"')

    with zipfile.ZipFile(io.BytesIO(_read(body))) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["1.2/1.3/1.dcm", "1.2/1.3/2.dcm", "1.2/1.3/empty.dcm"]
        assert archive.read("1.2/1.3/1.dcm") == b"abcdef"
        assert archive.read("1.2/1.3/2.dcm") == (bytes(range(256)) * 10)[5:705]
        assert all(info.compress_type == zipfile.ZIP_STORED for info in archive.infolist())


def test_the_same_members_give_the_same_bytes(tmp_path: Path) -> None:
    first, second = (_read(zip_body(_members(tmp_path), etag='"z"')) for _ in range(2))

    assert first == second


def test_no_members_give_an_empty_archive() -> None:
    with zipfile.ZipFile(io.BytesIO(_read(zip_body((), etag='"z"')))) as archive:
        assert archive.namelist() == []


def test_more_members_than_16_bits_count_open() -> None:
    crc = zlib.crc32(b"x")
    members = (Member(f"{number}.dcm", (b"x",), 1, crc) for number in range(70_000))

    with zipfile.ZipFile(io.BytesIO(_read(zip_body(members, etag='"z"')))) as archive:
        assert len(archive.namelist()) == 70_000
        assert archive.read("69999.dcm") == b"x"


class _Sparse(io.RawIOBase):
    """The archive as a file of which only the headers are there; the members read as zeros."""

    def __init__(self, body: Body) -> None:
        self._body = body
        self._at = 0

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = 0) -> int:
        base = (0, self._at, self._body.length_bytes)[whence]
        self._at = base + offset
        return self._at

    def read(self, size: int = -1) -> bytes:
        end = self._body.length_bytes
        stop = end if size < 0 else min(self._at + size, end)
        pieces = [
            segment if isinstance(segment, bytes) else bytes(segment.length_bytes)
            for segment in self._body.slice(self._at, stop).segments()
        ]
        self._at = stop
        return b"".join(pieces)


def test_members_beyond_4_gib_are_zip64() -> None:
    gib = 1 << 30
    sizes = [5 * gib, 3, 0xFFFFFFFF, 7]
    members = [
        Member(f"{number}.dcm", (FileSlice("/none", 0, size),), size, number)
        for number, size in enumerate(sizes)
    ]
    body = zip_body(members, etag='"z"')

    with zipfile.ZipFile(_Sparse(body)) as archive:  # type: ignore[arg-type]
        infos = archive.infolist()
        assert [info.file_size for info in infos] == sizes
        for info, number in zip(infos, range(4), strict=True):
            header = body.slice(info.header_offset, info.header_offset + 30)
            (local,) = header.segments()
            assert isinstance(local, bytes)
            assert struct.unpack_from("<4s", local) == (b"PK\x03\x04",)
            assert number == info.CRC
            assert info.date_time == (1980, 1, 1, 0, 0, 0)
