"""Frames of uncompressed Pixel Data, in every encoding, and attributes that deny them."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from mersey.codecs.errors import DicomError, UnsupportedError
from mersey.engine.dicom.frame_index import Span


def image_file(make, value, *, encoding="explicit", tag=0x7FE00010, vr="OW", behind=b"", **changes):
    elements = make.dataset(make.image_elements(encoding, **changes))
    pixels = make.element(tag, vr, value, encoding)
    syntax = "deflated" if changes.get("deflated") else encoding
    return make.file(elements + pixels + behind, syntax=syntax)


@pytest.mark.parametrize("encoding", ["implicit", "explicit", "big"])
def test_frames_follow_each_other(make, tools, encoding):
    value = bytes(range(144))
    data = image_file(make, value, encoding=encoding, frames=3)
    instance = tools.index(data)
    assert tools.frames(data, instance) == [value[:48], value[48:96], value[96:]]
    assert instance.layout.end_offset == len(data)


def test_a_deflated_data_set_is_indexed_in_its_inflated_stream(make, tools):
    value = np.random.default_rng(1).bytes(48 * 40)
    elements = make.dataset(make.image_elements(frames=40))
    data = make.file(elements + make.element(0x7FE00010, "OW", value), syntax="deflated")
    instance = tools.index(data)
    assert instance.layout.deflated
    assert instance.layout.size_bytes == len(tools.stream(data, instance))
    assert b"".join(tools.frames(data, instance)) == value
    assert instance.frames is not None
    assert instance.frames[0].spans[0].offset_bytes == len(elements) + 12


@pytest.mark.parametrize(("tag", "vr", "bits"), [(0x7FE00008, "OF", 32), (0x7FE00009, "OD", 64)])
def test_float_and_double_float_pixel_data(make, tools, tag, vr, bits):
    value = np.arange(48, dtype=f"<f{bits // 8}").tobytes()
    elements = make.image_elements(frames=2, allocated=bits)
    for absent in (0x00280101, 0x00280102, 0x00280103):
        del elements[absent]
    data = make.file(make.dataset(elements) + make.element(tag, vr, value))
    instance = tools.index(data)
    assert instance.pixels is not None
    assert instance.pixels.dtype == np.dtype(f"f{bits // 8}")
    assert b"".join(tools.frames(data, instance)) == value
    assert instance.warnings == ()
    assert instance.layout.pixel_tag == tag


def test_frames_of_bits_allocated_1_start_at_any_bit(make, tools):
    data = image_file(make, bytes(10), rows=5, columns=5, allocated=1, frames=3, vr="OB")
    instance = tools.index(data)
    assert instance.frames is not None
    first = instance.layout.value_offset
    found = [instance.frames[number] for number in range(3)]
    assert [frame.bit_offset for frame in found] == [0, 1, 2]
    assert [frame.spans for frame in found] == [
        (Span(first, 4),),
        (Span(first + 3, 4),),
        (Span(first + 6, 4),),
    ]


def test_ybr_full_422_has_two_samples_a_pixel(make, tools):
    data = image_file(make, bytes(96), allocated=8, samples=3, photometric="YBR_FULL_422", frames=2)
    instance = tools.index(data)
    assert [len(frame) for frame in tools.frames(data, instance)] == [48, 48]


def test_ybr_full_422_that_is_not_subsampled_is_ybr_full(make, tools):
    data = image_file(make, bytes(72), allocated=8, samples=3, photometric="YBR_FULL_422", planar=0)
    instance = tools.index(data)
    assert instance.pixels is not None
    assert instance.pixels.photometric == "YBR_FULL"
    assert "not subsampled" in instance.warnings[0]


def test_an_odd_value_may_be_padded_or_not(make, tools):
    for value in (bytes(15), bytes(16)):
        data = image_file(make, value, rows=3, columns=5, allocated=8)
        assert tools.index(data).warnings == ()


def test_more_data_than_frames_is_a_warning(make, tools):
    instance = tools.index(image_file(make, bytes(100)))
    assert instance.warnings == ("Pixel Data holds 100 bytes, but 1 frames need only 48",)


def test_less_data_than_frames_is_an_error_with_number_of_frames(make, tools):
    with pytest.raises(DicomError, match="need 144") as caught:
        tools.index(image_file(make, bytes(96), frames=3))
    assert caught.value.tag == 0x00280008


def test_huge_claims_are_compared_with_the_data_not_allocated(make, tools):
    with pytest.raises(DicomError):
        tools.index(image_file(make, bytes(96), rows=65535, columns=65535, frames=2147483647))


@pytest.mark.parametrize(
    ("changes", "tag"),
    [
        ({"rows": 0}, 0x00280010),
        ({"columns": 0}, 0x00280011),
        ({"samples": 0}, 0x00280002),
        ({"samples": 7}, 0x00280002),
        ({"allocated": 12}, 0x00280100),
        ({"allocated": 0, "stored": 1}, 0x00280100),
        ({"stored": 17}, 0x00280101),
        ({"signed": 2}, 0x00280103),
        ({"frames": "1A"}, 0x00280008),
        ({"frames": "-1"}, 0x00280008),
        ({"frames": "1\\2"}, 0x00280008),
        ({"photometric": "MONOCHR\xd2ME2"}, 0x00280004),
        ({"photometric": "A\\B"}, 0x00280004),
        ({"photometric": "X" * 20}, 0x00280004),
    ],
)
def test_impossible_attributes_are_named_by_tag(make, tools, changes, tag):
    with pytest.raises(DicomError) as caught:
        tools.index(image_file(make, bytes(48), **changes))
    assert caught.value.tag == tag


@pytest.mark.parametrize("tag", [0x00280010, 0x00280011, 0x00280100])
def test_missing_attributes_are_named_by_tag(make, tools, tag):
    elements = make.image_elements()
    del elements[tag]
    data = make.file(make.dataset(elements) + make.element(0x7FE00010, "OW", bytes(48)))
    with pytest.raises(DicomError, match="absent") as caught:
        tools.index(data)
    assert caught.value.tag == tag


def test_what_the_standard_allows_but_we_do_not_is_unsupported(make, tools):
    with pytest.raises(UnsupportedError) as caught:
        tools.index(image_file(make, bytes(72), allocated=24))
    assert caught.value.feature == "Bits Allocated 24"


def test_missing_attributes_with_one_meaning_are_assumed(make, tools):
    elements = make.image_elements()
    for tag in (0x00280002, 0x00280004, 0x00280101, 0x00280102, 0x00280103):
        del elements[tag]
    instance = tools.index(
        make.file(make.dataset(elements) + make.element(0x7FE00010, "OW", bytes(48)))
    )
    assert instance.pixels is not None
    assert instance.pixels.photometric == "MONOCHROME2"
    assert instance.pixels.high_bit == 15
    assert len(instance.warnings) == 2


def test_zero_frames_means_one(make, tools):
    instance = tools.index(image_file(make, bytes(48), frames=0))
    assert instance.frames is not None
    assert len(instance.frames) == 1


def test_pixel_data_longer_than_the_file_is_a_clear_error(make, tools):
    data = image_file(make, bytes(48))[:-10]
    with pytest.raises(
        DicomError, match=r"Pixel Data \(7FE0,0010\) .* 48 bytes, .* only 38"
    ) as caught:
        tools.index(data)
    assert caught.value.tag == 0x7FE00010


def test_uncompressed_pixel_data_in_an_encapsulated_syntax_is_what_it_is(make, tools):
    elements = make.dataset(make.image_elements())
    data = make.file(elements + make.element(0x7FE00010, "OW", bytes(48)), syntax="j2k")
    instance = tools.index(data)
    assert instance.transfer_syntax_uid == make.syntax["explicit"]
    assert "not encapsulated" in instance.warnings[0]


def test_elements_behind_pixel_data_are_read(make, tools):
    behind = make.element(0xFFFCFFFC, "OB", bytes(64))
    data = image_file(make, bytes(48), behind=behind)
    instance = tools.index(data)
    assert instance.layout.end_offset == len(data) - len(behind)
    assert instance.warnings == ()


def test_zeros_behind_the_last_element_are_a_warning(make, tools):
    instance = tools.index(image_file(make, bytes(48), behind=bytes(500)))
    assert "zeros follow the last element" in instance.warnings[0]


def test_zeros_instead_of_pixel_data_are_an_error(make, tools):
    data = make.file(make.dataset(make.image_elements()) + bytes(5000))
    with pytest.raises(DicomError, match="zeros"):
        tools.index(data)


def test_two_pixel_data_elements_are_refused(make, tools):
    second = make.element(0x7FE00010, "OW", bytes(48))
    with pytest.raises(DicomError, match="second Pixel Data"):
        tools.index(image_file(make, bytes(48), behind=second))


def test_pixel_data_of_an_icon_is_not_the_image(make, tools):
    icon = make.dataset(make.image_elements(rows=2, columns=2, allocated=8))
    icon += make.element(0x7FE00010, "OB", b"\1\2\3\4")
    elements = make.image_elements()
    for undefined in (False, True):
        item = make.item(icon, undefined=undefined)
        elements[0x00880200] = make.sequence(0x00880200, [item], undefined=undefined)
        value = bytes(range(48))
        data = make.file(make.dataset(elements) + make.element(0x7FE00010, "OW", value))
        instance = tools.index(data)
        assert instance.pixels is not None
        assert instance.pixels.shape == (4, 6)
        assert tools.frames(data, instance) == [value]


def test_an_encapsulated_icon_is_passed_over(make, tools):
    icon = make.encapsulated([b"\xff\xd8\xff\xe0abc", b"more"])
    elements = make.image_elements()
    elements[0x00880200] = make.sequence(
        0x00880200, [make.item(icon, undefined=True)], undefined=True
    )
    pixels = make.encapsulated([b"\xff\x4f\xff\x51" + bytes(10)])
    data = make.file(make.dataset(elements) + pixels, syntax="j2k")
    assert tools.frames(data, tools.index(data)) == [b"\xff\x4f\xff\x51" + bytes(10)]


def test_the_index_survives_the_catalogue(make, tools):
    instance = tools.index(image_file(make, bytes(144), frames=3))
    frames = instance.frames
    assert frames is not None
    again = type(frames).from_bytes(frames.to_bytes())
    assert [again[i] for i in range(3)] == [frames[i] for i in range(3)]


def test_big_endian_attributes_are_read_as_integers(make, tools):
    instance = tools.index(image_file(make, bytes(48), encoding="big"))
    assert instance.integer(0x00280010) == 4
    assert instance.integer(0x00200013) == 7
    assert instance.attributes[0x00280010].value == struct.pack(">H", 4)


def test_bytes_in_big_endian_words_are_marked_as_swapped(make, tools):
    changes = {"encoding": "big", "rows": 3, "columns": 3, "allocated": 8}
    data = image_file(make, bytes(range(10)), **changes)
    instance = tools.index(data)
    assert instance.pixels is not None
    assert instance.pixels.swapped_words
    assert tools.frames(data, instance) == [bytes(range(10))]
    for plain in (
        tools.index(image_file(make, bytes(10), vr="OB", **changes)),
        tools.index(image_file(make, bytes(10), **changes | {"encoding": "explicit"})),
        tools.index(image_file(make, bytes(18), **changes | {"allocated": 16})),
    ):
        assert plain.pixels is not None
        assert not plain.pixels.swapped_words


def test_frames_that_end_inside_a_big_endian_word_are_unsupported(make, tools):
    data = image_file(make, bytes(18), encoding="big", rows=3, columns=3, allocated=8, frames=2)
    with pytest.raises(UnsupportedError):
        tools.index(data)
