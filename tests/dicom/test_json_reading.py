"""Metadata is read around bulk values, however long those are, and in few reads."""

from __future__ import annotations

import json
import struct
import zlib
from dataclasses import replace
from typing import Any

import pytest
from mersey.codecs.errors import DicomError
from mersey.engine.dicom.instance import Layout
from mersey.engine.dicom.json_reading import (
    MAX_TEXT_BYTES,
    WHOLE_BYTES,
    bulk_span,
    data_set_json,
)

GIB = 1 << 30


def header(tag: int, vr: str, length: int) -> bytes:
    if not vr:
        return struct.pack("<HHI", tag >> 16, tag & 0xFFFF, length)
    head = struct.pack("<HH", tag >> 16, tag & 0xFFFF) + vr.encode()
    if vr in ("OB", "OW", "SQ", "UC", "UN", "UR", "UT"):
        return head + struct.pack("<HI", 0, length)
    return head + struct.pack("<H", length)


class Sparse:
    """A data set whose long values are zeros that exist nowhere, and a count of what is read."""

    def __init__(self, *parts: bytes | int) -> None:
        self.pieces: list[tuple[int, bytes]] = []
        self.size_bytes = 0
        self.bytes_read = 0
        for part in parts:
            if isinstance(part, bytes):
                self.pieces.append((self.size_bytes, part))
            self.size_bytes += part if isinstance(part, int) else len(part)

    def __call__(self, offset: int, length: int, /) -> bytes:
        assert 0 <= offset < self.size_bytes
        length = min(length, self.size_bytes - offset)
        self.bytes_read += length
        window = bytearray(length)
        for start, piece in self.pieces:
            low, high = max(start, offset), min(start + len(piece), offset + length)
            if low < high:
                window[low - offset : high - offset] = piece[low - start : high - start]
        return bytes(window)

    def layout(self, **changes: Any) -> Layout:
        layout = Layout(
            has_preamble=False,
            dataset_offset=0,
            explicit_vr=True,
            little_endian=True,
            deflated=False,
            size_bytes=self.size_bytes,
        )
        return replace(layout, **changes)


NAME = header(0x00100010, "PN", 4) + b"A^B "
DOCUMENT = header(0x00420011, "OB", 3 * GIB)
TITLE = header(0x00420010, "ST", 6) + b"Report"
CODE = header(0x0040A043, "SQ", 20) + struct.pack("<HHI", 0xFFFE, 0xE000, 12)
CODE += header(0x00080100, "SH", 4) + b"1111"
LATE = header(0x0088_0140, "UI", 4) + b"1.2\0"


@pytest.mark.parametrize("explicit", [True, False])
def test_a_bulk_value_of_gigabytes_is_never_read(explicit: bool) -> None:
    document = DOCUMENT if explicit else header(0x00420011, "", 3 * GIB)
    name = NAME if explicit else header(0x00100010, "", 4) + b"A^B "
    late = LATE if explicit else header(0x00880140, "", 4) + b"1.2\0"
    source = Sparse(name, document, 3 * GIB, late)
    found = json.loads(data_set_json(source, source.layout(explicit_vr=explicit)))
    assert found == {
        "00100010": {"vr": "PN", "Value": [{"Alphabetic": "A^B"}]},
        "00420011": {"vr": "OB", "BulkDataURI": "mersey-bulk:00420011"},
        "00880140": {"vr": "UI", "Value": ["1.2"]},
    }
    assert source.bytes_read < 1 << 21


def test_around_a_long_value_the_same_is_written_as_without_it() -> None:
    parts = (NAME, CODE, TITLE)
    short = Sparse(*parts, LATE)
    long = Sparse(*parts, DOCUMENT, 3 * GIB, LATE)
    expected = json.loads(data_set_json(short, short.layout()))
    found = json.loads(data_set_json(long, long.layout()))
    del found["00420011"]
    assert found == expected


def test_a_private_value_is_bulk_where_its_creator_says_that_it_is_binary() -> None:
    creator = header(0x00430010, "", 12) + b"GEMS_PARM_01"
    source = Sparse(creator, header(0x00431029, "", GIB), GIB)
    found = json.loads(data_set_json(source, source.layout(explicit_vr=False)))
    assert found["00431029"] == {"vr": "OB", "BulkDataURI": "mersey-bulk:00431029"}


def test_text_of_gigabytes_is_told_by_its_vr() -> None:
    source = Sparse(NAME, header(0x0040A160, "UT", GIB), GIB)
    found = json.loads(data_set_json(source, source.layout()))
    assert found["0040A160"] == {"vr": "UT"}
    assert source.bytes_read < 1 << 21


def test_long_text_within_bounds_is_written_whole() -> None:
    text = b"x" * (1 << 20)
    source = Sparse(header(0x0040A160, "UT", len(text)), text, header(0x00420011, "OB", GIB), GIB)
    assert len(text) < MAX_TEXT_BYTES
    found = json.loads(data_set_json(source, source.layout()))
    assert found["0040A160"]["Value"] == [text.decode()]


def test_attributes_behind_pixel_data_are_told_and_pixel_data_is_bulk() -> None:
    pixels = header(0x7FE00010, "OW", GIB)
    source = Sparse(NAME, pixels, GIB, header(0xFFFCFFFC, "OB", 2), b"\0\0")
    layout = source.layout(
        pixel_tag=0x7FE00010,
        pixel_offset=len(NAME),
        value_offset=len(NAME) + len(pixels),
        end_offset=len(NAME) + len(pixels) + GIB,
    )
    found = json.loads(data_set_json(source, layout))
    assert list(found) == ["00100010", "7FE00010", "FFFCFFFC"]
    assert found["7FE00010"] == {"vr": "OW", "BulkDataURI": "mersey-bulk:7FE00010"}
    assert source.bytes_read < 1 << 12


def test_padding_of_any_length_says_nothing() -> None:
    source = Sparse(NAME, 2 * WHOLE_BYTES)
    assert list(json.loads(data_set_json(source, source.layout()))) == ["00100010"]
    assert source.bytes_read < WHOLE_BYTES


def test_a_deflated_data_set_is_inflated_around_its_pixels() -> None:
    pixels = header(0x7FE00010, "OW", 4096) + bytes(4096)
    plain = NAME + pixels + LATE
    engine = zlib.compressobj(wbits=-15)
    deflated = engine.compress(plain) + engine.flush()
    offset = 40
    data = bytes(offset) + deflated
    layout = Sparse(plain).layout(
        deflated=True,
        dataset_offset=offset,
        pixel_tag=0x7FE00010,
        pixel_offset=len(NAME),
        value_offset=len(NAME) + 12,
        end_offset=len(NAME) + len(pixels),
    )
    found = json.loads(data_set_json(lambda start, size: data[start : start + size], layout))
    assert list(found) == ["00100010", "00880140", "7FE00010"]
    with pytest.raises(DicomError):
        data_set_json(lambda start, size: data[start : start + size][: 60 - start], layout)


def test_a_value_longer_than_the_file_is_an_error_that_says_where() -> None:
    source = Sparse(NAME, header(0x00420011, "OB", GIB), 2 * WHOLE_BYTES)
    with pytest.raises(DicomError, match=r"declares 1073741824 bytes") as caught:
        data_set_json(source, source.layout())
    assert caught.value.offset_bytes == len(NAME)


@pytest.mark.parametrize("explicit", [True, False])
def test_a_bulk_value_is_found_by_headers_alone(explicit: bool) -> None:
    name = NAME if explicit else header(0x00100010, "", 4) + b"A^B "
    document = DOCUMENT if explicit else header(0x00420011, "", 3 * GIB)
    source = Sparse(name, document, 3 * GIB)
    layout = source.layout(explicit_vr=explicit)
    assert bulk_span(source, layout, 0x00420011) == (len(name) + len(document), 3 * GIB)
    assert bulk_span(source, layout, 0x00100010) is None
    assert bulk_span(source, layout, 0x00420012) is None
    assert source.bytes_read < 1 << 21
