"""How uncompressed samples lie in Pixel Data, in every byte order and container."""

from __future__ import annotations

import numpy as np
import pydicom
import pytest
from codec_images import IMAGES, make_samples, pixel_format
from hypothesis import given
from hypothesis import strategies as st
from mersey.codecs.errors import FormatError, UnsupportedError, UsageError
from mersey.codecs.pixels import PixelFormat
from mersey.codecs.registry import Registry
from mersey.codecs.syntaxes import DEFLATED_EXPLICIT_LE, EXPLICIT_BE, EXPLICIT_LE, IMPLICIT_LE
from mersey.codecs.uncompressed import UncompressedCodec, align_bits
from pydicom.data import get_testdata_file

_LITTLE = UncompressedCodec()
_BIG = UncompressedCodec(big_endian=True, writable=False)


@pytest.mark.parametrize("uid", [IMPLICIT_LE, EXPLICIT_LE, DEFLATED_EXPLICIT_LE])
def test_little_endian_syntaxes_hold_the_same_frames(uid: str) -> None:
    pixels = IMAGES["signed 16 bit"]
    samples = make_samples(pixels)
    decoded = Registry.default().decoder(uid).decode(samples.astype("<i2").tobytes(), pixels=pixels)
    np.testing.assert_array_equal(decoded, samples)


@pytest.mark.parametrize("name", ["8 bit", "signed 16 bit", "32 bit", "64 bit", "float", "double"])
def test_big_endian_containers_are_swapped(name: str) -> None:
    pixels = IMAGES[name]
    samples = make_samples(pixels)
    stored = samples.astype(samples.dtype.newbyteorder(">")).tobytes()
    decoder = Registry.default().decoder(EXPLICIT_BE)
    decoded = decoder.decode(stored, pixels=pixels)
    assert decoded.dtype == pixels.dtype
    np.testing.assert_array_equal(decoded, samples)


def test_big_endian_words_that_hold_bytes_are_swapped_where_the_format_says_so() -> None:
    pixels = pixel_format(2, 3, 8, swapped_words=True)
    decoded = _BIG.decode(bytes([2, 1, 4, 3, 6, 5]), pixels=pixels)
    np.testing.assert_array_equal(decoded, [[1, 2, 3], [4, 5, 6]])
    assert not _BIG.decoded_format(pixels).swapped_words
    plain = _BIG.decode(bytes([1, 2, 3, 4, 5, 6]), pixels=pixels.with_(swapped_words=False))
    np.testing.assert_array_equal(plain, decoded)


def test_a_big_endian_frame_that_ends_inside_a_word_is_refused_without_the_rest_of_it() -> None:
    pixels = pixel_format(3, 3, 8, swapped_words=True)
    with pytest.raises(UnsupportedError, match="end inside a word"):
        _BIG.decode(bytes(9), pixels=pixels)
    decoded = _BIG.decode(bytes([2, 1, 4, 3, 6, 5, 8, 7, 0, 9]), pixels=pixels)
    np.testing.assert_array_equal(decoded.ravel(), range(1, 10))


def test_colour_by_plane_becomes_colour_by_pixel() -> None:
    pixels = IMAGES["RGB 16 bit"].with_(planar=1)
    samples = make_samples(pixels)
    stored = np.ascontiguousarray(samples.transpose(2, 0, 1)).tobytes()
    np.testing.assert_array_equal(_LITTLE.decode(stored, pixels=pixels), samples)
    form = _LITTLE.decoded_format(pixels)
    assert form.planar == 0
    assert _LITTLE.encode(samples, pixels=form).data == samples.tobytes()


def test_samples_of_4_2_2_are_repeated_and_the_format_says_so() -> None:
    pixels = pixel_format(1, 4, 8, samples=3, photometric="YBR_FULL_422", planar=0)
    decoded = _LITTLE.decode(bytes([10, 11, 20, 30, 12, 13, 21, 31]), pixels=pixels)
    assert decoded.tolist() == [[[10, 20, 30], [11, 20, 30], [12, 21, 31], [13, 21, 31]]]
    form = _LITTLE.decoded_format(pixels)
    assert form.photometric == "YBR_FULL"
    assert form.shape == decoded.shape
    with pytest.raises(UnsupportedError, match="YBR_FULL_422"):
        _LITTLE.encoded_format(pixels)


def test_samples_of_4_2_2_need_even_columns_and_8_bits() -> None:
    pixels = pixel_format(2, 3, 8, samples=3, photometric="YBR_FULL_422")
    with pytest.raises(FormatError, match="3 Columns"):
        _LITTLE.decode(bytes(12), pixels=pixels)
    with pytest.raises(UnsupportedError, match="expected 3 and 8"):
        _LITTLE.decode(bytes(64), pixels=pixels.with_(columns=4, bits_allocated=16))


def test_unused_bits_are_kept() -> None:
    pixels = pixel_format(1, 3, 12)
    decoded = _LITTLE.decode(b"\xff\xff\x00\xf0\x01\x10", pixels=pixels)
    assert decoded.tolist() == [[0xFFFF, 0xF000, 0x1001]]
    assert _LITTLE.encode(decoded, pixels=pixels).data == b"\xff\xff\x00\xf0\x01\x10"


def test_unused_bits_are_left_out_of_a_smaller_image() -> None:
    pixels = pixel_format(2, 2, 12, signed=True)
    stored = np.array([0xF001, 0x0003, 0x1FFF, 0x0FFF], dtype="<u2").tobytes()
    assert _LITTLE.decode(stored, pixels=pixels, reduce=1).tolist() == [[1]]  # 1, 3, -1, -1


def test_a_palette_is_halved_by_choice_and_not_by_mean() -> None:
    pixels = pixel_format(2, 4, 8, photometric="PALETTE COLOR")
    decoded = _LITTLE.decode(bytes([1, 2, 3, 4, 5, 6, 7, 8]), pixels=pixels, reduce=1)
    assert decoded.tolist() == [[1, 3]]


def test_a_writable_frame_is_not_copied() -> None:
    pixels = pixel_format(2, 2, 16)
    data = bytearray(8)
    decoded = _LITTLE.decode(data, pixels=pixels)
    data[0] = 7
    assert decoded[0, 0] == 7


def test_a_read_only_frame_gives_writable_samples_all_the_same() -> None:
    pixels = pixel_format(2, 2, 16)
    data = bytes(8)
    decoded = _LITTLE.decode(data, pixels=pixels)
    decoded[0, 0] = 7
    assert data == bytes(8)


@given(
    frames=st.integers(1, 5), rows=st.integers(1, 9), columns=st.integers(1, 9), seed=st.integers(0)
)
def test_frames_of_bits_that_start_anywhere_come_back(
    frames: int, rows: int, columns: int, seed: int
) -> None:
    pixels = pixel_format(rows, columns, 1)
    bits = np.random.default_rng(seed).integers(0, 2, (frames, rows, columns)).astype(np.uint8)
    stored = np.packbits(bits, bitorder="little").tobytes()
    for index in range(frames):
        first = index * pixels.frame_bits
        end = -(-(first + pixels.frame_bits) // 8)
        aligned = align_bits(
            stored[first // 8 : end], bit_offset=first % 8, bit_count=pixels.frame_bits
        )
        np.testing.assert_array_equal(_LITTLE.decode(aligned, pixels=pixels), bits[index])
        assert _LITTLE.encode(bits[index], pixels=pixels).data == aligned


def test_bits_that_are_not_there_are_a_format_error() -> None:
    with pytest.raises(FormatError, match="5 bits from bit 3 on, expected 6"):
        align_bits(b"\xff", bit_offset=3, bit_count=6)
    with pytest.raises(UsageError, match="bit offset 8"):
        align_bits(b"\xff\xff", bit_offset=8, bit_count=1)


def test_a_sample_other_than_0_and_1_has_no_place_in_one_bit() -> None:
    with pytest.raises(UnsupportedError, match="sample is 2"):
        _LITTLE.encode(np.array([[0, 2]], dtype=np.uint8), pixels=pixel_format(1, 2, 1))


def test_only_explicit_little_endian_is_written() -> None:
    for uid in (IMPLICIT_LE, DEFLATED_EXPLICIT_LE, EXPLICIT_BE):
        with pytest.raises(UnsupportedError):
            Registry.default().encoder(uid)
    with pytest.raises(UnsupportedError):
        _BIG.encode(make_samples(IMAGES["8 bit"]), pixels=IMAGES["8 bit"])


@pytest.mark.parametrize(
    "name",
    [
        "CT_small.dcm",
        "MR_small.dcm",
        "MR_small_bigendian.dcm",
        "MR_small_implicit.dcm",
        "ExplVR_BigEnd.dcm",
        "SC_rgb_small_odd.dcm",
        "SC_rgb_small_odd_big_endian.dcm",
        "SC_ybr_full_422_uncompressed.dcm",
        "rtdose_expb.dcm",
        "liver_expb_1frame.dcm",
        "liver_1frame.dcm",
        "examples_palette.dcm",
    ],
)
def test_real_files_decode_as_pydicom_decodes_them(name: str) -> None:
    path = get_testdata_file(name, download=False)
    if path is None:
        pytest.skip(f"this pydicom ships no {name}")
    dataset = pydicom.dcmread(path)
    frames = int(dataset.get("NumberOfFrames", 1))
    uid = str(dataset.file_meta.TransferSyntaxUID)
    pixels = PixelFormat(
        rows=dataset.Rows,
        columns=dataset.Columns,
        samples=dataset.SamplesPerPixel,
        bits_allocated=dataset.BitsAllocated,
        bits_stored=dataset.BitsStored,
        high_bit=dataset.HighBit,
        signed=bool(dataset.PixelRepresentation),
        planar=int(dataset.get("PlanarConfiguration", 0)),
        photometric=dataset.PhotometricInterpretation,
        swapped_words=dataset["PixelData"].VR == "OW" and dataset.BitsAllocated <= 8,
    )
    expected = pydicom.pixels.pixel_array(path, raw=True).reshape(frames, *pixels.shape)
    decoder = Registry.default().decoder(uid)
    size = -(-pixels.frame_bits // 8)
    for index in range(frames):
        frame = (
            dataset.PixelData[index * size :]
            if frames == 1
            else (dataset.PixelData[index * size : (index + 1) * size])
        )
        decoded = decoder.decode(frame, pixels=pixels)
        np.testing.assert_array_equal(decoded, expected[index])
