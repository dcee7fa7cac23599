"""The traps of the codec libraries, each sprung by the naive call and closed in ours.

Every test first shows what the library does when it is called the obvious way. Where one of
these first halves fails one day, the library has changed and our precaution can be looked at
again.
"""

from __future__ import annotations

import struct

import imagecodecs
import numpy as np
import ojph
import pytest
from codec_images import IMAGES, make_samples, pixel_format
from mersey.codecs.codestream import scan_codestream
from mersey.codecs.errors import CodestreamError, UnsupportedError, UsageError
from mersey.codecs.htj2k import Htj2kCodec
from mersey.codecs.independent import decode_independently
from mersey.codecs.j2k import J2kCodec
from mersey.codecs.pixels import PixelArray
from mersey.codecs.quality import Quality
from ojph.ojph_bindings import Codestream, MemInfile, MemOutfile, Point

_RPCL = Htj2kCodec("htj2k-rpcl")
_YSIZ = 12
_SSIZ = 42
"""Where Ysiz and the first Ssiz lie in a bare codestream (ISO/IEC 15444-1 §A.5.1)."""


def _naive_write(samples: PixelArray, *, precision: int, decompositions: int = 5) -> bytes:
    """OpenJPH as its examples call it."""
    out, codestream = MemOutfile(), Codestream()
    out.open(65536, False)
    siz, cod = codestream.access_siz(), codestream.access_cod()
    siz.set_image_extent(Point(samples.shape[1], samples.shape[0]))
    siz.set_num_components(1)
    siz.set_component(0, Point(1, 1), precision, samples.dtype.kind == "i")
    cod.set_reversible(True)
    cod.set_num_decomposition(decompositions)
    codestream.write_headers(out, None, 0)
    codestream.push_all_components(samples, 1, "HW")
    codestream.flush()
    return bytes(out.get_data())


def _naive_read(data: bytes, *, shape: tuple[int, int], reduce: int = 0) -> PixelArray:
    source, codestream = MemInfile(), Codestream()
    source.open(np.frombuffer(data, dtype=np.uint8))
    codestream.read_headers(source)
    codestream.restrict_input_resolution(reduce, reduce)
    codestream.create()
    out = np.empty(shape, dtype=np.uint16)
    codestream.pull_all_components(out, 1, "HW")
    return out


def test_1_a_wavelet_that_overshoots_is_clamped_and_does_not_wrap() -> None:
    pixels = pixel_format(128, 128, 8)
    rng = np.random.default_rng(0)
    samples = np.where(rng.integers(0, 2, (16, 16)), 255, 0).astype(np.uint8)
    samples = np.kron(samples, np.ones((8, 8), dtype=np.uint8))
    data = _RPCL.encode(samples, pixels=pixels).data
    clamped = imagecodecs.jpeg2k_decode(data, skipres=1)

    naive = imagecodecs.htj2k_decode(data, skipres=1)
    assert np.abs(naive.astype(int) - clamped.astype(int)).max() > 200

    np.testing.assert_array_equal(_RPCL.decode(data, pixels=pixels, reduce=1), clamped)


def test_1_lossy_samples_are_clamped_and_do_not_wrap() -> None:
    pixels = pixel_format(128, 128, 8)
    rng = np.random.default_rng(0)
    samples = np.where(rng.integers(0, 2, (128, 128)), 255, 0).astype(np.uint8)
    lossy = Htj2kCodec("htj2k-lossy", quality=Quality(psnr_db=30))
    encoded = lossy.encode(samples, pixels=pixels)

    naive = imagecodecs.htj2k_decode(encoded.data)
    assert np.abs(naive.astype(int) - samples).max() > 200

    decoded = lossy.decode(encoded.data, pixels=pixels)
    assert np.abs(decoded.astype(int) - samples).max() < 100


def test_2_precision_is_bits_stored_and_not_the_width_of_the_dtype() -> None:
    pixels = pixel_format(64, 64, 12)
    samples = make_samples(pixels)

    naive = scan_codestream(bytes(ojph.imwrite_to_memory(samples)))
    assert naive.precision == (16,)

    layout = scan_codestream(_RPCL.encode(samples, pixels=pixels).data)
    assert layout.precision == (12,)
    assert layout.signed == (False,)


def test_2_big_endian_samples_are_encoded_as_the_numbers_they_are() -> None:
    pixels = pixel_format(64, 64, 12)
    samples = make_samples(pixels)
    swapped = samples.astype(">u2")

    naive = _naive_read(_naive_write(swapped.view("<u2"), precision=16), shape=(64, 64))
    assert not np.array_equal(naive, samples)

    assert _RPCL.encode(swapped, pixels=pixels) == _RPCL.encode(samples, pixels=pixels)


def test_3_what_openjph_only_prints_is_an_error() -> None:
    pixels = pixel_format(64, 64, 12)
    samples = make_samples(pixels)
    data = _RPCL.encode(samples, pixels=pixels).data

    naive = _naive_read(data[: len(data) // 2], shape=(64, 64))
    assert not np.array_equal(naive, samples)

    with pytest.raises(CodestreamError):
        _RPCL.decode(data[: len(data) // 2], pixels=pixels)


@pytest.mark.parametrize("name", ["12 in 16 bit", "signed 16 bit", "RGB 8 bit"])
def test_4_a_prefix_one_byte_short_of_a_cut_point_is_refused(name: str) -> None:
    pixels = IMAGES[name]
    samples = make_samples(pixels)
    data = _RPCL.encode(samples, pixels=pixels).data
    stored = _RPCL.encoded_format(pixels)
    points = scan_codestream(data).cut_points
    assert points is not None
    for reduce in range(1, len(points)):
        whole = _RPCL.decode(data, pixels=stored, reduce=reduce)
        prefix = data[: points[reduce]]
        np.testing.assert_array_equal(_RPCL.decode(prefix, pixels=stored, reduce=reduce), whole)
        with pytest.raises(CodestreamError, match=f"reduce {reduce}"):
            _RPCL.decode(prefix[:-1], pixels=stored, reduce=reduce)


def test_4_decoders_return_a_partial_image_for_a_prefix_without_a_word() -> None:
    pixels = pixel_format(128, 128, 12)
    samples = make_samples(pixels)
    data = _RPCL.encode(samples, pixels=pixels).data
    points = scan_codestream(data).cut_points
    assert points is not None
    short = data[: points[1] - 200]

    naive = _naive_read(short, shape=(64, 64), reduce=1)
    assert not np.array_equal(naive, imagecodecs.jpeg2k_decode(data, skipres=1))

    with pytest.raises(CodestreamError):
        _RPCL.decode(short, pixels=pixels, reduce=1)


@pytest.mark.parametrize("codec", [_RPCL, J2kCodec("j2k")])
def test_5_a_size_that_the_data_set_does_not_say_is_refused_unread(
    codec: Htj2kCodec | J2kCodec,
) -> None:
    pixels = pixel_format(64, 64, 8)
    data = bytearray(_RPCL.encode(make_samples(pixels), pixels=pixels).data)
    assert struct.unpack_from(">I", data, _YSIZ) == (64,)
    struct.pack_into(">I", data, _YSIZ, 100_000)
    struct.pack_into(">I", data, _YSIZ + 16, 100_000)  # YTsiz

    naive = imagecodecs.htj2k_decode(bytes(data), resilient=True)
    assert naive.shape == (100_000, 64)

    with pytest.raises(CodestreamError, match="100000 rows") as caught:
        codec.decode(bytes(data), pixels=pixels)
    assert caught.value.marker == 0xFF51


def test_9_colour_comes_out_by_pixel_and_not_by_plane() -> None:
    pixels = IMAGES["YBR_FULL"]
    samples = make_samples(pixels)
    data = _RPCL.encode(samples, pixels=pixels).data

    naive = imagecodecs.htj2k_decode(data)
    assert naive.shape == (3, 48, 70)

    assert _RPCL.decode(data, pixels=pixels).shape == (48, 70, 3)


@pytest.mark.parametrize(("shape", "components"), [((3, 64, 64), 3), ((10, 64, 64), 64)])
def test_9_a_volume_is_not_taken_for_components(
    shape: tuple[int, int, int], components: int
) -> None:
    volume = np.zeros(shape, dtype=np.uint16)

    naive = scan_codestream(bytes(imagecodecs.htj2k_encode(volume)))
    assert naive.components == components

    with pytest.raises(UsageError):
        _RPCL.encode(volume, pixels=pixel_format(shape[0], 64, 16))


def test_10_full_range_32_bit_samples_are_exact_or_refused() -> None:
    pixels = pixel_format(40, 40, 32)
    samples = make_samples(pixels)

    part_1 = bytearray(imagecodecs.jpeg2k_encode(samples, codecformat="j2k", reversible=True))
    naive = imagecodecs.jpeg2k_decode(part_1)
    assert not np.array_equal(naive, samples)
    part_1[_SSIZ] = 31

    data = _RPCL.encode(samples, pixels=pixels).data
    np.testing.assert_array_equal(_RPCL.decode(data, pixels=pixels), samples)
    for refuse in (
        lambda: J2kCodec("j2k").decode(part_1, pixels=pixels),
        lambda: decode_independently(data, pixels=pixels),
    ):
        with pytest.raises(UnsupportedError, match="32 bits"):
            refuse()


def test_10_bool_arrays_are_a_usage_error() -> None:
    samples = np.ones((8, 8), dtype=bool)
    with pytest.raises(ValueError, match="dtype"):
        imagecodecs.htj2k_encode(samples)
    with pytest.raises(UsageError, match="bool"):
        _RPCL.encode(samples, pixels=pixel_format(8, 8, 8))


def test_12_a_decoder_may_take_a_flipped_bit_for_an_image() -> None:
    """Why stored frames need digests of our own: no codec, and so not ours, can tell."""
    pixels = pixel_format(64, 64, 12)
    samples = make_samples(pixels)
    data = _RPCL.encode(samples, pixels=pixels).data
    unnoticed = 0
    for place in range(len(data) // 2, len(data) - 2, 97):
        flipped = bytearray(data)
        flipped[place] ^= 0x10
        try:
            decoded = _RPCL.decode(flipped, pixels=pixels)
        except CodestreamError:
            continue
        assert decoded.shape == samples.shape
        unnoticed += not np.array_equal(decoded, samples)
    assert unnoticed > 0


@pytest.mark.parametrize("shape", [(1, 1), (2, 2), (1, 40), (64, 64)])
def test_the_least_sample_survives_without_room_for_a_wavelet(shape: tuple[int, int]) -> None:
    """OpenJPH with 0 decompositions loses the least value (seen with 0.32): we never ask so."""
    pixels = pixel_format(*shape, 12)
    samples = np.zeros(shape, dtype=np.uint16)

    naive = _naive_read(_naive_write(samples, precision=12, decompositions=0), shape=shape)
    assert not np.array_equal(naive, samples)

    data = _RPCL.encode(samples, pixels=pixels).data
    assert scan_codestream(data).decompositions >= 1
    np.testing.assert_array_equal(_RPCL.decode(data, pixels=pixels), samples)
    np.testing.assert_array_equal(decode_independently(data, pixels=pixels), samples)
