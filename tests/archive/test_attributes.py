"""What the catalogue says of an instance: values of any file, none of which may raise."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mersey.engine.archive.attributes import json_attributes, text_of
from mersey.engine.archive.names import fold_name
from mersey.engine.dicom.element import Element
from mersey.engine.dicom.instance import Instance, Layout
from mersey.engine.dicom.tags import KEPT_TAGS


def instance(*elements: Element, little_endian: bool = True) -> Instance:
    layout = Layout(
        has_preamble=True,
        dataset_offset=0,
        explicit_vr=True,
        little_endian=little_endian,
        deflated=False,
        size_bytes=0,
    )
    attributes = {element.tag: element for element in elements}
    return Instance("1", "2", "3", "4", "1.2.840.10008.1.2.1", layout, attributes)


@pytest.mark.parametrize(
    ("tag", "vr", "value", "expected"),
    [
        (0x00080060, "CS", b"CT ", ["CT"]),
        (0x00080008, "CS", b"ORIGINAL\\PRIMARY", ["ORIGINAL", "PRIMARY"]),
        (0x00080008, "CS", b"A\\\\B", ["A", None, "B"]),
        (0x00280010, "US", b"\x00\x02", [512]),
        (0x00280010, "", b"\x00\x02", [512]),
        (0x00280030, "DS", b"0.5\\12", [0.5, 12]),
        (0x00200013, "IS", b" 7 ", [7]),
        (0x00200013, "IS", b"seven ", [None]),
        (0x00200013, "IS", b"1e400 ", [None]),
        (0x00280009, "AT", b"\x18\x00\x63\x10", ["00181063"]),
        (0x00100010, "PN", b"A^B=C^D=", [{"Alphabetic": "A^B", "Ideographic": "C^D"}]),
        (0x00100020, "LO", b"", []),
    ],
)
def test_a_value_becomes_json(tag, vr, value, expected) -> None:
    found = json_attributes(instance(Element(tag, vr, value)))
    assert found[f"{tag:08X}"].get("Value", []) == expected


def test_big_endian_numbers_are_read_so() -> None:
    found = json_attributes(instance(Element(0x00280010, "US", b"\x02\x00"), little_endian=False))
    assert found["00280010"]["Value"] == [512]


@pytest.mark.parametrize(
    ("term", "value", "expected"),
    [
        (b"ISO_IR 100", "Jérôme".encode("latin-1"), "Jérôme"),
        (b"ISO_IR 192", "Wang^小東".encode(), "Wang^小東"),
        (b"ISO_IR 144", "Люксембург".encode("iso8859-5"), "Люксембург"),
        (b"nonsense", b"plain ", "plain"),
    ],
)
def test_text_is_read_in_the_character_set_of_the_object(term, value, expected) -> None:
    found = json_attributes(
        instance(Element(0x00080005, "CS", term), Element(0x00100010, "PN", value))
    )
    assert text_of(found, "00100010") == expected


@given(
    st.lists(
        st.tuples(
            st.sampled_from(sorted(KEPT_TAGS)),
            st.sampled_from(["", "CS", "PN", "IS", "DS", "US", "FD", "AT", "UN", "SQ", "LT", "??"]),
            st.binary(max_size=40),
        ),
        max_size=6,
    )
)
def test_any_bytes_give_json_that_can_be_kept(elements) -> None:
    found = json_attributes(instance(*(Element(*element) for element in elements)))
    json.dumps(found, allow_nan=False).encode()
    for tag in found:
        assert "\0" not in text_of(found, tag)


@pytest.mark.parametrize(
    ("name", "folded"),
    [
        ("Buc^Jérôme", "=buc^jérôme="),
        ("YAMADA^Tarou^^=山田^太郎", "=yamada^tarou=山田^太郎="),
        ("", ""),
        ("^", ""),
    ],
)
def test_names_are_folded_for_matching(name, folded) -> None:
    assert fold_name(name) == folded
