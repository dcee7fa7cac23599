"""JPEG lossless (Process 14): every predictor, precision and scan gives the samples back."""

from __future__ import annotations

import numpy as np
import pytest
from codec_images import make_samples, pixel_format
from jpeg_streams import lossless_jpeg
from mersey.codecs.pixels import PixelArray, PixelFormat
from mersey.codecs.registry import Registry

_LOSSLESS = "1.2.840.10008.1.2.4.57"


def _decode(data: bytes, pixels: PixelFormat) -> PixelArray:
    return Registry.default().decoder(_LOSSLESS).decode(data, pixels=pixels)


def _noise(pixels: PixelFormat, bits: int) -> PixelArray:
    rng = np.random.default_rng(bits)
    return rng.integers(0, 1 << bits, pixels.shape).astype(np.uint8 if bits <= 8 else np.uint16)


@pytest.mark.parametrize("precision", range(2, 17))
@pytest.mark.parametrize("predictor", range(1, 8))
def test_lossless_is_exact_for_every_predictor_and_precision(
    predictor: int, precision: int
) -> None:
    pixels = pixel_format(19, 23, precision)
    for samples in (make_samples(pixels), _noise(pixels, precision)):
        data = lossless_jpeg(samples, precision=precision, predictor=predictor)
        np.testing.assert_array_equal(_decode(data, pixels), samples)


@pytest.mark.parametrize("point_transform", [1, 3, 7])
@pytest.mark.parametrize("bits", [8, 12, 16])
def test_a_point_transform_leaves_the_low_bits_zero(bits: int, point_transform: int) -> None:
    pixels = pixel_format(30, 21, bits)
    samples = make_samples(pixels)
    data = lossless_jpeg(samples, precision=bits, predictor=4, point_transform=point_transform)
    expected = samples >> point_transform << point_transform
    np.testing.assert_array_equal(_decode(data, pixels), expected)


@pytest.mark.parametrize("restart_rows", [1, 2, 7, 19])
@pytest.mark.parametrize("samples_per_pixel", [1, 3])
def test_restart_intervals_begin_anew(restart_rows: int, samples_per_pixel: int) -> None:
    photometric = "RGB" if samples_per_pixel == 3 else "MONOCHROME2"
    pixels = pixel_format(30, 21, 16, samples=samples_per_pixel, photometric=photometric)
    samples = make_samples(pixels)
    data = lossless_jpeg(samples, precision=16, predictor=7, restart_rows=restart_rows)
    np.testing.assert_array_equal(_decode(data, pixels), samples)


@pytest.mark.parametrize("bits", [8, 12, 16])
@pytest.mark.parametrize("interleaved", [True, False])
def test_lossless_colour_comes_out_whatever_the_scans(bits: int, interleaved: bool) -> None:
    pixels = pixel_format(22, 17, bits, samples=3, photometric="RGB")
    samples = make_samples(pixels)
    for identifiers in ((1, 2, 3), (0, 1, 2), (82, 71, 66), (1, 34, 35)):
        data = lossless_jpeg(
            samples, precision=bits, identifiers=identifiers, interleaved=interleaved
        )
        np.testing.assert_array_equal(_decode(data, pixels), samples)


@pytest.mark.parametrize("bits", [7, 8, 11, 12, 16])
def test_signed_samples_are_twos_complement_in_precision_bits(bits: int) -> None:
    pixels = pixel_format(31, 20, bits, signed=True)
    samples = make_samples(pixels)
    own_bits = samples.astype(np.int64) & ((1 << bits) - 1)
    container = pixels.bits_allocated
    for precision, stored in ((bits, own_bits), (container, samples.astype(np.int64))):
        data = lossless_jpeg(stored % (1 << precision), precision=precision, predictor=5)
        np.testing.assert_array_equal(_decode(data, pixels), samples)


def test_lossless_keeps_what_lies_above_bits_stored() -> None:
    pixels = pixel_format(20, 20, 12)
    samples = _noise(pixels, 16)
    np.testing.assert_array_equal(_decode(lossless_jpeg(samples, precision=16), pixels), samples)


def test_fewer_bits_than_the_container_are_widened() -> None:
    pixels = pixel_format(20, 20, 12)
    samples = _noise(pixels, 8)
    decoded = _decode(lossless_jpeg(samples, precision=8), pixels)
    assert decoded.dtype == np.uint16
    np.testing.assert_array_equal(decoded, samples)
