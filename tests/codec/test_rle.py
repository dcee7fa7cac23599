"""RLE: Annex G to the letter, read by others, and safe whatever the runs say."""

from __future__ import annotations

import struct

import numpy as np
import pydicom
import pytest
from codec_images import IMAGES, make_samples, pixel_format
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from mersey.codecs import kernels
from mersey.codecs.errors import FormatError, UnsupportedError
from mersey.codecs.kernels import reference
from mersey.codecs.pixels import PixelArray, PixelFormat
from mersey.codecs.rle import RleCodec
from pydicom.data import get_testdata_file
from pydicom.encaps import generate_frames
from pydicom.pixels.decoders.rle import _rle_decode_frame

_RLE = RleCodec()
_LINE = pixel_format(1, 5, 8)


def _frame(*segments: bytes) -> bytes:
    """An RLE frame of segments as they are."""
    offsets = [64]
    for segment in segments[:-1]:
        offsets.append(offsets[-1] + len(segment))
    offsets += [0] * (15 - len(segments))
    return struct.pack("<16I", len(segments), *offsets) + b"".join(segments)


def test_runs_are_read_as_the_standard_describes_them() -> None:
    literal, replicate, nothing = b"\x01\x07\x08", b"\xfe\x09", b"\x80"
    decoded = _RLE.decode(_frame(nothing + literal + nothing + replicate), pixels=_LINE)
    assert decoded.tolist() == [[7, 8, 9, 9, 9]]


@pytest.mark.parametrize(
    ("row", "packed"),
    [
        ([7, 7, 7, 7, 7], b"\xfc\x07"),
        ([7, 7, 7, 8, 8], b"\xfe\x07\xff\x08"),
        ([1, 2, 2, 3, 4], b"\x04\x01\x02\x02\x03\x04"),
        ([1, 2, 2, 2, 3], b"\x00\x01\xfe\x02\x00\x03"),
        ([1, 2, 3, 4, 5], b"\x04\x01\x02\x03\x04\x05"),
        ([5, 5, 1, 2, 3], b"\xff\x05\x02\x01\x02\x03"),
    ],
)
def test_rows_are_packed_as_the_standard_describes_it(row: list[int], packed: bytes) -> None:
    data = _RLE.encode(np.array([row], dtype=np.uint8), pixels=_LINE).data
    assert data == _frame(packed)


def test_no_run_goes_on_from_one_row_to_the_next() -> None:
    data = _RLE.encode(np.full((3, 5), 7, dtype=np.uint8), pixels=pixel_format(3, 5, 8)).data
    assert data == _frame(b"\xfc\x07" * 3)


def test_long_runs_are_cut_at_128_bytes() -> None:
    equal = np.full((1, 130), 7, dtype=np.uint8)
    assert _RLE.encode(equal, pixels=pixel_format(1, 130, 8)).data == _frame(b"\x81\x07\xff\x07")
    other = np.arange(129, dtype=np.uint8)[None]
    packed = b"\x7f" + bytes(range(128)) + b"\x00\x80"
    expected = packed + bytes(len(packed) % 2)
    assert _RLE.encode(other, pixels=pixel_format(1, 129, 8)).data == _frame(expected)


def test_segments_are_sample_by_sample_and_begin_with_the_most_significant_byte() -> None:
    pixels = pixel_format(1, 1, 16, samples=3, photometric="RGB")
    samples = np.array([[[0x0102, 0x0304, 0x0506]]], dtype=np.uint16)
    data = _RLE.encode(samples, pixels=pixels).data
    assert data == _frame(*(bytes((0, value)) for value in (1, 2, 3, 4, 5, 6)))


def test_every_segment_has_an_even_length() -> None:
    for name in ("odd", "RGB 16 bit", "64 bit"):
        data = _RLE.encode(make_samples(IMAGES[name]), pixels=IMAGES[name]).data
        count, *offsets = struct.unpack_from("<16I", data)
        assert offsets[0] == 64
        assert not any(offset % 2 for offset in offsets[:count])
        assert offsets[count:] == [0] * (15 - count)
        assert len(data) % 2 == 0


@pytest.mark.parametrize("name", ["8 bit", "signed 12 in 16 bit", "RGB 16 bit", "32 bit", "64 bit"])
def test_pydicom_reads_what_we_write(name: str) -> None:
    pixels = IMAGES[name]
    samples = make_samples(pixels)
    data = _RLE.encode(samples, pixels=pixels).data
    planes = _rle_decode_frame(
        data, pixels.rows, pixels.columns, pixels.samples, pixels.bits_allocated
    )
    decoded = np.frombuffer(planes, dtype=pixels.dtype.newbyteorder("<"))
    decoded = decoded.reshape(pixels.samples, pixels.rows, pixels.columns)
    np.testing.assert_array_equal(np.moveaxis(decoded, 0, -1).reshape(pixels.shape), samples)


@pytest.mark.parametrize(
    "name",
    [
        "MR_small_RLE.dcm",
        "SC_rgb_rle.dcm",
        "SC_rgb_rle_16bit_2frame.dcm",
        "SC_rgb_rle_2frame.dcm",
        "SC_rgb_rle_32bit_2frame.dcm",
        "rtdose_rle.dcm",
    ],
)
def test_files_of_others_decode_as_by_pydicom(name: str) -> None:
    packed = pydicom.dcmread(str(get_testdata_file(name, download=False)))
    expected = pydicom.pixels.pixel_array(packed, raw=True, decoding_plugin="pydicom")
    count = int(packed.get("NumberOfFrames", 1))
    pixels = PixelFormat(
        packed.Rows,
        packed.Columns,
        samples=packed.SamplesPerPixel,
        bits_allocated=packed.BitsAllocated,
        bits_stored=packed.BitsStored,
        high_bit=packed.HighBit,
        signed=bool(packed.PixelRepresentation),
    )
    frames = generate_frames(packed.PixelData, number_of_frames=count)
    decoded = np.stack([_RLE.decode(frame, pixels=pixels) for frame in frames])
    np.testing.assert_array_equal(decoded, expected.reshape(decoded.shape))


def test_garbage_in_unused_bits_is_kept() -> None:
    pixels = pixel_format(16, 16, 12)
    samples = np.random.default_rng(0).integers(0, 1 << 16, (16, 16), dtype=np.uint16)
    data = _RLE.encode(samples, pixels=pixels).data
    np.testing.assert_array_equal(_RLE.decode(data, pixels=pixels), samples)


def test_planar_configuration_is_0_beside_rle() -> None:
    pixels = IMAGES["RGB 8 bit"].with_(planar=1)
    assert _RLE.encoded_format(pixels).planar == 0
    samples = make_samples(pixels)
    data = _RLE.encode(samples, pixels=pixels).data
    for planar in (0, 1):
        decoded = _RLE.decode(data, pixels=pixels.with_(planar=planar))
        np.testing.assert_array_equal(decoded, samples)


def test_more_than_15_segments_are_refused_both_ways() -> None:
    pixels = pixel_format(4, 4, 64, samples=3, photometric="RGB")
    with pytest.raises(UnsupportedError, match="24 RLE segments"):
        _RLE.encode(make_samples(pixels), pixels=pixels)
    with pytest.raises(UnsupportedError, match="24 RLE segments"):
        _RLE.decode(bytes(500), pixels=pixels)


def test_bits_allocated_1_is_refused_both_ways() -> None:
    pixels = pixel_format(8, 8, 1)
    with pytest.raises(UnsupportedError, match="Bits Allocated 1"):
        _RLE.encoded_format(pixels)
    with pytest.raises(UnsupportedError, match="Bits Allocated 1"):
        _RLE.decode(_frame(b"\xf9\0"), pixels=pixels)


@pytest.mark.parametrize(
    "segment",
    [
        b"",
        b"\x80" * 9,
        b"\xfc",
        b"\x04\x01\x02",
        b"\xfd\x07",
        b"\x7f" + bytes(100),
        b"\x81\x07",
        b"\xfc\x07\xfc\x07",
        b"\xfc\x07\x00\x01",
    ],
)
def test_runs_that_do_not_fill_the_plane_exactly_are_refused(segment: bytes) -> None:
    with pytest.raises(FormatError, match="segment") as caught:
        _RLE.decode(_frame(segment), pixels=_LINE)
    assert caught.value.offset_bytes is not None


def test_a_plane_that_was_padded_before_it_was_packed_is_read() -> None:
    assert _RLE.decode(_frame(b"\xfb\x07"), pixels=_LINE).tolist() == [[7] * 5]
    assert _RLE.decode(_frame(b"\xfc\x07\0\0\0\0"), pixels=_LINE).tolist() == [[7] * 5]


@pytest.mark.parametrize(
    "header",
    [(0, 64), (2, 64, 66), (16, 64), (1, 0), (1, 63), (1, 66), (1, 1 << 31), (0xFFFFFFFF, 64)],
)
def test_headers_that_cannot_be_are_refused(header: tuple[int, ...]) -> None:
    data = struct.pack("<16I", *header, *[0] * (16 - len(header))) + b"\xfc\x07"
    with pytest.raises(FormatError, match="RLE"):
        _RLE.decode(data, pixels=_LINE)


def test_segments_that_overlap_are_refused() -> None:
    pixels = pixel_format(1, 5, 16)
    data = struct.pack("<16I", 2, 66, 64, *[0] * 13) + b"\xfc\x07\xfc\x07"
    with pytest.raises(FormatError, match="segment 2"):
        _RLE.decode(data, pixels=pixels)


_OCTETS = arrays.arrays(
    np.uint8,
    st.tuples(st.integers(1, 5), st.sampled_from([1, 2, 7, 130, 300]), st.integers(1, 3)),
    elements=st.sampled_from([0, 0, 0, 1, 255]),
    fill=st.nothing(),
)


@given(octets=_OCTETS)
@settings(max_examples=40, deadline=None)
def test_packing_equals_its_twin_and_comes_back(octets: PixelArray) -> None:
    columns = octets.shape[1]
    flat = octets.reshape(-1, octets.shape[2])
    lanes = np.arange(flat.shape[1])[::-1].copy()
    packed, bounds = kernels.pack_planes(flat, lanes=lanes, columns=columns)
    expected, expected_bounds = reference.pack_planes(flat, lanes=lanes, columns=columns)
    np.testing.assert_array_equal(packed, expected)
    np.testing.assert_array_equal(bounds, expected_bounds)
    for unpack in (kernels.unpack_planes, reference.unpack_planes):
        out = np.empty_like(flat)
        assert unpack(packed, bounds=bounds, lanes=lanes, out=out) == (0, 0, 0)
        np.testing.assert_array_equal(out, flat)


@given(data=st.binary(min_size=0, max_size=60), cut=st.integers(0, 60), pixels=st.integers(1, 90))
@settings(max_examples=300, deadline=None)
def test_unpacking_anything_equals_its_twin(data: bytes, cut: int, pixels: int) -> None:
    octets = np.frombuffer(data, dtype=np.uint8)
    bounds = np.array([0, min(cut, octets.size), octets.size])
    for lanes in (np.array([1, 0]), np.array([0])):
        fast = np.zeros((pixels, lanes.size), dtype=np.uint8)
        plain = np.zeros_like(fast)
        ends = bounds[: lanes.size + 1]
        found = kernels.unpack_planes(octets, bounds=ends, lanes=lanes, out=fast)
        assert found == reference.unpack_planes(octets, bounds=ends, lanes=lanes, out=plain)
        if found[0] == 0:
            np.testing.assert_array_equal(fast, plain)


@pytest.mark.parametrize("columns", [1, 2, 3, 127, 128, 129, 255, 256, 257])
def test_the_worst_rows_fit_what_is_kept_for_them(columns: int) -> None:
    rng = np.random.default_rng(columns)
    for kind in range(4):
        row = rng.integers(0, 256 if kind == 0 else 2 + kind, (40, columns), dtype=np.uint8)
        packed, bounds = kernels.pack_planes(
            row.reshape(-1, 1), lanes=np.array([0]), columns=columns
        )
        assert packed.size == bounds[-1]
        worst = 40 * (columns + columns // 128 + 2) + 1
        assert packed.size <= worst
