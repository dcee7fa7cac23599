"""DICOM JSON of single elements and odd data sets, beside pydicom's."""

from __future__ import annotations

import json
import math
import struct
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mersey.codecs.errors import DicomError
from mersey.engine.dicom.encoding import Encoding
from mersey.engine.dicom.json_members import INLINE_BYTES
from mersey.engine.dicom.json_writer import JsonWriter

EXPLICIT = Encoding(explicit_vr=True, little_endian=True)
IMPLICIT = Encoding(explicit_vr=False, little_endian=True)
BIG_ENDIAN = Encoding(explicit_vr=True, little_endian=False)


def element(tag: int, vr: str, value: bytes) -> bytes:
    head = struct.pack("<HH", tag >> 16, tag & 0xFFFF) + vr.encode()
    if vr in ("OB", "OW", "SQ", "UC", "UN", "UR", "UT", "OV", "SV", "UV"):
        return head + struct.pack("<HI", 0, len(value)) + value
    return head + struct.pack("<H", len(value)) + value


def implicit(tag: int, value: bytes) -> bytes:
    return struct.pack("<HHI", tag >> 16, tag & 0xFFFF, len(value)) + value


def item(content: bytes) -> bytes:
    return struct.pack("<HHI", 0xFFFE, 0xE000, len(content)) + content


def open_item(content: bytes) -> bytes:
    ends = struct.pack("<HHI", 0xFFFE, 0xE00D, 0)
    return struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF) + content + ends


def open_sequence(tag: int, vr: str, content: bytes) -> bytes:
    head = struct.pack("<HH", tag >> 16, tag & 0xFFFF)
    head += vr.encode() + b"\0\0" if vr else b""
    return head + b"\xff" * 4 + content + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)


def write(data: bytes, encoding: Encoding = EXPLICIT) -> dict[str, Any]:
    writer = JsonWriter(encoding=encoding)
    writer.add(data, offset_bytes=0)
    members: dict[str, Any] = json.loads(writer.text())
    return members


@pytest.mark.parametrize(
    ("vr", "value", "expected"),
    [
        ("AE", b" STORE \\ B ", ["STORE", "B"]),
        ("CS", b"ORIGINAL\\PRIMARY ", ["ORIGINAL", "PRIMARY"]),
        ("CS", b"   ", None),
        ("DS", b" 1.50\\-2e3\\.5 ", [1.5, -2000.0, 0.5]),
        ("IS", b"1\\+2\\-3 ", [1, 2, -3]),
        ("IS", b"1.0", [1]),
        ("IS", b"abc", None),
        ("DS", b"1.5mm", None),
        ("UI", b"1.2.3\0", ["1.2.3"]),
        ("LT", b"a\\b  ", ["a\\b"]),
        ("UR", b"http://host/x  ", ["http://host/x"]),
        ("US", b"\1\0\2\0", [1, 2]),
        ("US", b"\1\0\2", None),
        ("AT", b"\x10\0\x20\0", ["00100020"]),
        ("FD", struct.pack("<dd", 0.1, -4.0), [0.1, -4.0]),
        ("LO", b'quote " and \t', ['quote " and \t']),
    ],
)
def test_a_value_is_written_by_its_vr(vr: str, value: bytes, expected: object) -> None:
    found = write(element(0x00091001, vr, value))["00091001"]
    assert found == ({"vr": vr} if expected is None else {"vr": vr, "Value": expected})


def test_infinities_and_nan_become_null() -> None:
    value = struct.pack("<fff", math.inf, math.nan, 1.5)
    assert write(element(0x00091001, "FL", value))["00091001"]["Value"] == [None, None, 1.5]
    assert write(element(0x00091001, "DS", b"nan\\1\\1e999"))["00091001"]["Value"] == [
        None,
        1.0,
        None,
    ]


def test_a_name_has_up_to_three_groups() -> None:
    charset = element(0x00080005, "CS", b"\\ISO 2022 IR 87")
    name = b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B"
    found = write(charset + element(0x00100010, "PN", name))
    assert found["00100010"]["Value"] == [
        {"Alphabetic": "Yamada^Tarou", "Ideographic": "山田^太郎", "Phonetic": "やまだ^たろう"}
    ]


def test_an_item_has_its_own_character_set() -> None:
    inner = element(0x00080005, "CS", b"ISO_IR 192") + element(0x00081030, "LO", "é".encode())
    outer = element(0x00080005, "CS", b"ISO_IR 100")
    behind = element(0x00400275, "SQ", item(inner) + item(element(0x00400007, "LO", b"\xe9")))
    found = write(outer + behind + element(0x00400280, "ST", b"\xe9"))
    first, second = found["00400275"]["Value"]
    assert first["00081030"]["Value"] == second["00400007"]["Value"] == ["é"]
    assert found["00400280"]["Value"] == ["é"]


def test_long_binary_values_are_bulk_data_at_any_depth() -> None:
    short = element(0x00091001, "OB", b"\1" * INLINE_BYTES)
    long = element(0x00091001, "OB", b"\1" * (INLINE_BYTES + 2))
    assert "InlineBinary" in write(short)["00091001"]
    assert write(long)["00091001"]["BulkDataURI"] == "mersey-bulk:00091001"
    nested = write(element(0x00400555, "SQ", item(b"") + item(long) + item(long)))
    uris = [one.get("00091001", {}).get("BulkDataURI") for one in nested["00400555"]["Value"]]
    assert uris == [
        None,
        "mersey-bulk:00400555/1/00091001",
        "mersey-bulk:00400555/2/00091001",
    ]


def test_an_item_that_is_one_element_is_not_taken_for_that_element() -> None:
    content = element(0x00400007, "LO", b"same")
    found = write(element(0x00400275, "SQ", item(content)) + element(0x00400280, "ST", b"x"))
    assert found["00400275"]["Value"] == [{"00400007": {"vr": "LO", "Value": ["same"]}}]
    twice = write(content + element(0x00400275, "SQ", item(content)))
    assert twice["00400275"]["Value"][0]["00400007"] == twice["00400007"]


def test_sequences_of_undefined_length_are_those_of_defined_length() -> None:
    content = element(0x00400007, "LO", b"text")
    closed = element(0x00400275, "SQ", item(content))
    assert write(open_sequence(0x00400275, "SQ", open_item(content))) == write(closed)
    without = implicit(0x00400007, b"text")
    unknown = open_sequence(0x00400275, "UN", open_item(without))
    assert write(unknown) == write(closed)
    assert write(open_sequence(0x00400275, "", item(without)), IMPLICIT) == write(closed)


def test_private_elements_without_vr_get_it_from_their_creator() -> None:
    data = implicit(0x00190010, b"GEMS_ACQU_01") + implicit(0x00191023, b"0.5 ")
    assert write(data, IMPLICIT)["00191023"] == {"vr": "DS", "Value": [0.5]}
    assert write(implicit(0x00191023, b"0.5 "), IMPLICIT)["00191023"]["vr"] == "UN"


@pytest.mark.parametrize(("representation", "vr", "value"), [(0, "US", 63536), (1, "SS", -2000)])
def test_us_or_ss_follows_pixel_representation(representation: int, vr: str, value: int) -> None:
    padding = implicit(0x00280120, struct.pack("<h", -2000))
    signed = implicit(0x00280103, struct.pack("<H", representation))
    early = implicit(0x00082112, item(padding))
    found = write(early + signed + padding + implicit(0x00289145, item(padding)), IMPLICIT)
    expected = {"vr": vr, "Value": [value]}
    assert found["00280120"] == expected
    assert found["00082112"]["Value"][0]["00280120"] == expected
    assert found["00289145"]["Value"][0]["00280120"] == expected


def test_the_count_of_a_lut_is_never_negative() -> None:
    """pydicom leaves it negative in Implicit VR; PS3.3 §C.11.1.1 says that it is unsigned."""
    signed = implicit(0x00280103, b"\1\0")
    descriptor = implicit(0x00283002, struct.pack("<Hhh", 65535, -5, 16))
    assert write(signed + descriptor, IMPLICIT)["00283002"]["Value"] == [65535, -5, 16]


def test_an_empty_one_among_several_numbers_or_names_is_null() -> None:
    """pydicom drops all of them; PS3.18 §F.2.5 asks for null."""
    found = write(element(0x00091001, "DS", b"1\\\\2") + element(0x00100010, "PN", b"A^B\\\\C"))
    assert found["00091001"]["Value"] == [1.0, None, 2.0]
    assert found["00100010"]["Value"] == [{"Alphabetic": "A^B"}, None, {"Alphabetic": "C"}]
    found = write(element(0x00100010, "PN", b"\xc4\\\\C"))
    assert found["00100010"]["Value"] == [{"Alphabetic": "Ä"}, None, {"Alphabetic": "C"}]


def test_a_vr_that_the_dictionary_leaves_open_is_two_letters() -> None:
    """pydicom writes "US or SS or OW" as a vr."""
    found = write(implicit(0x00281200, b"\1\0"), IMPLICIT)
    assert found["00281200"] == {"vr": "OW", "InlineBinary": "AQA="}


def test_big_endian_words_are_written_little_endian() -> None:
    """pydicom leaves them as they are; PS3.18 §F.2.7 asks for little endian."""
    data = struct.pack(">HH2sHI", 0x0028, 0x1201, b"OW", 0, 4) + b"\0\1\0\2"
    assert write(data, BIG_ENDIAN)["00281201"]["InlineBinary"] == "AQACAA=="


def test_a_sequence_broken_inside_its_length_is_told_without_value() -> None:
    broken = element(0x00400275, "SQ", item(element(0x00400007, "LO", b"text"))[:-2] + b"")
    found = write(broken + element(0x00400280, "ST", b"on"))
    assert found == {"00400275": {"vr": "UN"}, "00400280": {"vr": "ST", "Value": ["on"]}}


def test_a_sequence_without_end_is_an_error_that_says_where() -> None:
    data = open_sequence(0x00400275, "SQ", item(b""))[:-8]
    with pytest.raises(DicomError, match="inside a sequence") as caught:
        write(data)
    assert caught.value.offset_bytes == len(data)


def test_deep_nesting_ends_in_a_vr_or_an_error_not_in_a_crash() -> None:
    data = b""
    for _ in range(5000):
        data = element(0x00400275, "SQ", item(data))
        if len(data) > 60_000:
            break
    assert "00400275" in write(data)
    hostile = struct.pack(
        "<HH2sHIHHI", 0x40, 0x275, b"SQ", 0, 0xFFFFFFFF, 0xFFFE, 0xE000, 1 << 32 - 1
    )
    with pytest.raises(DicomError):
        write(hostile * 3000)


def test_group_2_is_left_out_at_the_top_and_zeros_end_the_data_set() -> None:
    data = element(0x00020010, "UI", b"1.2\0") + element(0x00100020, "LO", b"ID")
    assert list(write(data + bytes(64))) == ["00100020"]


def test_the_last_of_equal_tags_counts_and_members_are_in_order() -> None:
    data = b"".join(element(0x00100020 + n, "LO", b"%d " % n) for n in (3, 1, 2))
    found = write(data + element(0x00100021, "LO", b"last"))
    assert list(found) == ["00100021", "00100022", "00100023"]
    assert found["00100021"]["Value"] == ["last"]


_GOOD = (
    element(0x00080005, "CS", b"ISO_IR 192")
    + element(0x00100010, "PN", "Ä^B=山".encode())
    + element(0x00400275, "SQ", item(element(0x00400007, "LO", b"text")))
    + open_sequence(0x00400555, "SQ", open_item(element(0x00181150, "IS", b"12")))
    + element(0x00091001, "UN", b"\1\2")
)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None, max_examples=200)
@given(
    cut=st.integers(0, len(_GOOD)),
    places=st.lists(st.tuples(st.integers(0, len(_GOOD) - 1), st.integers(0, 255)), max_size=4),
    explicit=st.booleans(),
    little=st.booleans(),
)
def test_any_damage_gives_json_or_a_dicom_error(
    cut: int, places: list[tuple[int, int]], explicit: bool, little: bool
) -> None:
    data = bytearray(_GOOD)
    for place, value in places:
        data[place] = value
    with suppress(DicomError):
        write(bytes(data[:cut]), Encoding(explicit_vr=explicit, little_endian=little))


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=200), st.booleans())
def test_any_bytes_give_json_or_a_dicom_error(data: bytes, explicit: bool) -> None:
    with suppress(DicomError):
        write(data, EXPLICIT if explicit else IMPLICIT)
