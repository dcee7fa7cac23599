"""Deflated frames: RFC 1951 as zlib reads it, and no more memory than a frame has."""

from __future__ import annotations

import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pydicom
import pytest
from codec_images import IMAGES, make_samples, pixel_format
from mersey.codecs.deflated_frame import DeflatedFrameCodec
from mersey.codecs.errors import FormatError
from mersey.codecs.uncompressed import UncompressedCodec
from pydicom.encaps import generate_frames

_DEFLATED = DeflatedFrameCodec()
_PLAIN = UncompressedCodec()


def _deflate(data: bytes, *, wbits: int = -15) -> bytes:
    deflater = zlib.compressobj(9, zlib.DEFLATED, wbits)
    return deflater.compress(data) + deflater.flush()


@pytest.mark.parametrize("name", ["1 bit", "signed 12 in 16 bit", "RGB 16 bit", "64 bit"])
def test_zlib_inflates_what_we_write_to_the_uncompressed_frame(name: str) -> None:
    pixels = IMAGES[name]
    samples = make_samples(pixels)
    data = _DEFLATED.encode(samples, pixels=pixels).data
    inflater = zlib.decompressobj(-15)
    assert inflater.decompress(data) == _PLAIN.encode(samples, pixels=pixels).data
    assert inflater.eof
    assert inflater.unused_data == b""


@pytest.mark.parametrize("name", ["1 bit", "signed 12 in 16 bit", "RGB 16 bit", "64 bit"])
def test_what_zlib_wrote_is_read(name: str) -> None:
    pixels = IMAGES[name]
    samples = make_samples(pixels)
    data = _deflate(_PLAIN.encode(samples, pixels=pixels).data)
    np.testing.assert_array_equal(_DEFLATED.decode(data, pixels=pixels), samples)


def test_colour_by_plane_and_subsampled_colour_are_read_as_in_an_uncompressed_frame() -> None:
    pixels = IMAGES["RGB 8 bit"]
    samples = make_samples(pixels)
    planes = _deflate(np.moveaxis(samples, -1, 0).tobytes())
    by_plane = pixels.with_(planar=1)
    np.testing.assert_array_equal(_DEFLATED.decode(planes, pixels=by_plane), samples)
    assert _DEFLATED.decoded_format(by_plane).planar == 0

    half = pixel_format(2, 2, 8, samples=3, photometric="YBR_FULL_422")
    decoded = _DEFLATED.decode(_deflate(bytes(range(8))), pixels=half)
    assert decoded.tolist() == [[[0, 2, 3], [1, 2, 3]], [[4, 6, 7], [5, 6, 7]]]
    assert _DEFLATED.decoded_format(half).photometric == "YBR_FULL"


def test_a_bomb_is_refused_within_the_size_of_the_frame() -> None:
    pixels = pixel_format(64, 64, 8)
    bomb = _deflate(bytes(1 << 26))
    tracemalloc.start()
    try:
        with pytest.raises(FormatError, match="4096 bytes"):
            _DEFLATED.decode(bomb, pixels=pixels)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("size", [0, 1, 4095, 4097])
def test_a_stream_of_another_length_is_refused(size: int) -> None:
    with pytest.raises(FormatError, match="4096"):
        _DEFLATED.decode(_deflate(bytes(size)), pixels=pixel_format(64, 64, 8))


def test_a_zlib_wrapper_is_refused() -> None:
    wrapped = _deflate(bytes(4096), wbits=15)
    with pytest.raises(FormatError):
        _DEFLATED.decode(wrapped, pixels=pixel_format(64, 64, 8))


def test_the_real_segmentation_inflates_to_its_bits(shared_data: Path) -> None:
    path = shared_data / "dicom/seg/pydicomdata__liver_deflate.dcm"
    dataset = pydicom.dcmread(path)
    pixels = pixel_format(dataset.Rows, dataset.Columns, 1)
    plain = pydicom.dcmread(shared_data / "dicom/seg/pydicom__liver_1frame.dcm")
    count = int(dataset.NumberOfFrames)
    frames = list(generate_frames(dataset.PixelData, number_of_frames=count))
    decoded = [_DEFLATED.decode(frame, pixels=pixels) for frame in frames]
    assert len(decoded) == 3
    np.testing.assert_array_equal(decoded[0], plain.pixel_array)
    for frame, samples in zip(frames, decoded, strict=True):
        assert (
            zlib.decompressobj(-15).decompress(frame)
            == np.packbits(samples, bitorder="little").tobytes()
        )
