"""Kernels of grey values, colour and surveys equal their plain twins, and the standard's words."""

from __future__ import annotations

import numba  # noqa: F401  so that no kernel leaves its work to its twin
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from mersey.codecs import kernels
from mersey.codecs.kernels import reference
from mersey.codecs.pixels import PixelArray

from .kernel_twins import assert_same

_SAMPLES = ["u1", "i1", "u2", "i2", "u4", "i4", "f4", "f8"]
_SHAPES = arrays.array_shapes(max_dims=3, max_side=9)
_FINITE = st.floats(-1e6, 1e6)


@pytest.mark.parametrize("dtype", _SAMPLES)
def test_rescale_equals_its_twin(dtype: str) -> None:
    finite = None if dtype[0] != "f" else st.floats(-(2.0**60), 2.0**60, width=32)

    @given(samples=arrays.arrays(dtype, _SHAPES, elements=finite), slope=_FINITE, start=_FINITE)
    @settings(deadline=None, max_examples=30)
    def equal(samples: PixelArray, slope: float, start: float) -> None:
        line = {"slope": slope, "intercept": start}
        assert_same(kernels.rescale(samples, **line), reference.rescale(samples, **line))

    equal()


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
@pytest.mark.parametrize("dtype", _SAMPLES)
def test_windows_equal_their_twins(dtype: str, function: str) -> None:
    least = 1.0 if function == "LINEAR" else 0.015625

    @given(
        samples=arrays.arrays(dtype, _SHAPES),
        center=st.floats(-70000, 70000) | st.integers(-300, 300).map(float),
        width=st.floats(least, 140000) | st.integers(1, 600).map(float),
        slope=st.sampled_from([1.0, -2.0, 0.25, 1.3e-5, 0.0]),
        intercept=st.sampled_from([0.0, -1024.0, 0.5, 1e4]),
        inverse=st.booleans(),
        deep=st.booleans(),
    )
    @settings(deadline=None, max_examples=60)
    def equal(samples: PixelArray, deep: bool, **rule: object) -> None:
        rule |= {"function": function, "dtype": np.uint16 if deep else np.uint8}
        with np.errstate(all="ignore"):
            found = kernels.window(samples, **rule)  # type: ignore[arg-type]
            expected = reference.window(samples, **rule)  # type: ignore[arg-type]
        assert_same(found, expected)

    equal()


class TestTheWordsOfTheStandard:
    """PS3.3 §C.11.2.1.2: the notes and edges, with y from 0 to 255."""

    @pytest.mark.parametrize(
        ("center", "width", "first_above_0", "first_255"),
        [(2048, 4096, 9, 4087), (0, 100, -49, 49), (2048, 1, 2048, 2048), (0, 2, 0, 0)],
    )
    def test_linear(self, center: float, width: float, first_above_0: int, first_255: int) -> None:
        values = np.arange(-8192, 8192, dtype=np.int16)
        levels = kernels.window(values, center=center, width=width)
        assert int(values[np.argmax(levels > 0)]) == first_above_0
        assert int(values[np.argmax(levels == 255)]) == first_255
        exact = [
            0.0
            if x <= center - 0.5 - (width - 1) / 2
            else 255.0
            if x > center - 0.5 + (width - 1) / 2
            else ((x - (center - 0.5)) / (width - 1) + 0.5) * 255
            for x in values.tolist()
        ]
        assert np.abs(levels - np.array(exact)).max() <= 0.5

    def test_linear_exact_reaches_its_ends_at_half_a_width(self) -> None:
        values = np.array([-0.5, 0.0, 0.01, 50.0, 99.99, 100.0, 100.5])
        levels = kernels.window(values, center=50, width=100, function="LINEAR_EXACT")
        assert levels.tolist() == [0, 0, 0, 128, 255, 255, 255]
        narrow = kernels.window(
            np.array([9.9, 10.0, 10.1]), center=10, width=0.1, function="LINEAR_EXACT"
        )
        assert narrow.tolist() == [0, 128, 255]

    def test_sigmoid_is_half_at_the_center_and_never_ends_abruptly(self) -> None:
        values = np.array([-5000, 0, 40, 50, 60, 100, 5000], dtype=np.int16)
        levels = kernels.window(values, center=50, width=100, function="SIGMOID", dtype=np.uint16)
        expected = 65535 / (1 + np.exp(-4 * (values - 50.0) / 100))
        assert np.abs(levels - expected).max() <= 0.5
        assert levels[3] == 32768

    def test_not_a_number_is_black_and_infinities_are_ends(self) -> None:
        values = np.array([np.nan, -np.inf, np.inf], dtype=np.float32)
        for function in ("LINEAR", "LINEAR_EXACT", "SIGMOID"):
            rule = {"center": 10.0, "width": 4.0, "function": function}
            assert kernels.window(values, **rule).tolist() == [0, 0, 255]  # type: ignore[arg-type]
            inverse = kernels.window(values, **rule, inverse=True)  # type: ignore[arg-type]
            assert inverse.tolist() == [255, 255, 0]


@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2", "u4", "i4"])
def test_tables_equal_their_twins(dtype: str) -> None:
    @given(
        samples=arrays.arrays(dtype, _SHAPES),
        table=arrays.arrays(st.sampled_from([np.uint8, np.uint16, np.float64]), st.integers(1, 60)),
        first=st.integers(-(1 << 15), (1 << 16) - 1) | st.integers(-5, 5),
    )
    @settings(deadline=None, max_examples=40)
    def equal(samples: PixelArray, table: PixelArray, first: int) -> None:
        found = kernels.look_up(samples, table=table, first=first)
        assert_same(found, reference.look_up(samples, table=table, first=first))
        colours = np.stack([table, table[::-1], table], axis=-1)
        found = kernels.apply_palette(samples, table=colours, first=first)
        assert_same(found, reference.apply_palette(samples, table=colours, first=first))

    equal()


@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2", "u4", "i4"])
def test_inversion_equals_its_twin(dtype: str) -> None:
    bits = np.dtype(dtype).itemsize * 8

    @given(samples=arrays.arrays(dtype, _SHAPES), used=st.integers(1, bits))
    @settings(deadline=None, max_examples=30)
    def equal(samples: PixelArray, used: int) -> None:
        if dtype[0] == "u":
            samples = samples >> (bits - used)
        assert_same(
            kernels.invert(samples, bits_stored=used), reference.invert(samples, bits_stored=used)
        )
        again = kernels.invert(kernels.invert(samples, bits_stored=used), bits_stored=used)
        assert_same(again, samples)

    equal()


class TestYbr:
    @given(samples=arrays.arrays(np.uint8, st.tuples(st.integers(1, 50), st.just(3))))
    @settings(deadline=None)
    def test_it_equals_its_twin(self, samples: PixelArray) -> None:
        assert_same(kernels.ybr_to_rgb(samples), reference.ybr_to_rgb(samples))

    def test_every_colour_is_the_rounded_one(self) -> None:
        chroma = np.arange(256, dtype=np.uint8)
        blue, red = np.meshgrid(chroma, chroma)
        for luma in (0, 1, 100, 254, 255):
            samples = np.stack([np.full_like(blue, luma), blue, red], axis=-1)
            b, r = blue - 128.0, red - 128.0
            exact = np.stack(
                [luma + 1.402 * r, luma - 0.344136 * b - 0.714136 * r, luma + 1.772 * b], axis=-1
            ).clip(0, 255)
            found = kernels.ybr_to_rgb(samples)
            assert_same(found, reference.ybr_to_rgb(samples))
            assert np.abs(found - exact).max() <= 0.5 + 1e-3

    def test_colours_of_the_standard(self) -> None:
        """Black, white and the primaries, as PS3.3 §C.7.6.3.1.2 turns them into YBR_FULL."""
        rgb = np.array([[0, 0, 0], [255, 255, 255], [255, 0, 0], [0, 255, 0], [0, 0, 255]])
        matrix = np.array([[0.299, 0.587, 0.114], [-0.1687, -0.3313, 0.5], [0.5, -0.4187, -0.0813]])
        ybr = np.rint(rgb @ matrix.T + [0, 128, 128]).clip(0, 255).astype(np.uint8)
        assert np.abs(kernels.ybr_to_rgb(ybr).astype(int) - rgb).max() <= 1


@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2"])
def test_a_survey_equals_its_twin(dtype: str) -> None:
    @given(samples=arrays.arrays(dtype, _SHAPES))
    @settings(deadline=None, max_examples=20)
    def equal(samples: PixelArray) -> None:
        found = kernels.survey(samples)
        least, greatest, lowest, counts = reference.survey(samples)
        assert (found.least, found.greatest, found.lowest) == (least, greatest, lowest)
        assert found.counts.dtype == np.uint32
        np.testing.assert_array_equal(found.counts, counts)
        assert int(found.counts.sum()) == samples.size

    equal()


def test_a_survey_of_more_than_one_block_counts_all() -> None:
    samples = np.random.default_rng(0).integers(-3000, 3000, 20_001).astype(np.int16)
    found = kernels.survey(samples)
    assert (found.least, found.greatest) == (samples.min(), samples.max())
    np.testing.assert_array_equal(found.counts, reference.survey(samples)[3])


@pytest.mark.parametrize("dtype", _SAMPLES)
def test_limits_equal_their_twin(dtype: str) -> None:
    @given(
        samples=arrays.arrays(dtype, _SHAPES),
        ignored=st.none() | st.integers(-3, 3) | st.sampled_from([-40000, 70000, 255]),
    )
    @settings(deadline=None, max_examples=60)
    def equal(samples: PixelArray, ignored: int | None) -> None:
        found = kernels.find_limits(samples, ignored=ignored)
        expected = reference.find_limits(samples, ignored=ignored)
        assert found == expected

    equal()


@pytest.mark.parametrize("dtype", _SAMPLES)
def test_a_projection_equals_its_twin(dtype: str) -> None:
    finite = None if dtype[0] != "f" else st.floats(-(2.0**60), 2.0**60, width=32)

    @given(
        frames=arrays.arrays(dtype, st.tuples(*[st.integers(1, 6)] * 3), elements=finite),
    )
    @settings(deadline=None, max_examples=30)
    def equal(frames: PixelArray) -> None:
        before = frames.copy()
        found = kernels.project_maximum(iter(frames))
        np.testing.assert_array_equal(found, reference.project_maximum(frames))
        np.testing.assert_array_equal(frames, before)

    equal()
