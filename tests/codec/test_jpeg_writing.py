"""JPEG encoding: qualities are kept, lossless is lossless, pictures open elsewhere."""

from __future__ import annotations

import imagecodecs
import numpy as np
import pytest
from codec_images import IMAGES, make_samples, pixel_format
from jpeg_streams import decode_dct, lossless_jpeg
from mersey.codecs.errors import IntegrityError, UnsupportedError, UsageError
from mersey.codecs.jpeg_header import read_jpeg_header
from mersey.codecs.jpeg_independent import decode_lossless_independently
from mersey.codecs.jpeg_writing import jpeg_bytes
from mersey.codecs.pixels import PixelArray, PixelFormat
from mersey.codecs.quality import Quality, psnr_db
from mersey.codecs.registry import Registry
from mersey.codecs.syntaxes import JPEG_BASELINE, JPEG_LOSSLESS_SV1
from mersey.engine.runtime.verification import verify_frame

_GREY = pixel_format(120, 133, 8)
_RGB = pixel_format(120, 134, 8, samples=3, photometric="RGB")


def _smooth(pixels: PixelFormat) -> PixelArray:
    y, x, z = np.indices((pixels.rows, pixels.columns, pixels.samples))
    wave = np.sin(y / 11 + z) + np.cos(x / 9 - z / 2)
    noise = np.random.default_rng(1).normal(0, 0.03, wave.shape)
    return ((wave + noise).clip(-2, 2) * 60 + 127).astype(pixels.dtype).reshape(pixels.shape)


@pytest.mark.parametrize("aim_db", [32.0, 40.0, 46.0])
def test_a_psnr_is_kept_with_the_coarsest_level(aim_db: float) -> None:
    samples = _smooth(_GREY)
    encoder = Registry.default().encoder(JPEG_BASELINE, quality=Quality(psnr_db=aim_db))
    encoded = encoder.encode(samples, pixels=_GREY)
    assert encoded.lossy
    decoded = encoder.decode(encoded.data, pixels=encoder.encoded_format(_GREY))
    assert encoded.psnr_db == psnr_db(decoded, samples, pixels=_GREY)
    assert aim_db <= encoded.psnr_db < aim_db + 2.5
    assert encoder.encode(samples, pixels=_GREY) == encoded


@pytest.mark.parametrize("pixels", [_GREY, _RGB], ids=["grey", "colour"])
@pytest.mark.parametrize("ratio", [6.0, 8.0, 15.0])
def test_a_ratio_is_kept_with_the_finest_level(pixels: PixelFormat, ratio: float) -> None:
    encoder = Registry.default().encoder(JPEG_BASELINE, quality=Quality(ratio=ratio))
    encoded = encoder.encode(_smooth(pixels), pixels=pixels)
    assert encoded.ratio == pixels.decoded_bytes / len(encoded.data)
    assert ratio <= encoded.ratio < 1.25 * ratio


def test_an_aim_beyond_baseline_gets_the_nearest_there_is() -> None:
    noise = np.random.default_rng(0).integers(0, 256, _RGB.shape, dtype=np.uint8)
    finest = Registry.default().encoder(JPEG_BASELINE, quality=Quality(psnr_db=90))
    coarsest = Registry.default().encoder(JPEG_BASELINE, quality=Quality(ratio=1000))
    fine, coarse = (codec.encode(noise, pixels=_RGB) for codec in (finest, coarsest))
    assert len(coarse.data) < len(fine.data) / 8
    assert fine.psnr_db is not None
    assert coarse.psnr_db is not None
    assert coarse.psnr_db < fine.psnr_db < 90


def test_colour_becomes_ybr_full_422_and_says_so() -> None:
    samples = _smooth(_RGB)
    encoder = Registry.default().encoder(JPEG_BASELINE, quality=Quality(psnr_db=36))
    stored = encoder.encoded_format(_RGB)
    assert (stored.photometric, stored.planar) == ("YBR_FULL_422", 0)
    data = encoder.encode(samples, pixels=_RGB).data
    header = read_jpeg_header(data)
    assert [(row.horizontal, row.vertical) for row in header.components] == [(2, 1), (1, 1), (1, 1)]
    assert header.process == 0xC0
    luma, *_ = decode_dct(data)
    expected = samples @ [0.299, 0.587, 0.114]
    assert np.abs(luma - expected).mean() < 4
    as_rgb = imagecodecs.jpeg8_decode(data)
    assert psnr_db(as_rgb, samples, pixels=_RGB) >= 36


def test_ybr_full_is_encoded_without_another_conversion() -> None:
    pixels = _RGB.with_(photometric="YBR_FULL")
    samples = _smooth(pixels)
    encoder = Registry.default().encoder(JPEG_BASELINE, quality=Quality(psnr_db=34))
    encoded = encoder.encode(samples, pixels=pixels)
    stored = encoder.encoded_format(pixels)
    assert stored.photometric == "YBR_FULL_422"
    decoded = encoder.decode(encoded.data, pixels=stored)
    assert encoded.psnr_db == psnr_db(decoded, samples, pixels=pixels) >= 34


def test_eight_bits_in_sixteen_become_eight() -> None:
    pixels = pixel_format(64, 64, 8, bits_allocated=16, photometric="MONOCHROME1")
    samples = _smooth(pixels)
    encoder = Registry.default().encoder(JPEG_BASELINE)
    stored = encoder.encoded_format(pixels)
    assert (stored.bits_allocated, stored.photometric) == (8, "MONOCHROME1")
    data = encoder.encode(samples, pixels=pixels).data
    assert np.abs(encoder.decode(data, pixels=stored).astype(int) - samples).max() < 20
    samples[3, 3] = 0x1FF
    with pytest.raises(UnsupportedError, match="outside Bits Stored"):
        encoder.encode(samples, pixels=pixels)


@pytest.mark.parametrize(
    "name", ["1 bit", "12 in 16 bit", "signed 8 bit", "float", "RGB 16 bit", "palette"]
)
def test_what_baseline_cannot_hold_is_refused_by_name(name: str) -> None:
    encoder = Registry.default().encoder(JPEG_BASELINE)
    with pytest.raises(UnsupportedError) as caught:
        encoder.encoded_format(IMAGES[name])
    assert caught.value.feature
    with pytest.raises(UnsupportedError):
        encoder.encode(make_samples(IMAGES[name]), pixels=IMAGES[name])


def test_lossless_keeps_old_overlays_by_keeping_the_whole_container() -> None:
    pixels = pixel_format(40, 50, 12)
    plain = make_samples(pixels)
    overlaid = plain | (np.indices(plain.shape)[0] % 2 << 15).astype(np.uint16)
    codec = Registry.default().encoder(JPEG_LOSSLESS_SV1)
    for samples, precision in ((plain, 12), (overlaid, 16)):
        encoded = codec.encode(samples, pixels=pixels)
        header = read_jpeg_header(encoded.data)
        assert (header.precision, header.predictor, encoded.lossy) == (precision, 1, False)
        np.testing.assert_array_equal(codec.decode(encoded.data, pixels=pixels), samples)


def test_lossless_colour_is_marked_rgb_only_where_it_is() -> None:
    codec = Registry.default().encoder(JPEG_LOSSLESS_SV1)
    for photometric, transform in (("RGB", 0), ("YBR_FULL", None)):
        pixels = _RGB.with_(photometric=photometric)
        header = read_jpeg_header(codec.encode(_smooth(pixels), pixels=pixels).data)
        assert header.adobe_transform == transform
        assert not header.has_jfif
        assert codec.encoded_format(pixels) == pixels


def test_a_picture_opens_as_what_it_was() -> None:
    for pixels in (_GREY, _RGB):
        image = _smooth(pixels)
        for level in (60, 95):
            opened = imagecodecs.jpeg8_decode(jpeg_bytes(image, level=level))
            assert psnr_db(opened, image, pixels=pixels) > 30
        assert len(jpeg_bytes(image, level=40)) < len(jpeg_bytes(image, level=95)) / 2
        assert jpeg_bytes(image)[:2] == b"\xff\xd8"


@pytest.mark.parametrize(
    ("image", "level"),
    [
        (np.zeros((4, 4), np.uint16), 90),
        (np.zeros((4, 4, 2), np.uint8), 90),
        (np.zeros((4, 4), np.uint8), 0),
        (np.zeros((4, 4), np.uint8), 101),
    ],
)
def test_what_is_no_picture_is_refused(image: PixelArray, level: int) -> None:
    with pytest.raises(UsageError):
        jpeg_bytes(image, level=level)


def test_the_library_told_ycbcr_would_lose_lossless_samples() -> None:
    """Why lossless YBR_FULL is written as components without a name."""
    samples = make_samples(IMAGES["YBR_FULL"])
    naive = imagecodecs.jpeg8_encode(
        samples, lossless=True, predictor=1, colorspace="YCBCR", outcolorspace="YCBCR"
    )
    decoded = imagecodecs.jpeg8_decode(naive, colorspace="RGB", outcolorspace="RGB")
    assert not np.array_equal(decoded, samples)


def test_another_implementation_reads_what_lossless_jpeg_was_written() -> None:
    codec = Registry.default().encoder(JPEG_LOSSLESS_SV1)
    seen = 0
    for name, pixels in IMAGES.items():
        samples = make_samples(pixels)
        try:
            data = codec.encode(samples, pixels=pixels).data
        except UnsupportedError:
            continue
        decoded = decode_lossless_independently(data, pixels=pixels)
        np.testing.assert_array_equal(decoded, samples, err_msg=name)
        assert decoded.dtype == samples.dtype
        seen += 1
    assert seen == len(IMAGES) - 7


@pytest.mark.parametrize(
    "settings", [{"restart_rows": 2}, {"point_transform": 1}, {"interleaved": False}]
)
def test_what_the_other_implementation_would_get_wrong_it_is_not_asked(
    settings: dict[str, int],
) -> None:
    samples = make_samples(_RGB)
    data = lossless_jpeg(samples, precision=8, **settings)
    lost_bits = settings.get("point_transform", 0)
    right = samples >> lost_bits << lost_bits
    np.testing.assert_array_equal(
        Registry.default().decoder(JPEG_LOSSLESS_SV1).decode(data, pixels=_RGB), right
    )
    assert not np.array_equal(imagecodecs.ljpeg_decode(data), right)
    with pytest.raises(UnsupportedError):
        decode_lossless_independently(data, pixels=_RGB)


def test_a_frame_that_was_spoilt_does_not_pass_verification() -> None:
    pixels = pixel_format(30, 40, 12)
    samples = make_samples(pixels)
    codec = Registry.default().encoder(JPEG_LOSSLESS_SV1)
    data = codec.encode(samples, pixels=pixels).data
    verify_frame(data, samples, encoder=codec, pixels=pixels, verify="independent")
    samples[7, 7] ^= 1
    with pytest.raises(IntegrityError):
        verify_frame(data, samples, encoder=codec, pixels=pixels, verify="independent")
