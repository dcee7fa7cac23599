"""Cut, flipped and malicious files: an Instance or a MerseyError, soon, in little memory."""

from __future__ import annotations

import contextlib
import random
import tracemalloc
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mersey.codecs.errors import DicomError, MerseyError, ResourceError
from mersey.engine.dicom import inflation
from mersey.engine.dicom.inflation import Inflater, inflate
from mersey.engine.dicom.writer import Part10Writer


def index_and_rewrite(tools, data):
    """Index `data`, and where that works write a header and trailer from it."""
    instance = tools.index(data)
    if instance.frames is None:
        return
    stream = tools.stream(data, instance)
    for number in range(min(len(instance.frames), 50)):
        for span in instance.frames[number].spans:
            assert 0 <= span.offset_bytes <= span.offset_bytes + span.length_bytes <= len(stream)
    writer = Part10Writer(
        instance,
        tools.source(stream),
        transfer_syntax_uid="1.2.840.10008.1.2.4.202",
        pixels=instance.pixels,
        frame_count=len(instance.frames),
    )
    for _ in writer.header():
        pass
    for _ in writer.trailer():
        pass


def survives(tools, data):
    """Anything but a MerseyError fails the test."""
    with contextlib.suppress(MerseyError):
        index_and_rewrite(tools, data)


def good_files(pydicom_files):
    names = {
        "CT_small.dcm",
        "MR_small_implicit.dcm",
        "MR_small_bigendian.dcm",
        "image_dfl.dcm",
        "JPEG2000.dcm",
        "SC_rgb_rle_2frame.dcm",
        "rtdose_1frame.dcm",
        "reportsi.dcm",
        "examples_ybr_color.dcm",
        "priv_SQ.dcm",
        "liver_1frame.dcm",
    }
    return [path.read_bytes() for path in pydicom_files if path.name in names]


def test_files_cut_anywhere_are_never_taken_for_whole(tools, pydicom_files):
    places = random.Random(4)
    for data in good_files(pydicom_files):
        whole = tools.index(data)
        cuts = [1 << power for power in range(24) if 1 << power < len(data)]
        cuts += [places.randrange(len(data)) for _ in range(25)]
        for cut in cuts:
            survives(tools, data[:cut])
            if whole.frames is None:
                continue
            try:
                instance = tools.index(data[:cut])
            except MerseyError:
                continue
            if instance.frames is not None:
                assert tools.frames(data[:cut], instance) == tools.frames(data, whole)


def test_flipped_bytes_give_an_instance_or_an_error(tools, pydicom_files):
    places = random.Random(7)
    for data in good_files(pydicom_files):
        for _ in range(40):
            broken = bytearray(data)
            for _ in range(places.randrange(1, 5)):
                broken[places.randrange(min(len(broken), 6000))] = places.choice(
                    [0, 0xFF, 0x7F, places.randrange(256)]
                )
            survives(tools, bytes(broken))


@given(
    noise=st.binary(max_size=300), syntax=st.sampled_from(["explicit", "implicit", "big", "j2k"])
)
@settings(max_examples=300, deadline=None)
def test_noise_for_a_data_set_gives_an_instance_or_an_error(make, tools, noise, syntax):
    survives(tools, make.file(noise, syntax=syntax))


@given(noise=st.binary(max_size=200), at=st.integers(0, 400))
@settings(max_examples=300, deadline=None)
def test_noise_in_a_good_file_gives_an_instance_or_an_error(make, tools, noise, at):
    elements = make.image_elements(frames=2)
    elements[0x00081140] = make.sequence(
        0x00081140,
        [make.item(make.element(0x00081150, "UI", "1.2"), undefined=True)],
        undefined=True,
    )
    data = make.file(make.dataset(elements) + make.encapsulated([b"\xff\x4f\xff\x51"] * 2))
    survives(tools, data[: 132 + at] + noise + data[132 + at :])


@pytest.mark.parametrize("encoding", ["explicit", "implicit", "big"])
def test_endless_nesting_is_refused_without_recursion(make, tools, encoding):
    start = make.element(0x00081140, "SQ", b"", encoding, length=make.undefined)
    start += make.element(0xFFFEE000, "", b"", encoding, length=make.undefined)
    with pytest.raises(DicomError, match="deeper than 128"):
        tools.index(make.file(start * 100_000, syntax=encoding))


def test_a_sequence_without_an_end_is_an_error_with_its_tag(make, tools):
    start = make.element(0x00081140, "SQ", b"", length=make.undefined)
    with pytest.raises(DicomError, match="has no end") as caught:
        tools.index(make.file(make.element(0x00080060, "CS", "CT") + start))
    assert caught.value.tag == 0x00081140


def test_a_length_beyond_the_file_is_an_error_with_tag_and_offset(make, tools):
    elements = make.element(0x00080060, "CS", "CT")
    start = len(make.file(elements))
    data = make.file(elements + make.element(0x00091001, "OB", b"abcd", length=0xFFFFFFFE))
    with pytest.raises(DicomError) as caught:
        tools.index(data)
    assert caught.value.tag == 0x00091001
    assert caught.value.offset_bytes == start


def test_text_of_undefined_length_is_an_error(make, tools):
    with pytest.raises(DicomError, match="VR UT cannot have"):
        tools.index(make.file(make.element(0x00091001, "UT", b"", length=make.undefined)))


def test_messages_hold_no_values(make, tools):
    elements = make.element(0x00100010, "PN", "SECRET^NAME")
    data = make.file(elements + make.element(0x00100020, "LO", "SECRET-ID", length=500))
    with pytest.raises(DicomError) as caught:
        tools.index(data)
    assert "SECRET" not in str(caught.value)


def test_odd_lengths_unknown_vrs_and_elements_without_a_vr_are_passed_over(make, tools):
    odd = make.element(0x00090010, "LO", b"odd")
    unknown = b"\x09\x00\x11\x10ZZ\0\0" + (5).to_bytes(4, "little") + b"12345"
    short = b"\x09\x00\x12\x10ZY\x03\0abc"
    implicit = make.element(0x00091013, "", b"xyz!", "implicit")
    pixels = make.element(0x7FE00010, "OW", bytes(48))
    elements = make.image_elements()
    elements[0x00090010] = odd + unknown + short + implicit
    data = make.file(make.dataset(elements) + pixels)
    instance = tools.index(data)
    assert instance.warnings == ()
    assert tools.frames(data, instance) == [bytes(48)]


def test_unordered_and_repeated_tags_are_warnings(make, tools):
    elements = make.element(0x00080060, "CS", "CT") * 2 + make.element(0x00080016, "UI", "1.2")
    warnings = tools.index(make.file(elements)).warnings
    assert any("more than once" in warning for warning in warnings)
    assert any("ascending" in warning for warning in warnings)


def bomb(megabytes):
    squeeze = zlib.compressobj(wbits=-15)
    piece = squeeze.compress(bytes(1 << 20))
    return (
        piece
        + b"".join(squeeze.compress(bytes(1 << 20)) for _ in range(megabytes))
        + squeeze.flush()
    )


def test_a_deflate_bomb_is_refused_in_bounded_memory(monkeypatch):
    monkeypatch.setattr(inflation, "FREE_BYTES", 1 << 23)
    squeezed = bomb(64)
    tracemalloc.start()
    with pytest.raises(ResourceError, match="inflates to more than"):
        sum(map(len, Inflater().feed(squeezed)))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 * inflation.PIECE_BYTES


def test_a_legitimate_deflated_data_set_may_shrink_a_lot(make, tools):
    elements = make.image_elements(rows=2000, columns=2000)
    pixels = make.element(0x7FE00010, "OW", bytes(8_000_000))
    data = make.file(make.dataset(elements) + pixels, syntax="deflated")
    assert len(data) < 20_000
    assert tools.index(data).pixels is not None


@pytest.mark.parametrize("cut", [1, 30, 200])
def test_a_deflate_stream_that_ends_early_is_an_error(make, tools, cut):
    pixels = make.element(0x7FE00010, "OW", random.Random(1).randbytes(48))
    data = make.file(make.dataset(make.image_elements()) + pixels, syntax="deflated")
    with pytest.raises(DicomError):
        tools.index(data.rstrip(b"\0")[:-cut])


def test_inflate_gives_the_data_set_however_it_is_cut():
    value = random.Random(2).randbytes(70_000) + bytes(600_000)
    squeeze = zlib.compressobj(wbits=-15)
    squeezed = squeeze.compress(value) + squeeze.flush() + b"\0"
    chunks = [squeezed[n : n + 999] for n in range(0, len(squeezed), 999)]
    assert b"".join(inflate(chunks)) == value
    with pytest.raises(DicomError, match="ends early"):
        list(inflate(chunks[:-30]))


def test_many_elements_do_not_stay_in_memory(make, tools):
    data = make.file(make.element(0x00091001, "LO", "x" * 60) * 30_000)
    tracemalloc.start()
    tools.index(data)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 300_000
