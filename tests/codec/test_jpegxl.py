"""JPEG XL: exact or not at all, RGB out of every colour space, headers read before libjxl."""

from __future__ import annotations

import struct
from typing import Any

import imagecodecs
import numpy as np
import pytest
from codec_images import IMAGES, make_samples, pixel_format
from mersey.codecs import jpegxl
from mersey.codecs.errors import CodestreamError, IntegrityError, UnsupportedError, UsageError
from mersey.codecs.jpegxl import JpegXlCodec, open_codec
from mersey.codecs.jxl_header import read_jxl_header
from mersey.codecs.pixels import PixelArray
from mersey.codecs.quality import Quality
from mersey.codecs.syntaxes import JPEG_XL, JPEG_XL_JPEG, JPEG_XL_LOSSLESS

_LOSSLESS = JpegXlCodec()
_LOSSY = open_codec(JPEG_XL)
_JPEG = open_codec(JPEG_XL_JPEG)
_CONTAINER = bytes.fromhex("0000000c4a584c200d0a870a")


def _box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(body), kind) + body


@pytest.mark.parametrize("name", ["8 bit", "8 in 16 bit", "12 in 16 bit", "16 bit", "RGB 16 bit"])
def test_precision_is_bits_stored(name: str) -> None:
    pixels = IMAGES[name]
    samples = make_samples(pixels)
    data = _LOSSLESS.encode(samples, pixels=pixels).data
    header = read_jxl_header(data)
    assert header.bits == pixels.bits_stored
    assert (header.rows, header.columns) == samples.shape[:2]
    assert header.colour_channels == pixels.samples
    assert (header.extra_channels, header.animated, header.xyb) == (0, False, False)
    np.testing.assert_array_equal(imagecodecs.jpegxl_decode(data), samples)


@pytest.fixture
def lossy_efforts(monkeypatch: pytest.MonkeyPatch) -> set[int]:
    """Efforts at which libjxl gets the first sample wrong, as 0.11.2 did with some RGB."""
    efforts: set[int] = set()
    naive = imagecodecs.jpegxl_encode

    def encode(samples: PixelArray, *, effort: int, **options: Any) -> bytes:
        if effort in efforts:
            samples = samples.copy()
            samples.flat[0] ^= 1
        return bytes(naive(samples, effort=effort, **options))

    monkeypatch.setattr(imagecodecs, "jpegxl_encode", encode)
    return efforts


def test_11_an_effort_that_is_not_exact_is_not_used(lossy_efforts: set[int]) -> None:
    pixels = IMAGES["RGB 8 bit"]
    samples = make_samples(pixels)
    exact = _LOSSLESS.encode(samples, pixels=pixels)
    lossy_efforts.add(1)

    naive = imagecodecs.jpegxl_encode(samples, effort=1, lossless=True, planar=False)
    assert not np.array_equal(imagecodecs.jpegxl_decode(naive), samples)

    encoded = _LOSSLESS.encode(samples, pixels=pixels)
    assert encoded != exact
    assert not encoded.lossy
    np.testing.assert_array_equal(_LOSSLESS.decode(encoded.data, pixels=pixels), samples)


def test_11_where_no_effort_is_exact_nothing_is_written(lossy_efforts: set[int]) -> None:
    pixels = IMAGES["RGB 8 bit"]
    lossy_efforts.update(jpegxl._EFFORTS)
    with pytest.raises(IntegrityError, match="not exact"):
        _LOSSLESS.encode(make_samples(pixels), pixels=pixels)


@pytest.mark.parametrize("seed", range(12))
def test_11_rgb_of_few_colours_many_colours_and_edges_is_exact(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows, columns = (int(side) for side in rng.integers(1, 400, 2))
    palette = rng.integers(0, 256, (int(rng.integers(2, 400)), 3), dtype=np.uint8)
    samples = palette[rng.integers(0, len(palette), (rows, columns))]
    if seed % 3 == 0:
        samples = np.cumsum(samples % 3, axis=1, dtype=np.uint8)
    pixels = pixel_format(rows, columns, 8, samples=3, photometric="RGB")
    data = _LOSSLESS.encode(samples, pixels=pixels).data
    np.testing.assert_array_equal(imagecodecs.jpegxl_decode(data), samples)


def test_xyb_comes_out_as_rgb() -> None:
    pixels = pixel_format(64, 80, 8, samples=3, photometric="RGB")
    samples = make_samples(pixels)
    data = bytes(imagecodecs.jpegxl_encode(samples, distance=1.0))
    assert read_jxl_header(data).xyb
    stored = pixels.with_(photometric="XYB")
    assert _LOSSY.decoded_format(stored).photometric == "RGB"
    decoded = _LOSSY.decode(data, pixels=stored)
    np.testing.assert_array_equal(decoded, imagecodecs.jpegxl_decode(data))
    assert np.abs(decoded.astype(int) - samples).mean() < 12


@pytest.mark.parametrize("subsampling", ["444", "422", "420"])
def test_a_recompressed_jpeg_comes_out_as_rgb(subsampling: str) -> None:
    pixels = pixel_format(61, 83, 8, samples=3, photometric="YBR_FULL_422")
    y, x = np.indices((61, 83))
    samples = np.stack([y * 3, x * 3, x + y], axis=-1).astype(np.uint8)
    jpeg = imagecodecs.jpeg8_encode(samples, level=95, subsampling=subsampling)
    data = bytes(imagecodecs.jpegxl_encode_jpeg(jpeg))
    assert _JPEG.decoded_format(pixels).photometric == "RGB"
    decoded = _JPEG.decode(data, pixels=pixels)
    assert np.abs(decoded.astype(int) - imagecodecs.jpeg8_decode(jpeg)).mean() < 2


def test_a_recompressed_grey_jpeg_stays_grey() -> None:
    pixels = pixel_format(61, 83, 8)
    jpeg = imagecodecs.jpeg8_encode(make_samples(pixels), level=95)
    data = bytes(imagecodecs.jpegxl_encode_jpeg(jpeg))
    assert _JPEG.decoded_format(pixels) == pixels
    decoded = _JPEG.decode(data, pixels=pixels)
    assert np.abs(decoded.astype(int) - imagecodecs.jpeg8_decode(jpeg)).mean() < 2


def test_what_was_not_coded_as_another_colour_keeps_its_name() -> None:
    pixels = IMAGES["YBR_FULL"]
    assert _LOSSLESS.decoded_format(pixels).photometric == "YBR_FULL"
    assert _LOSSY.decoded_format(IMAGES["8 bit"]).photometric == "MONOCHROME2"


@pytest.mark.parametrize("name", ["signed 16 bit", "palette", "YBR_FULL", "two samples", "32 bit"])
def test_what_has_no_form_is_refused_by_name(name: str) -> None:
    with pytest.raises(UnsupportedError, match="JPEG XL has no form"):
        _LOSSLESS.encoded_format(IMAGES[name])


def test_signed_samples_are_not_guessed_at() -> None:
    pixels = IMAGES["16 bit"]
    data = _LOSSLESS.encode(make_samples(pixels), pixels=pixels).data
    with pytest.raises(UnsupportedError, match="signed"):
        _LOSSLESS.decode(data, pixels=pixels.with_(signed=True))


def test_only_lossless_is_encoded_and_takes_no_quality() -> None:
    for uid in (JPEG_XL_JPEG, JPEG_XL):
        with pytest.raises(UnsupportedError, match="only decoded"):
            open_codec(uid).encoded_format(IMAGES["8 bit"])
    for uid in (JPEG_XL_LOSSLESS, JPEG_XL):
        with pytest.raises(UsageError):
            open_codec(uid, quality=Quality(ratio=4))


@pytest.mark.parametrize(
    "parts",
    [
        lambda data: _box(b"jxlc", data),
        lambda data: struct.pack(">I4sQ", 1, b"jxlc", 16 + len(data)) + data,
        lambda data: struct.pack(">I4s", 0, b"jxlc") + data,
        lambda data: (
            _box(b"jxlp", struct.pack(">I", 0) + data[:9])
            + _box(b"free", b"x")
            + _box(b"jxlp", struct.pack(">I", 1 << 31 | 1) + data[9:])
        ),
    ],
)
def test_the_codestream_may_lie_in_boxes(parts: Any) -> None:
    pixels = pixel_format(40, 50, 12)
    samples = make_samples(pixels)
    bare = _LOSSLESS.encode(samples, pixels=pixels).data
    assert bare[:2] == b"\xff\x0a"
    boxed = _CONTAINER + _box(b"ftyp", b"jxl \0\0\0\0jxl ") + parts(bare)
    assert read_jxl_header(boxed) == read_jxl_header(bare)
    np.testing.assert_array_equal(_LOSSLESS.decode(boxed, pixels=pixels), samples)


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\x0a",
        b"\xff\x0a\x00",
        _CONTAINER,
        _CONTAINER + _box(b"jxlc", b""),
        _CONTAINER + _box(b"jxlp", b"\0\0"),
        _CONTAINER + struct.pack(">I4s", 7, b"jxlc") + bytes(90),
        _CONTAINER + struct.pack(">I4sQ", 1, b"free", 3) + bytes(90),
        _CONTAINER + _box(b"jxlc", b"\xff\x4f" + bytes(90)),
    ],
)
def test_headers_that_cannot_be_are_refused(data: bytes) -> None:
    with pytest.raises(CodestreamError):
        _LOSSLESS.decode(data, pixels=IMAGES["8 bit"])


@pytest.mark.parametrize(
    ("shape", "form"),
    [
        ((64, 48), {}),
        ((64, 48, 3), {}),
        ((64, 64), {}),
        ((240, 320, 3), {"bitspersample": 8}),
        ((1, 65535), {}),
        ((65535, 1), {}),
        ((100, 120, 3), {"distance": 1.0}),
        ((31, 17), {"distance": 1.0}),
    ],
)
def test_sizes_are_read_as_libjxl_reads_them(shape: tuple[int, ...], form: dict[str, Any]) -> None:
    samples = np.zeros(shape, dtype=np.uint8)
    data = bytes(imagecodecs.jpegxl_encode(samples, effort=1, planar=False, **form))
    header = read_jxl_header(data)
    assert (header.rows, header.columns) == shape[:2]
    assert header.colour_channels == (3 if len(shape) == 3 else 1)


def test_animations_floats_and_other_channels_are_refused() -> None:
    rng = np.random.default_rng(0)
    cases = [
        ("animation", rng.integers(0, 255, (4, 20, 30, 3), dtype=np.uint8), 3),
        ("channels", rng.integers(0, 255, (20, 30, 4), dtype=np.uint8), 4),
        ("float", rng.random((20, 30), dtype=np.float32), 1),
    ]
    for match, samples, count in cases:
        data = bytes(imagecodecs.jpegxl_encode(samples, lossless=True))
        pixels = pixel_format(20, 30, 8, samples=count, photometric="RGB" if count > 1 else "M")
        with pytest.raises(UnsupportedError, match=match):
            _LOSSLESS.decode(data, pixels=pixels)


def test_an_orientation_is_refused_and_not_applied() -> None:
    """A bare codestream of 8 x 8 (small, ratio 1:1) with extra fields and orientation 6."""
    bits = "1" + "00000" + "100" + "0" + "1" + "101"  # each field least significant bit first
    value = int(bits[::-1], 2)
    data = b"\xff\x0a" + value.to_bytes(8, "little")
    header = read_jxl_header(data)
    assert (header.rows, header.columns, header.orientation) == (8, 8, 6)
    with pytest.raises(UnsupportedError, match="orientation 6"):
        _LOSSLESS.decode(data, pixels=pixel_format(8, 8, 8, samples=3, photometric="RGB"))


def test_a_precision_that_the_container_cannot_hold_is_refused() -> None:
    pixels = pixel_format(40, 50, 12)
    data = _LOSSLESS.encode(make_samples(pixels), pixels=pixels).data
    with pytest.raises(CodestreamError, match="12 bits"):
        _LOSSLESS.decode(data, pixels=pixel_format(40, 50, 8))
    deeper = pixels.with_(bits_stored=16, high_bit=15)
    np.testing.assert_array_equal(_LOSSLESS.decode(data, pixels=deeper), make_samples(pixels))
