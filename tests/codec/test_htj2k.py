"""The form of what HTJ2K writes, and what it makes of other people's frames."""

from __future__ import annotations

import math
import struct

import imagecodecs
import numpy as np
import pytest
from codec_images import IMAGES, make_samples, pixel_format
from mersey.codecs.codestream import scan_codestream
from mersey.codecs.errors import UnsupportedError, UsageError
from mersey.codecs.htj2k import Htj2kCodec, open_codec
from mersey.codecs.independent import decode_independently
from mersey.codecs.j2k_form import decompositions_for
from mersey.codecs.pixels import PixelFormat
from mersey.codecs.quality import Quality, psnr_db
from mersey.codecs.registry import Registry
from mersey.codecs.syntaxes import HTJ2K, HTJ2K_LOSSLESS_RPCL

_RPCL = Htj2kCodec("htj2k-rpcl")
_JP2_SIGNATURE = bytes.fromhex("0000000c6a5020200d0a870a")


def _jph(codestream: bytes) -> bytes:
    file_type = b"\0\0\0\x14ftypjph \0\0\0\0jph "
    return (
        _JP2_SIGNATURE + file_type + struct.pack(">I", len(codestream) + 8) + b"jp2c" + codestream
    )


@pytest.mark.parametrize("name", ["12 in 16 bit", "RGB 8 bit", "65535 x 1", "1 x 1", "large"])
def test_a_frame_is_progressive_by_resolution(name: str) -> None:
    pixels = IMAGES[name]
    data = _RPCL.encode(make_samples(pixels), pixels=pixels).data
    layout = scan_codestream(data)
    assert layout.progression == "RPCL"
    assert layout.has_tlm
    assert layout.has_eoc
    assert layout.ht
    assert layout.reversible
    assert layout.jp2_offset == 0
    assert [part.part for part in layout.tile_parts] == list(range(layout.decompositions + 1))
    assert layout.cut_points is not None
    assert len(layout.cut_points) == layout.decompositions + 1
    longest = max(pixels.rows, pixels.columns)
    assert -(-longest >> layout.decompositions) <= 64


@pytest.mark.parametrize(
    ("rows", "columns", "expected"),
    [
        (512, 512, 5),
        (2048, 2560, 6),
        (2048, 2048, 5),
        (2049, 64, 6),
        (64, 64, 5),
        (16, 16, 4),
        (3, 3, 1),
        (1, 1, 1),
        (1, 64, 1),
        (1, 129, 2),
        (65535, 65535, 10),
    ],
)
def test_decompositions_follow_the_size(rows: int, columns: int, expected: int) -> None:
    assert decompositions_for(pixel_format(rows, columns, 8)) == expected


@pytest.mark.parametrize("name", ["12 in 16 bit", "signed 12 in 16 bit", "20 in 32 bit"])
def test_precision_and_sign_are_those_of_the_data_set(name: str) -> None:
    pixels = IMAGES[name]
    layout = scan_codestream(_RPCL.encode(make_samples(pixels), pixels=pixels).data)
    assert layout.precision == (pixels.bits_stored,)
    assert layout.signed == (pixels.signed,)


@pytest.mark.parametrize(
    ("name", "written", "transform"),
    [
        ("RGB 8 bit", "YBR_RCT", True),
        ("YBR_FULL", "YBR_FULL", False),
        ("palette", "PALETTE COLOR", False),
        ("12 in 16 bit", "MONOCHROME1", False),
    ],
)
def test_only_rgb_goes_through_a_colour_transform(name: str, written: str, transform: bool) -> None:
    pixels = IMAGES[name].with_(planar=1)
    stored = _RPCL.encoded_format(pixels)
    assert (stored.photometric, stored.planar) == (written, 0)
    data = _RPCL.encode(make_samples(pixels), pixels=pixels).data
    assert scan_codestream(data).colour_transform is transform
    assert _RPCL.decoded_format(stored).photometric == pixels.photometric


def test_a_prefix_may_go_on_past_its_cut_point() -> None:
    pixels = IMAGES["RGB 8 bit"]
    data = _RPCL.encode(make_samples(pixels), pixels=pixels).data
    stored = _RPCL.encoded_format(pixels)
    points = scan_codestream(data).cut_points
    assert points is not None
    expected = imagecodecs.jpeg2k_decode(data, skipres=2)
    for length in (points[2], points[2] + 1, (points[2] + points[1]) // 2, points[1], len(data)):
        decoded = _RPCL.decode(data[:length], pixels=stored, reduce=2)
        np.testing.assert_array_equal(decoded, expected)


def test_a_jph_file_in_place_of_a_codestream_is_read() -> None:
    pixels = IMAGES["12 in 16 bit"]
    samples = make_samples(pixels)
    wrapped = _jph(_RPCL.encode(samples, pixels=pixels).data)
    np.testing.assert_array_equal(_RPCL.decode(wrapped, pixels=pixels), samples)
    np.testing.assert_array_equal(_RPCL.decode(wrapped + b"\0", pixels=pixels), samples)
    np.testing.assert_array_equal(decode_independently(wrapped, pixels=pixels), samples)
    assert _RPCL.decode(wrapped, pixels=pixels, reduce=2).shape == (33, 43)


def test_a_part_1_codestream_under_an_htj2k_label_is_read() -> None:
    pixels = IMAGES["12 in 16 bit"]
    samples = make_samples(pixels)
    part_1 = imagecodecs.jpeg2k_encode(
        samples, codecformat="j2k", reversible=True, bitspersample=12
    )
    assert not scan_codestream(part_1).ht
    np.testing.assert_array_equal(_RPCL.decode(part_1, pixels=pixels), samples)


@pytest.mark.parametrize("tile", [(32, 32), (50, 70)])
@pytest.mark.parametrize("name", ["12 in 16 bit", "RGB 8 bit"])
def test_tiles_are_read(name: str, tile: tuple[int, int]) -> None:
    pixels = IMAGES[name]
    samples = make_samples(pixels)
    data = bytes(
        imagecodecs.htj2k_encode(
            samples,
            reversible=True,
            tile=tile,
            bitspersample=pixels.bits_stored,
            planar=False,
            rgb=pixels.photometric == "RGB",
        )
    )
    assert scan_codestream(data).tiles > 1
    np.testing.assert_array_equal(_RPCL.decode(data, pixels=pixels), samples)
    for reduce in (1, 2):
        smaller = _RPCL.decode(data, pixels=pixels, reduce=reduce)
        np.testing.assert_array_equal(smaller, imagecodecs.jpeg2k_decode(data, skipres=reduce))


class TestSamplesOutsideBitsStored:
    def test_garbage_in_unused_bits_is_refused(self) -> None:
        pixels = pixel_format(20, 20, 12)
        samples = make_samples(pixels)
        samples[5, 5] |= 0x8000
        with pytest.raises(UnsupportedError, match="bit 15") as caught:
            _RPCL.encode(samples, pixels=pixels)
        assert caught.value.feature == "samples outside Bits Stored"

    def test_negative_samples_with_unused_bits_of_0_keep_their_values(self) -> None:
        pixels = pixel_format(20, 20, 12, signed=True)
        samples = make_samples(pixels)
        bare = samples & 0x0FFF
        assert bare.max() > 2047
        data = _RPCL.encode(bare, pixels=pixels).data
        np.testing.assert_array_equal(_RPCL.decode(data, pixels=pixels), samples)

    def test_garbage_above_a_sign_is_refused(self) -> None:
        pixels = pixel_format(20, 20, 12, signed=True)
        samples = make_samples(pixels)
        samples[0, 1] = 3000
        with pytest.raises(UnsupportedError, match="reach from -2048 to 3000"):
            _RPCL.encode(samples, pixels=pixels)


class TestLossy:
    """.203 with an aim."""

    @pytest.mark.parametrize("name", ["12 in 16 bit", "signed 16 bit", "RGB 8 bit", "YBR_FULL"])
    @pytest.mark.parametrize("aim_db", [35.0, 50.0, 70.0])
    def test_psnr_is_kept_and_not_by_far(self, name: str, aim_db: float) -> None:
        pixels = IMAGES[name]
        samples = make_samples(pixels)
        codec = open_codec(HTJ2K, quality=Quality(psnr_db=aim_db))
        encoded = codec.encode(samples, pixels=pixels)
        stored = codec.encoded_format(pixels)
        decoded = codec.decode(encoded.data, pixels=stored)
        found = psnr_db(decoded, samples, pixels=pixels)
        assert encoded.lossy
        assert encoded.psnr_db == pytest.approx(found)
        assert aim_db <= found < aim_db + 1.5
        other = psnr_db(decode_independently(encoded.data, pixels=stored), samples, pixels=pixels)
        assert other == pytest.approx(found, abs=0.2)

    @pytest.mark.parametrize("name", ["12 in 16 bit", "RGB 16 bit", "large"])
    @pytest.mark.parametrize("aim", [5.0, 12.0, 30.0])
    def test_ratio_is_kept_and_not_by_far(self, name: str, aim: float) -> None:
        pixels = IMAGES[name]
        codec = open_codec(HTJ2K, quality=Quality(ratio=aim))
        encoded = codec.encode(make_samples(pixels), pixels=pixels)
        assert encoded.ratio == pytest.approx(pixels.decoded_bytes / len(encoded.data))
        assert aim <= encoded.ratio < aim * 1.05

    def test_a_ratio_that_the_finest_step_keeps_gets_the_finest_step(self) -> None:
        pixels = pixel_format(64, 64, 12)
        flat = np.full(pixels.shape, 700, dtype=pixels.dtype)
        encoded = open_codec(HTJ2K, quality=Quality(ratio=2.0)).encode(flat, pixels=pixels)
        assert encoded.psnr_db == math.inf
        assert encoded.ratio > 2

    def test_a_ratio_beyond_reach_gets_the_nearest_and_says_which(self) -> None:
        pixels = pixel_format(8, 8, 8)
        codec = open_codec(HTJ2K, quality=Quality(ratio=500.0))
        encoded = codec.encode(make_samples(pixels), pixels=pixels)
        assert encoded.ratio == 64 / len(encoded.data)

    def test_the_colour_transform_is_ict_and_the_data_set_says_so(self) -> None:
        codec = open_codec(HTJ2K)
        pixels = IMAGES["RGB 8 bit"]
        assert codec.encoded_format(pixels).photometric == "YBR_ICT"
        layout = scan_codestream(codec.encode(make_samples(pixels), pixels=pixels).data)
        assert layout.colour_transform
        assert not layout.reversible
        assert layout.cut_points is not None

    @pytest.mark.parametrize("name", ["palette", "20 in 32 bit", "float", "1 bit"])
    def test_what_has_no_lossy_form_is_refused_by_name(self, name: str) -> None:
        with pytest.raises(UnsupportedError, match="HTJ2K has no form"):
            open_codec(HTJ2K).encoded_format(IMAGES[name])

    def test_lossless_takes_no_quality(self) -> None:
        with pytest.raises(UsageError, match="lossless"):
            Registry.default().encoder(HTJ2K_LOSSLESS_RPCL, quality=Quality(ratio=4))

    @pytest.mark.parametrize(
        "aim", [{}, {"psnr_db": 50, "ratio": 8}, {"psnr_db": 5}, {"ratio": 0.5}, {"ratio": 1e6}]
    )
    def test_an_aim_that_means_nothing_is_a_usage_error(self, aim: dict[str, float]) -> None:
        with pytest.raises(UsageError):
            Quality(**aim)


@pytest.mark.parametrize("reduce", [-1, 33])
def test_a_reduction_that_means_nothing_is_a_usage_error(reduce: int) -> None:
    pixels = IMAGES["8 bit"]
    data = _RPCL.encode(make_samples(pixels), pixels=pixels).data
    with pytest.raises(UsageError):
        _RPCL.decode(data, pixels=pixels, reduce=reduce)


def test_a_float_data_set_with_a_codestream_is_refused_by_name() -> None:
    pixels = pixel_format(20, 31, 32)
    data = _RPCL.encode(make_samples(pixels), pixels=pixels).data
    declared: PixelFormat = pixels.with_(floating=True)
    with pytest.raises(UnsupportedError, match="float"):
        _RPCL.decode(data, pixels=declared)
