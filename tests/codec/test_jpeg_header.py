"""JPEG headers: what a codestream says of itself, and everything that it must not do to us."""

from __future__ import annotations

from contextlib import suppress

import imagecodecs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jpeg_streams import lossless_jpeg, segment
from mersey.codecs.errors import CodestreamError, FormatError, MerseyError, UnsupportedError
from mersey.codecs.jpeg_colour import colour_of
from mersey.codecs.jpeg_header import JpegHeader, read_jpeg_header

_GREY = np.arange(30, dtype=np.uint8).reshape(5, 6)
_RGB = np.arange(18 * 20 * 3, dtype=np.uint8).reshape(18, 20, 3)
_ADOBE = b"Adobe\0\x64\0\0\0\0"


def _jpeg(space: str = "YCBCR", sampling: str = "444") -> bytes:
    return bytes(
        imagecodecs.jpeg8_encode(
            _RGB, colorspace=space, outcolorspace=space, subsampling=sampling, level=90
        )
    )


def _without_app(data: bytes) -> bytes:
    """The same without its first segment, which libjpeg makes JFIF or Adobe."""
    assert data[2] == 0xFF
    assert data[3] in (0xE0, 0xEE)
    return data[:2] + data[4 + int.from_bytes(data[4:6], "big") :]


def _with(data: bytes, *segments: bytes) -> bytes:
    return data[:2] + b"".join(segments) + data[2:]


def _frame(marker: int, body: bytes) -> bytes:
    return b"\xff\xd8" + segment(marker, body) + b"\xff\xd9"


def test_a_lossless_image_tells_of_its_frame_and_its_scans() -> None:
    samples = np.arange(12, dtype=np.uint16).reshape(2, 2, 3)
    data = lossless_jpeg(
        samples, precision=9, predictor=6, point_transform=2, restart_rows=1, interleaved=False
    )
    header = read_jpeg_header(data + b"\0")
    assert (header.rows, header.columns, header.precision) == (2, 2, 9)
    assert (header.predictor, header.point_transform) == (6, 2)
    assert (header.scans, header.restart_interval, header.end_bytes) == (3, 2, len(data))
    assert header.lossless
    assert not header.progressive
    assert not header.has_jfif
    assert [row.identifier for row in header.components] == [1, 2, 3]


def test_a_baseline_image_tells_of_its_sampling() -> None:
    header = read_jpeg_header(_jpeg(sampling="422"))
    assert [(row.horizontal, row.vertical) for row in header.components] == [
        (2, 1),
        (1, 1),
        (1, 1),
    ]
    assert header.subsampled
    assert header.has_jfif
    assert not header.lossless
    assert not read_jpeg_header(_jpeg()).subsampled


def test_markers_may_be_filled_with_ff() -> None:
    data = lossless_jpeg(_GREY, precision=8)
    filled = data.replace(b"\xff\xda", b"\xff\xff\xff\xda").replace(b"\xff\xd9", b"\xff\xff\xd9")
    plain, found = read_jpeg_header(data), read_jpeg_header(filled)
    assert found.end_bytes == len(filled) == plain.end_bytes + 3
    assert (found.rows, found.scans) == (plain.rows, plain.scans)


def test_a_thumbnail_inside_a_segment_is_not_the_image() -> None:
    thumbnail = _jpeg(sampling="420")
    data = _with(lossless_jpeg(_GREY, precision=8), segment(0xE1, b"Exif\0\0" + thumbnail))
    header = read_jpeg_header(data)
    assert (header.rows, header.columns, header.scans) == (5, 6, 1)


@pytest.mark.parametrize(
    ("data", "colour"),
    [
        (_jpeg(), "YBR"),
        (_without_app(_jpeg()), None),
        (_without_app(_jpeg(sampling="422")), "YBR"),
        (_with(_without_app(_jpeg()), segment(0xEE, _ADOBE + b"\x01")), "YBR"),
        (_with(_without_app(_jpeg()), segment(0xEE, _ADOBE + b"\0")), "RGB"),
        (_with(_without_app(_jpeg()), segment(0xEE, _ADOBE)), None),
        (_with(_without_app(_jpeg()), segment(0xEE, b"Abode\0\x64\0\0\0\0\0")), None),
        (_with(_jpeg(), segment(0xEE, _ADOBE + b"\0")), "RGB"),
        (_jpeg("RGB"), "RGB"),
        (_without_app(_jpeg("RGB")), "RGB"),
        (_with(lossless_jpeg(_RGB, precision=8), segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\0\0")), None),
        (lossless_jpeg(_GREY, precision=8), None),
    ],
    ids=[
        "JFIF",
        "nothing",
        "subsampled",
        "Adobe 1",
        "Adobe 0",
        "Adobe without a flag",
        "another APP14",
        "Adobe beside JFIF",
        "RGB identifiers and Adobe",
        "RGB identifiers",
        "lossless JFIF",
        "grey",
    ],
)
def test_what_the_components_are_is_told_by_the_codestream(data: bytes, colour: str | None) -> None:
    assert colour_of(read_jpeg_header(data)) == colour


@pytest.mark.parametrize("data", [_jpeg(), lossless_jpeg(_GREY, precision=8, restart_rows=2)])
def test_whatever_is_cut_off_is_missed(data: bytes) -> None:
    for length in range(len(data)):
        with pytest.raises(CodestreamError) as caught:
            read_jpeg_header(data[:length])
        assert caught.value.offset_bytes is not None


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"\xff\xd8\xff\xd9", "without a frame header"),
        (b"\xff\xd8\xff\xd8", "FFD8 at offset 2"),
        (b"\xff\xd8\xff\xd0\xff\xd9", "FFD0 at offset 2"),
        (b"\xff\xd8\x00\x00\xff\xd9", "found byte 00 at offset 2"),
        (b"\xff\xd8\xff\x00\xff\xd9", "found byte 00 at offset 3"),
        (b"\xff\xd8\xff\xe0\x00\x01\xff\xd9", "length 1"),
        (_frame(0xC0, b"\x08\0\x01\0\x01"), "5 bytes of parameters"),
        (_frame(0xC0, b"\x08\0\x01\0\x01\x02\x01\x11\0"), "expected 6 \\+ 3 Nf"),
        (_frame(0xC0, b"\x0c\0\x01\0\x01\x01\x01\x11\0"), "precision 12"),
        (_frame(0xC1, b"\x10\0\x01\0\x01\x01\x01\x11\0"), "precision 16"),
        (_frame(0xC3, b"\x11\0\x01\0\x01\x01\x01\x11\0"), "precision 17"),
        (_frame(0xC3, b"\x08\0\x01\0\0\x01\x01\x11\0"), "0 columns"),
        (_frame(0xC3, b"\x08\0\x01\0\x01\0"), "0 components"),
        (_frame(0xC3, b"\x08\0\x01\0\x01\x05" + b"\x01\x11\0" * 5), "5 components"),
        (_frame(0xC3, b"\x08\0\x01\0\x01\x01\x01\x51\0"), "sampling 5 x 1"),
        (_frame(0xC3, b"\x08\0\x01\0\x01\x01\x01\x10\0"), "sampling 1 x 0"),
        (_frame(0xC3, b"\x08\0\x01\0\x01\x01\x01\x11\0"), "without a scan of component 1"),
        (_frame(0xDA, b"\x01\x01\0\x01\0\0"), "before the frame header"),
        (_frame(0xDD, b"\0"), "1 bytes of parameters, expected 2"),
    ],
)
def test_broken_headers_say_what_was_found(data: bytes, says: str) -> None:
    with pytest.raises(CodestreamError, match=says):
        read_jpeg_header(data)


def test_scans_belong_to_the_frame() -> None:
    data = lossless_jpeg(_GREY, precision=8)
    at = data.index(b"\xff\xda")
    other = data[: at + 5] + b"\x07" + data[at + 6 :]
    with pytest.raises(CodestreamError, match="a component that the frame header has not"):
        read_jpeg_header(other)
    none = data[: at + 4] + b"\x00" + data[at + 5 :]
    with pytest.raises(CodestreamError, match="0 components"):
        read_jpeg_header(none)
    frame = data[data.index(b"\xff\xc3") : data.index(b"\xff\xc4")]
    with pytest.raises(CodestreamError, match="second frame header"):
        read_jpeg_header(_with(data, frame))


@pytest.mark.parametrize(
    ("marker", "feature"),
    [
        (0xC5, "hierarchical JPEG"),
        (0xCB, "arithmetic-coded lossless JPEG"),
        (0xDE, "hierarchical JPEG"),
        (0xF7, "JPEG-LS"),
    ],
)
def test_a_process_that_is_lacking_is_named(marker: int, feature: str) -> None:
    with pytest.raises(UnsupportedError) as caught:
        read_jpeg_header(_frame(marker, b"\x08\0\x01\0\x01\x01\x01\x11\0"))
    assert caught.value.feature == feature


def test_lines_told_after_the_scan_are_refused_by_name() -> None:
    with pytest.raises(UnsupportedError, match="DNL"):
        read_jpeg_header(_frame(0xC3, b"\x08\0\0\0\x01\x01\x01\x11\0"))


def test_an_image_of_very_many_scans_is_refused() -> None:
    data = lossless_jpeg(_GREY, precision=8)
    scan = data[data.index(b"\xff\xda") : -2]
    assert read_jpeg_header(data[:-2] + scan * 99 + b"\xff\xd9").scans == 100
    with pytest.raises(UnsupportedError) as caught:
        read_jpeg_header(data[:-2] + scan * 100 + b"\xff\xd9")
    assert caught.value.feature == "very many JPEG scans"


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_give_a_header_or_an_error_of_ours(data: bytes) -> None:
    for start in (
        b"",
        b"\xff\xd8",
        b"\xff\xd8\xff\xc3\x00\x0b\x08\x00\x01\x00\x01\x01\x01\x11\x00",
    ):
        with suppress(FormatError, UnsupportedError):
            assert isinstance(read_jpeg_header(start + data), JpegHeader)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_damaged_header_gives_bounded_values_or_an_error_of_ours(data: st.DataObject) -> None:
    damaged = bytearray(_jpeg())
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    try:
        header = read_jpeg_header(damaged)
    except MerseyError:
        return
    assert header.end_bytes <= len(damaged)
    assert 1 <= header.rows <= 65535
    assert 1 <= header.columns <= 65535
    assert 1 <= len(header.components) <= 4
    assert 2 <= header.precision <= 16
