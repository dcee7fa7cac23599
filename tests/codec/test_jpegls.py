"""JPEG-LS: read from others and by others, near-lossless within its word, never hanging."""

from __future__ import annotations

import struct
import subprocess
import sys

import imagecodecs
import numpy as np
import pydicom
import pytest
from codec_images import IMAGES, make_samples, pixel_format
from mersey.codecs.errors import CodestreamError, UnsupportedError, UsageError
from mersey.codecs.jpegls import DEFAULT_NEAR, JpegLsCodec, open_codec
from mersey.codecs.jpegls_header import read_jpegls_header
from mersey.codecs.pixels import PixelArray, PixelFormat
from mersey.codecs.quality import Quality, psnr_db
from mersey.codecs.syntaxes import JPEG_LS, JPEG_LS_LOSSLESS
from pydicom.data import get_testdata_file
from pydicom.encaps import generate_frames

_LOSSLESS = JpegLsCodec()
_NEAR = open_codec(JPEG_LS)
_PRECISION, _ROWS, _COMPONENTS = 6, 7, 11
"""Where P, Y and Nf lie in a codestream that begins with SOF55."""


def _near(near: int) -> JpegLsCodec:
    return JpegLsCodec("jpegls-near", near=near)


def _error(decoded: PixelArray, samples: PixelArray) -> int:
    return int(np.abs(decoded.astype(np.int64) - samples).max())


@pytest.mark.parametrize("name", ["8 bit", "12 in 16 bit", "signed 12 in 16 bit", "RGB 16 bit"])
def test_precision_is_bits_stored_and_the_bits_of_signed_samples_are_kept(name: str) -> None:
    pixels = IMAGES[name]
    samples = make_samples(pixels)
    data = _LOSSLESS.encode(samples, pixels=pixels).data
    header = read_jpegls_header(data)
    assert header.precision == pixels.bits_stored
    assert (header.rows, header.columns) == samples.shape[:2]
    assert header.components == pixels.samples
    assert header.near == 0
    assert header.interleave == ("sample" if pixels.samples > 1 else "none")
    assert header.end_bytes == len(data)
    mask = (1 << pixels.bits_stored) - 1
    np.testing.assert_array_equal(imagecodecs.jpegls_decode(data), samples.astype("i8") & mask)


@pytest.mark.parametrize("name", ["8 bit", "12 in 16 bit", "odd", "RGB 8 bit", "RGB 16 bit"])
@pytest.mark.parametrize("planar", [0, 1])
@pytest.mark.parametrize("near", [0, 3])
def test_another_library_and_we_read_each_other(name: str, planar: int, near: int) -> None:
    jpeg_ls = pytest.importorskip("jpeg_ls")
    pixels = IMAGES[name]
    samples = make_samples(pixels)
    form = {
        "rows": pixels.rows,
        "columns": pixels.columns,
        "samples_per_pixel": pixels.samples,
        "bits_stored": pixels.bits_stored,
    }
    plain = samples
    if pixels.samples > 1:
        form["planar_configuration"] = planar
        plain = np.moveaxis(samples, -1, 0) if planar else samples
    theirs = bytes(jpeg_ls.encode_pixel_data(plain.tobytes(), lossy_error=near, **form))
    header = read_jpegls_header(theirs)
    assert header.near == near
    if planar and pixels.samples > 1:
        assert header.interleave == "none"
    assert _error(_LOSSLESS.decode(theirs, pixels=pixels), samples) <= near

    ours = _near(near).encode(samples, pixels=pixels).data
    decoded, _ = jpeg_ls.decode_buffer(ours)
    np.testing.assert_array_equal(
        np.frombuffer(decoded, dtype=pixels.dtype).reshape(samples.shape),
        _LOSSLESS.decode(ours, pixels=pixels),
    )


@pytest.mark.parametrize("interleave", [0, 1, 2])
@pytest.mark.parametrize("shape", [(20, 30), (3, 30), (30, 3), (3, 47)])
def test_every_interleave_comes_out_by_pixel(interleave: int, shape: tuple[int, int]) -> None:
    jpeg_ls = pytest.importorskip("jpeg_ls")
    pixels = pixel_format(shape[0], shape[1], 8, samples=3, photometric="RGB")
    samples = make_samples(pixels)
    plain = samples if interleave else np.ascontiguousarray(np.moveaxis(samples, -1, 0))
    data = bytes(jpeg_ls.encode_buffer(plain.tobytes(), *shape, 3, 8, 0, interleave))
    assert read_jpegls_header(data).interleave == ("none", "line", "sample")[interleave]
    np.testing.assert_array_equal(_LOSSLESS.decode(data, pixels=pixels), samples)


@pytest.mark.parametrize(
    ("name", "interleave"),
    [("SC_rgb_jls_lossy_line.dcm", "line"), ("SC_rgb_jls_lossy_sample.dcm", "sample")],
)
def test_files_of_others_decode_as_by_charls_alone(name: str, interleave: str) -> None:
    dataset = pydicom.dcmread(str(get_testdata_file(name, download=False)))
    data = next(generate_frames(dataset.PixelData, number_of_frames=1))
    header = read_jpegls_header(data)
    assert header.interleave == interleave
    assert header.near > 0
    pixels = pixel_format(dataset.Rows, dataset.Columns, 8, samples=3, photometric="RGB")
    decoded = _NEAR.decode(data, pixels=pixels)
    np.testing.assert_array_equal(decoded, imagecodecs.jpegls_decode(data))


@pytest.mark.parametrize("near", [1, 2, 7, 200])
@pytest.mark.parametrize("name", ["8 bit", "12 in 16 bit", "signed 16 bit", "RGB 8 bit"])
def test_no_sample_is_off_by_more_than_near(name: str, near: int) -> None:
    pixels = IMAGES[name]
    samples = make_samples(pixels)
    encoded = _near(near).encode(samples, pixels=pixels)
    used = read_jpegls_header(encoded.data).near
    assert used <= near
    assert encoded.lossy == (used > 0)
    assert _error(_LOSSLESS.decode(encoded.data, pixels=pixels), samples) <= used


def test_signed_samples_never_change_their_sign_at_the_ends() -> None:
    pixels = pixel_format(32, 32, 12, signed=True)
    samples = np.full((32, 32), 2047, dtype=np.int16)
    samples[::2] = 2040

    naive = imagecodecs.jpegls_encode(samples.view(np.uint16), 3, bitspersample=12)
    wrapped = imagecodecs.jpegls_decode(naive).view(np.int16) << 4 >> 4
    assert _error(wrapped, samples) > 4000

    encoded = _near(3).encode(samples, pixels=pixels)
    assert not encoded.lossy
    np.testing.assert_array_equal(_LOSSLESS.decode(encoded.data, pixels=pixels), samples)
    samples[samples == 2047] = 2045
    encoded = _near(3).encode(samples, pixels=pixels)
    assert read_jpegls_header(encoded.data).near == 2
    assert _error(_LOSSLESS.decode(encoded.data, pixels=pixels), samples) <= 2


def test_near_lossless_without_a_quality_is_off_by_two_at_most() -> None:
    pixels = pixel_format(64, 64, 12)
    samples = make_samples(pixels)
    encoded = _NEAR.encode(samples, pixels=pixels)
    assert encoded.lossy
    assert read_jpegls_header(encoded.data).near == DEFAULT_NEAR == 2


@pytest.mark.parametrize("decibels", [30.0, 45.0, 60.0])
def test_a_psnr_is_kept_with_the_greatest_near(decibels: float) -> None:
    pixels = pixel_format(64, 64, 12)
    samples = make_samples(pixels)
    codec = open_codec(JPEG_LS, quality=Quality(psnr_db=decibels))
    encoded = codec.encode(samples, pixels=pixels)
    found = psnr_db(codec.decode(encoded.data, pixels=pixels), samples, pixels=pixels)
    assert encoded.psnr_db == found >= decibels
    near = read_jpegls_header(encoded.data).near
    if near < 255:
        more = _near(near + 1).encode(samples, pixels=pixels).data
        assert psnr_db(codec.decode(more, pixels=pixels), samples, pixels=pixels) < decibels


def test_a_ratio_is_reached_with_the_least_near_or_as_nearly_as_can_be() -> None:
    pixels = pixel_format(64, 64, 12)
    samples = make_samples(pixels)
    codec = open_codec(JPEG_LS, quality=Quality(ratio=4))
    encoded = codec.encode(samples, pixels=pixels)
    assert encoded.ratio >= 4
    near = read_jpegls_header(encoded.data).near
    assert near > 0
    assert _near(near - 1).encode(samples, pixels=pixels).ratio < 4
    beyond = open_codec(JPEG_LS, quality=Quality(ratio=1000)).encode(samples, pixels=pixels)
    assert read_jpegls_header(beyond.data).near == 255


def test_a_ratio_that_lossless_reaches_stays_lossless() -> None:
    pixels = pixel_format(64, 64, 12)
    codec = open_codec(JPEG_LS, quality=Quality(ratio=1))
    encoded = codec.encode(make_samples(pixels), pixels=pixels)
    assert not encoded.lossy
    assert read_jpegls_header(encoded.data).near == 0


def test_the_lossless_syntax_takes_no_quality_and_a_palette_no_loss() -> None:
    with pytest.raises(UsageError):
        open_codec(JPEG_LS_LOSSLESS, quality=Quality(ratio=4))
    with pytest.raises(UnsupportedError, match="PALETTE"):
        _NEAR.encoded_format(IMAGES["palette"])


_ONE_BYTE_OF_DATA = 26
_NAIVE = """
import sys, imagecodecs
imagecodecs.jpegls_decode(sys.stdin.buffer.read())
"""


def test_6_a_truncated_codestream_is_an_error_and_does_not_hang() -> None:
    pixels = pixel_format(64, 64, 12)
    samples = np.random.default_rng(0).integers(0, 4096, (64, 64), dtype=np.uint16)
    data = _LOSSLESS.encode(samples, pixels=pixels).data

    # CharLS reads on behind the end: what lies there decides whether it fails or hangs.
    command = [sys.executable, "-c", _NAIVE]
    with pytest.raises((subprocess.TimeoutExpired, subprocess.CalledProcessError)):
        subprocess.run(
            command, input=data[:_ONE_BYTE_OF_DATA], timeout=120, capture_output=True, check=True
        )

    for length in (*range(40), len(data) // 2, len(data) - 3):
        with pytest.raises(CodestreamError):
            _LOSSLESS.decode(data[:length], pixels=pixels)


def test_a_codestream_that_lacks_nothing_but_its_end_marker_is_read() -> None:
    pixels = pixel_format(64, 64, 12)
    samples = make_samples(pixels)
    data = _LOSSLESS.encode(samples, pixels=pixels).data
    np.testing.assert_array_equal(_LOSSLESS.decode(data[:-2], pixels=pixels), samples)


def test_fill_bytes_before_a_marker_are_read() -> None:
    pixels = pixel_format(64, 64, 12)
    samples = make_samples(pixels)
    data = _LOSSLESS.encode(samples, pixels=pixels).data
    filled = data[:-2] + b"\xff\xff\xff\xd9"
    assert read_jpegls_header(filled).end_bytes == len(filled)
    np.testing.assert_array_equal(_LOSSLESS.decode(filled, pixels=pixels), samples)


def _sof(data: bytes) -> bytearray:
    changed = bytearray(data)
    assert changed[2:4] == b"\xff\xf7"
    return changed


def test_a_size_that_the_data_set_does_not_say_is_refused_unread() -> None:
    pixels = pixel_format(64, 64, 12)
    data = _LOSSLESS.encode(make_samples(pixels), pixels=pixels).data
    for offset, form, value in ((_ROWS, ">H", 65535), (_ROWS + 2, ">H", 63)):
        changed = _sof(data)
        struct.pack_into(form, changed, offset, value)
        with pytest.raises(CodestreamError, match=str(value)) as caught:
            _LOSSLESS.decode(changed, pixels=pixels)
        assert caught.value.marker == 0xFFF7
    for wrong in (pixels.with_(samples=3), pixel_format(64, 64, 8)):
        with pytest.raises(CodestreamError):
            _LOSSLESS.decode(data, pixels=wrong)


def test_a_precision_other_than_bits_stored_is_believed() -> None:
    pixels = pixel_format(32, 32, 12)
    samples = make_samples(pixels)
    data = _LOSSLESS.encode(samples, pixels=pixels).data
    other = pixels.with_(bits_stored=16, high_bit=15)
    np.testing.assert_array_equal(_LOSSLESS.decode(data, pixels=other), samples)
    signed = _LOSSLESS.decode(data, pixels=other.with_(signed=True))
    np.testing.assert_array_equal(signed, (samples << 4).view(np.int16) >> 4)


def _segment(code: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, code, len(body) + 2) + body


_SOF = _segment(0xF7, bytes((8, 0, 4, 0, 4, 1, 1, 0x11, 0)))
_SOS = _segment(0xDA, bytes((1, 1, 0, 0, 0, 0)))


@pytest.mark.parametrize(
    ("segments", "error"),
    [
        ([], CodestreamError),
        ([_SOF], CodestreamError),
        ([_SOS], CodestreamError),
        ([_SOF, _SOF, _SOS], CodestreamError),
        ([_segment(0xF7, bytes((1, 0, 4, 0, 4, 1, 1, 0x11, 0))), _SOS], CodestreamError),
        ([_segment(0xF7, bytes((17, 0, 4, 0, 4, 1, 1, 0x11, 0))), _SOS], CodestreamError),
        ([_segment(0xF7, bytes((8, 0, 0, 0, 4, 1, 1, 0x11, 0))), _SOS], UnsupportedError),
        ([_segment(0xF7, bytes((8, 0, 4, 0, 4, 2, 1, 0x11, 0))), _SOS], CodestreamError),
        ([_segment(0xF7, bytes((8, 0, 4, 0, 4, 0))), _SOS], CodestreamError),
        ([_segment(0xF7, b"\x08")], CodestreamError),
        ([_SOF, _segment(0xDA, bytes((1, 2, 0, 0, 0, 0)))], CodestreamError),
        ([_SOF, _segment(0xDA, bytes((1, 1, 0, 0, 3, 0)))], CodestreamError),
        ([_SOF, _segment(0xDA, bytes((2, 1, 0, 0, 0, 0)))], CodestreamError),
        ([_SOF, _segment(0xDA, b"")], CodestreamError),
        ([_SOF, _segment(0xDA, bytes((1, 1, 1, 0, 0, 0)))], UnsupportedError),
        ([_SOF, _segment(0xDA, bytes((1, 1, 0, 0, 0, 1)))], UnsupportedError),
        ([_SOF, _segment(0xF8, b"\x02\x01\x01\x00"), _SOS], UnsupportedError),
        ([_SOF, _segment(0xF8, b"\x09"), _SOS], CodestreamError),
        ([_SOF, _segment(0xC4, b"\x00"), _SOS], CodestreamError),
        ([_SOF, b"\xff\xda\x00\x01"], CodestreamError),
        ([_SOF, b"\xff\xda\xff\xff"], CodestreamError),
        ([b"\x00", _SOF, _SOS], CodestreamError),
    ],
)
def test_headers_that_cannot_be_are_refused(segments: list[bytes], error: type) -> None:
    data = b"".join((b"\xff\xd8", *segments, bytes(8), b"\xff\xd9"))
    with pytest.raises(error):
        _LOSSLESS.decode(data, pixels=pixel_format(4, 4, 8))


def test_a_component_without_a_scan_is_refused() -> None:
    frame = _segment(0xF7, bytes((8, 0, 4, 0, 4, 3, 1, 0x11, 0, 2, 0x11, 0, 3, 0x11, 0)))
    data = b"".join((b"\xff\xd8", frame, _SOS, bytes(8), b"\xff\xd9"))
    pixels: PixelFormat = pixel_format(4, 4, 8, samples=3, photometric="RGB")
    with pytest.raises(CodestreamError, match="scans of 1 components"):
        _LOSSLESS.decode(data, pixels=pixels)
