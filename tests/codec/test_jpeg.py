"""JPEG decoding: every process, and components that come out as they are stored."""

from __future__ import annotations

import base64

import imagecodecs
import numpy as np
import pytest
from codec_images import make_samples, pixel_format
from jpeg_streams import decode_dct, segment
from mersey.codecs.errors import CodestreamError, UnsupportedError, UsageError
from mersey.codecs.jpeg import JpegCodec, open_codec
from mersey.codecs.jpeg_colour import codestream_format
from mersey.codecs.kernels import reference
from mersey.codecs.pixels import PixelArray, PixelFormat
from mersey.codecs.registry import Registry
from mersey.codecs.syntaxes import JPEG_BASELINE

_UID = "1.2.840.10008.1.2.4."
_COLOUR = pixel_format(41, 50, 8, samples=3, photometric="YBR_FULL")
_SAME_START = (
    "|JeWA07C!}3k(hn3J?wr4iXU%6BsBO7#0>7F(V}%C^|DeJUKHsH$X^SPC!IgMK?H5ZBbWWVrOV)K233XaAbH~WoKjm"
)
_SAME_IMAGE = {
    "sequential": "zyJ#f01yBW0Ra&J|HJ?l0099200000000000000000ajA!~h%+009I80RR910000000000F#rPu1"
    "pxvQ6#v=)2mt{A06zeI<aT@1CBcr*gCHq;%LhBura`cC!IBsM*#",
    "restart intervals": (
        "zyJ#f01yBW0Ra&J|HJ?m0099300000000000000000aUB|HJ?s5C8!L0|5X4000000000005Jdq1O)*C5)}X400a"
        "O5|Jncu0RaF2KLCB?c6-z>|Ipfl9iIk3U;oh!<%6B-SO3zOHV$|)LjTz"
    ),
    "progressive": "!T<{h01yBW0Ra&J|HJ?l0099200000000000000000Ra8+5iXv0RR910d|((|HJ?o5C8)K0RR910"
    "000000000009C6022S&00;pA009L8x{QiAy$(tqKmWu46c7Ob000000000000000001EW+5iXv0RRR+0w4dx02UAc0"
    "{{R30000000000000015E1{{00;pA00BQCq${8)|Jncu0RaF201%J=!~ho%00RL400000000000000001+`k|Jncu0"
    "RaF3KM=tTWHdt?5C7Q",
    "arithmetic": "$p8xo01yBW0Ra&J|I7de01yxb|Jncu0RaF2KLF8N&E%C@!*&lYYZv^M_T8SyZu6cydX2Fmp#Rw",
    "arithmetic progressive": "$^Z)p01yBW0Ra&J|I7dc01*G$00;pA00001&)Hy$u>Z^e1P}%P+5iXv0RRC70yzMe"
    "FN$s8754wk00a;P|Jncu0RaF8KLWu2%m4%s1^?Or2mt{A0Y4#s%~A6I+5iXv0RR915U~Hu00a;P|Jncu0RaF3KM+@0"
    "`M=En*#",
}


def _decode(data: bytes, pixels: PixelFormat, *, uid: str = _UID + "51") -> PixelArray:
    return Registry.default().decoder(uid).decode(data, pixels=pixels)


def _dct(samples: PixelArray, *, space: str | None = "YCBCR", **settings: object) -> bytes:
    """Encoded without conversion: the components are the samples."""
    space = space if samples.ndim == 3 else None
    settings.setdefault("level", 95)
    return bytes(
        imagecodecs.jpeg8_encode(samples, colorspace=space, outcolorspace=space, **settings)
    )


def _without_app(data: bytes) -> bytes:
    assert data[3] in (0xE0, 0xEE)
    return data[:2] + data[4 + int.from_bytes(data[4:6], "big") :]


@pytest.mark.parametrize("bits", [8, 12])
def test_grey_dct_is_what_plain_arithmetic_makes_of_it(bits: int) -> None:
    pixels = pixel_format(45, 51, bits)
    data = _dct(make_samples(pixels), bitspersample=bits)
    (expected,) = decode_dct(data)
    decoded = _decode(data, pixels)
    assert decoded.dtype == pixels.dtype
    assert np.abs(decoded - expected).max() <= 1


@pytest.mark.parametrize("bits", [8, 12])
def test_colour_dct_is_not_converted(bits: int) -> None:
    pixels = _COLOUR.with_(
        bits_allocated=8 if bits == 8 else 16, bits_stored=bits, high_bit=bits - 1
    )
    data = _dct(make_samples(pixels), bitspersample=bits, subsampling="444")
    expected = np.stack(decode_dct(data), axis=-1)
    assert np.abs(_decode(data, pixels) - expected).max() <= 1


@pytest.mark.parametrize("sampling", ["422", "420", "440", "411"])
def test_subsampled_chroma_is_interpolated_to_full_size(sampling: str) -> None:
    y, x = np.indices(_COLOUR.shape[:2])
    smooth = np.stack([128 + 90 * np.sin(y / 9), 3 * x + 20, 4 * y + 30], axis=-1).astype(np.uint8)
    data = _dct(smooth, subsampling=sampling, level=100)
    decoded = _decode(data, _COLOUR.with_(photometric="YBR_FULL_422"))
    luma, *_ = decode_dct(data)
    assert np.abs(decoded[..., 0] - luma).max() <= 1
    # 4:1:1 is repeated, not interpolated: half of four columns of a slope of 3.
    most = 6 if sampling == "411" else 3
    assert np.abs(decoded.astype(int) - smooth)[4:-4, 4:-4].max() <= most


@pytest.mark.parametrize("photometric", ["RGB", "YBR_FULL", "YBR_FULL_422"])
def test_neither_markers_nor_the_data_set_convert_colour(photometric: str) -> None:
    samples = make_samples(_COLOUR)
    bare = _without_app(_dct(samples, subsampling="444"))
    expected = np.stack(decode_dct(bare), axis=-1)
    adobe = b"Adobe\0\x64\0\0\0\0"
    for app in (
        b"",
        segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\0\0"),
        segment(0xEE, adobe + b"\0"),
        segment(0xEE, adobe + b"\1"),
        segment(0xEE, adobe + b"\2"),
    ):
        data = bare[:2] + app + bare[2:]
        decoded = _decode(data, _COLOUR.with_(photometric=photometric), uid=_UID + "50")
        assert np.abs(decoded - expected).max() <= 1


def test_four_components_stay_as_they_are() -> None:
    pixels = pixel_format(20, 24, 8, samples=4, photometric="CMYK")
    data = _dct(make_samples(pixels), space=None)
    expected = np.stack(decode_dct(data), axis=-1)
    for app in (b"", segment(0xEE, b"Adobe\0\x64\0\0\0\0\2")):
        decoded = _decode(data[:2] + app + data[2:], pixels)
        assert np.abs(decoded - expected).max() <= 1


@pytest.mark.parametrize("process", _SAME_IMAGE)
def test_every_process_decodes_to_the_same_image(process: str) -> None:
    pixels = pixel_format(16, 16, 8)
    plain = _decode(base64.b85decode(_SAME_START + _SAME_IMAGE["sequential"]), pixels)
    data = base64.b85decode(_SAME_START + _SAME_IMAGE[process])
    (expected,) = decode_dct(base64.b85decode(_SAME_START + _SAME_IMAGE["sequential"]))
    assert np.abs(plain - expected).max() <= 1
    assert plain.std() > 20
    np.testing.assert_array_equal(_decode(data, pixels), plain)
    for number in (50, 51, 52, 53, 54, 55, 56, 57, 70):
        np.testing.assert_array_equal(_decode(data, pixels, uid=f"{_UID}{number}"), plain)


def test_overshoot_is_clamped_to_bits_stored() -> None:
    pixels = pixel_format(32, 32, 10)
    samples = np.where(np.random.default_rng(0).integers(0, 2, (32, 32)), 1023, 0)
    data = _dct(samples.astype(np.uint16), bitspersample=12, level=40)
    (plain,) = decode_dct(data)
    assert plain.max() > 1024
    decoded = _decode(data, pixels)
    assert np.abs(decoded - plain.clip(0, 1023)).max() <= 1
    assert decoded.max() == 1023
    shifted = pixels.with_(high_bit=11)
    assert _decode(data, shifted).max() > 1023


def test_signed_overshoot_is_clamped_too() -> None:
    pixels = pixel_format(16, 16, 10, signed=True)
    samples = np.full((16, 16), 700, np.uint16)
    assert (_decode(_dct(samples, bitspersample=12), pixels) == 511).all()
    negative = np.full((16, 16), 4096 - 700, np.uint16)
    assert (_decode(_dct(negative, bitspersample=12), pixels) == -512).all()


@pytest.mark.parametrize(
    "changes",
    [
        {"rows": 42},
        {"columns": 49},
        {"samples": 1, "photometric": "MONOCHROME2"},
        {"samples": 4, "photometric": "CMYK"},
    ],
)
def test_a_size_that_is_not_the_data_sets_is_an_error(changes: dict[str, int | str]) -> None:
    data = _dct(make_samples(_COLOUR))
    with pytest.raises(CodestreamError, match="the data set says"):
        _decode(data, _COLOUR.with_(**changes))


def test_more_bits_than_the_container_holds_are_an_error() -> None:
    pixels = pixel_format(8, 8, 8)
    with pytest.raises(CodestreamError, match="12 bits, Bits Allocated is 8"):
        _decode(_dct(np.zeros((8, 8), np.uint16), bitspersample=12), pixels)


@pytest.mark.parametrize(
    "pixels", [pixel_format(8, 8, 1), pixel_format(8, 8, 32, floating=True)], ids=["1 bit", "float"]
)
def test_data_sets_that_no_jpeg_goes_with_are_refused(pixels: PixelFormat) -> None:
    with pytest.raises(UnsupportedError):
        _decode(_dct(np.zeros((8, 8), np.uint8)), pixels)


def test_a_bomb_is_refused_before_anything_is_decoded() -> None:
    frame = b"\x08\xff\xff\xff\xff\x01\x01\x11\0"
    data = b"\xff\xd8" + segment(0xC0, frame) + segment(0xDA, b"\x01\x01\0\0\x3f\0") + b"\xff\xd9"
    with pytest.raises(CodestreamError, match="65535 rows, 65535 columns"):
        _decode(data, pixel_format(64, 64, 8))


def test_a_missing_table_is_an_error() -> None:
    data = _dct(make_samples(pixel_format(16, 16, 8)))
    at = data.index(b"\xff\xdb")
    bare = data[:at] + data[at + 2 + int.from_bytes(data[at + 2 : at + 4], "big") :]
    with pytest.raises(CodestreamError, match="libjpeg-turbo"):
        _decode(bare, pixel_format(16, 16, 8))


def test_a_smaller_image_is_made_of_the_decoded_one() -> None:
    pixels = pixel_format(45, 51, 12)
    data = _dct(make_samples(pixels), bitspersample=12)
    whole = _decode(data, pixels)
    smaller = open_codec(_UID + "51").decode(data, pixels=pixels, reduce=2)
    np.testing.assert_array_equal(smaller, reference.halve(reference.halve(whole)))


def test_the_codestream_says_which_photometric_interpretation_is_right() -> None:
    samples = make_samples(_COLOUR)
    jfif, rgb = _dct(samples), _dct(samples, space="RGB")
    bare = _without_app(_dct(samples, subsampling="444"))
    cases = [
        (jfif, "RGB", "YBR_FULL"),
        (jfif, "YBR_FULL", "YBR_FULL"),
        (jfif, "YBR_FULL_422", "YBR_FULL_422"),
        (rgb, "RGB", "RGB"),
        (rgb, "YBR_FULL", "RGB"),
        (rgb, "YBR_FULL_422", "RGB"),
        (bare, "RGB", "RGB"),
        (bare, "YBR_FULL", "YBR_FULL"),
        (jfif, "YBR_PARTIAL_422", "YBR_PARTIAL_422"),
    ]
    for data, declared, right in cases:
        pixels = _COLOUR.with_(photometric=declared)
        assert codestream_format(data, pixels=pixels) == pixels.with_(photometric=right)
    grey = pixel_format(5, 5, 8)
    assert codestream_format(b"not looked at", pixels=grey) is grey


def test_formats_say_what_the_arrays_are() -> None:
    codec = open_codec(_UID + "50")
    for declared, decoded in (
        ("YBR_FULL_422", "YBR_FULL"),
        ("YBR_PARTIAL_422", "YBR_PARTIAL"),
        ("YBR_FULL", "YBR_FULL"),
        ("RGB", "RGB"),
    ):
        pixels = _COLOUR.with_(photometric=declared, planar=1)
        assert codec.decoded_format(pixels) == _COLOUR.with_(photometric=decoded, planar=0)


def test_only_baseline_takes_a_quality() -> None:
    from mersey.codecs.quality import Quality

    quality = Quality(psnr_db=40)
    opened = open_codec(JPEG_BASELINE, quality=quality)
    assert opened == JpegCodec("jpeg-baseline", writes=True, quality=quality)
    for number in (51, 57, 70):
        with pytest.raises(UsageError, match="no quality"):
            open_codec(f"{_UID}{number}", quality=quality)
    with pytest.raises(UnsupportedError):
        open_codec(_UID + "57").encode(np.zeros((5, 5), np.uint8), pixels=pixel_format(5, 5, 8))
