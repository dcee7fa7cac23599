"""Implicit VR and Big Endian data sets written as Explicit VR Little Endian."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mersey.codecs.errors import DicomError
from mersey.engine.dicom.element_source import locate_elements
from mersey.engine.dicom.encoding import Encoding
from mersey.engine.dicom.transcription import Transcriber


def transcribe(tools, data, encoding, *, signed=False):
    """All elements of the data set `data`, transcribed."""
    wanted = Encoding(explicit_vr=encoding != "implicit", little_endian=encoding != "big")
    source = tools.source(data)
    transcriber = Transcriber(source, encoding=wanted, signed=signed, size_bytes=len(data))
    out = b""
    for located in locate_elements(source, encoding=wanted, start_bytes=0, end_bytes=len(data)):
        out += b"".join(transcriber.transcribe(located))
    return out


def nested(make, encoding, *, undefined):
    """A sequence in a sequence; what is written has undefined lengths."""
    code = make.element(0x00080100, "SH", "CODE", encoding)
    inner = make.sequence(
        0x0040A730, [make.item(code, encoding, undefined=undefined)], encoding, undefined=undefined
    )
    rows = make.element(0x00280010, "US", [258], encoding)
    items = [make.item(inner + rows, encoding, undefined=undefined)] * 2
    return make.sequence(0x00081140, items, encoding, undefined=undefined)


@pytest.mark.parametrize("encoding", ["implicit", "big"])
@pytest.mark.parametrize("undefined", [False, True])
def test_nested_sequences_are_transcribed(make, tools, encoding, undefined):
    source = nested(make, encoding, undefined=undefined)
    assert transcribe(tools, source, encoding) == nested(make, "explicit", undefined=True)


@pytest.mark.parametrize("encoding", ["implicit", "big"])
def test_an_empty_sequence_stays_empty(make, tools, encoding):
    source = make.sequence(0x00081140, [], encoding)
    assert transcribe(tools, source, encoding) == make.sequence(0x00081140, [])


@pytest.mark.parametrize(
    ("tag", "vr", "little", "big"),
    [
        (0x00280010, "US", b"\2\1", b"\1\2"),
        (0x00280009, "AT", b"\1\2\3\4", b"\2\1\4\3"),
        (0x00186020, "SL", b"\1\2\3\4", b"\4\3\2\1"),
        (0x00189087, "FD", bytes(range(8)), bytes(reversed(range(8)))),
        (0x00281201, "OW", b"\1\2\3\4", b"\2\1\4\3"),
        (0x00660016, "OF", b"\1\2\3\4", b"\4\3\2\1"),
        (0x7FE00001, "OV", bytes(range(8)), bytes(reversed(range(8)))),
        (0x00091001, "OB", b"\1\2\3\4", b"\1\2\3\4"),
        (0x00091001, "UN", b"\1\2\3\4", b"\1\2\3\4"),
        (0x00100010, "PN", b"A^B ", b"A^B "),
    ],
)
def test_big_endian_values_are_swapped_by_vr(make, tools, tag, vr, little, big):
    source = make.element(tag, vr, big, "big")
    assert transcribe(tools, source, "big") == make.element(tag, vr, little)


def test_a_long_value_is_swapped_across_pieces(make, tools):
    little = bytes(range(250)) * 4000
    big = b"".join(little[n + 1 : n + 2] + little[n : n + 1] for n in range(0, len(little), 2))
    source = make.element(0x00281201, "OW", big, "big")
    assert transcribe(tools, source, "big") == make.element(0x00281201, "OW", little)


@pytest.mark.parametrize(
    ("tag", "vr", "value"),
    [
        (0x00100010, "PN", b"A^B "),
        (0x00280010, "US", b"\2\1"),
        (0x60003000, "OW", b"\1\2"),
        (0x00283006, "US", b"\1\2"),
        (0x00283006, "OW", b"\1\2\3\4"),
        (0x00540101, "US", b"\1\2"),
        (0x00090010, "LO", b"PRIVATE "),
        (0x00091001, "UN", b"\1\2"),
        (0x00080FFE, "UN", b"not in the dictionary "),
        (0x00281201, "OW", b"\1\2\3\4"),
        (0x00081190, "UR", b"http://x"),
    ],
)
def test_implicit_elements_get_their_vr_from_the_dictionary(make, tools, tag, vr, value):
    source = make.element(tag, vr, value, "implicit")
    assert transcribe(tools, source, "implicit") == make.element(tag, vr, value)


@pytest.mark.parametrize(("signed", "vr"), [(False, "US"), (True, "SS")])
def test_us_or_ss_is_decided_by_pixel_representation(make, tools, signed, vr):
    source = make.element(0x00280120, "US", b"\1\2", "implicit")
    assert transcribe(tools, source, "implicit", signed=signed) == make.element(
        0x00280120, vr, b"\1\2"
    )


def test_an_items_own_pixel_representation_counts_in_it(make, tools):
    def content(encoding, vr):
        representation = make.element(0x00280103, "US", [1], encoding)
        return representation + make.element(0x00280120, vr, b"\1\2", encoding)

    item = make.item(content("implicit", "US"), "implicit", undefined=True)
    source = make.sequence(0x00880200, [item], "implicit", undefined=True)
    expected = make.sequence(
        0x00880200, [make.item(content("explicit", "SS"), undefined=True)], undefined=True
    )
    assert transcribe(tools, source, "implicit") == expected


def test_a_value_too_long_for_its_vr_becomes_un(make, tools):
    value = bytes(70_000)
    source = make.element(0x00081030, "LO", value, "implicit")
    assert transcribe(tools, source, "implicit") == make.element(0x00081030, "UN", value)


def test_a_private_sequence_of_undefined_length_is_a_sequence(make, tools):
    item = make.item(make.element(0x00080100, "SH", "CODE", "implicit"), "implicit", undefined=True)
    source = make.sequence(0x00091001, [item], "implicit", undefined=True)
    item = make.item(make.element(0x00080100, "SH", "CODE"), undefined=True)
    assert transcribe(tools, source, "implicit") == make.sequence(
        0x00091001, [item], undefined=True
    )


def test_un_of_undefined_length_is_implicit_little_endian_even_in_big_endian(make, tools):
    item = make.item(make.element(0x00280010, "US", [258], "implicit"), "implicit", undefined=True)
    source = make.sequence(0x00091001, [item], "big", undefined=True, vr="UN")
    item = make.item(make.element(0x00280010, "US", [258]), undefined=True)
    assert transcribe(tools, source, "big") == make.sequence(0x00091001, [item], undefined=True)


def test_group_lengths_are_dropped(make, tools):
    source = make.element(0x00080000, "UL", [99], "implicit") + make.element(
        0x00080060, "CS", "CT", "implicit"
    )
    assert transcribe(tools, source, "implicit") == make.element(0x00080060, "CS", "CT")


def test_a_sequence_that_holds_no_items_is_an_error(make, tools):
    source = make.element(0x00081140, "SQ", bytes(20), "implicit")
    with pytest.raises(DicomError, match="unexpected"):
        transcribe(tools, source, "implicit")


def test_an_item_longer_than_its_sequence_is_an_error(make, tools):
    item = make.element(0xFFFEE000, "", bytes(8), "implicit", length=64)
    source = make.sequence(0x00081140, [item], "implicit") + make.element(
        0x00100010, "PN", "x" * 100, "implicit"
    )
    with pytest.raises(DicomError, match="only 8 are left"):
        transcribe(tools, source, "implicit")


def test_deep_nesting_is_bounded(make, tools):
    source = b""
    for _ in range(200):
        source = make.sequence(0x00081140, [make.item(source, "implicit")], "implicit")
    with pytest.raises(DicomError, match="deeper than 128"):
        transcribe(tools, source, "implicit")


@given(noise=st.binary(max_size=120), encoding=st.sampled_from(["implicit", "big"]))
@settings(max_examples=150, deadline=None)
def test_noise_in_a_sequence_is_transcribed_or_refused(make, tools, noise, encoding):
    source = make.element(0x00081140, "SQ", make.item(noise, encoding), encoding)
    try:
        out = transcribe(tools, source, encoding)
    except DicomError:
        return
    assert out.startswith(make.element(0x00081140, "SQ", b"", length=make.undefined))
