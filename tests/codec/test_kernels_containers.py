"""Kernels of stored samples equal their plain twins, bit for bit."""

from __future__ import annotations

from collections.abc import Callable

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

_INTEGERS = ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8"]
_ALL = [*_INTEGERS, "f4", "f8"]


@given(packed=arrays.arrays(np.uint8, st.integers(0, 40)), data=st.data())
@settings(deadline=None)
def test_bits_equal_their_twins(packed: PixelArray, data: st.DataObject) -> None:
    count = data.draw(st.integers(0, packed.size * 8))
    bits = kernels.unpack_bits(packed, count=count)
    assert_same(bits, reference.unpack_bits(packed, count=count))
    assert_same(kernels.pack_bits(bits), reference.pack_bits(bits))
    offset = data.draw(st.integers(0, min(7, count)))
    where = {"bit_offset": offset, "bit_count": count - offset}
    assert_same(kernels.align_bits(packed, **where), reference.align_bits(packed, **where))


@pytest.mark.parametrize("dtype", _INTEGERS)
def test_keep_bits_equals_its_twin(dtype: str) -> None:
    width = np.dtype(dtype).itemsize * 8

    @given(
        samples=arrays.arrays(dtype, arrays.array_shapes(max_dims=3, max_side=9)),
        bits_stored=st.integers(1, width),
        data=st.data(),
    )
    @settings(deadline=None, max_examples=40)
    def equal(samples: PixelArray, bits_stored: int, data: st.DataObject) -> None:
        high_bit = data.draw(st.integers(bits_stored - 1, width - 1))
        form = {"bits_stored": bits_stored, "high_bit": high_bit}
        assert_same(kernels.keep_bits(samples, **form), reference.keep_bits(samples, **form))

    equal()


def test_keep_bits_reads_what_ps3_5_says() -> None:
    stored = np.array([0xF7FF, 0x0800, 0x1FFF], np.uint16)
    assert kernels.keep_bits(stored, bits_stored=12, high_bit=11).tolist() == [0x7FF, 0x800, 0xFFF]
    signed = stored.view(np.int16)
    assert kernels.keep_bits(signed, bits_stored=12, high_bit=11).tolist() == [2047, -2048, -1]
    assert kernels.keep_bits(stored, bits_stored=8, high_bit=15).tolist() == [0xF7, 0x08, 0x1F]


@pytest.mark.parametrize("dtype", _ALL)
def test_swapped_bytes_equal_their_twin(dtype: str) -> None:
    @given(words=arrays.arrays(dtype, arrays.array_shapes(max_dims=3, max_side=9)))
    @settings(deadline=None, max_examples=30)
    def equal(words: PixelArray) -> None:
        swapped = kernels.swap_bytes(words)
        assert_same(swapped, reference.swap_bytes(words))
        assert kernels.swap_bytes(swapped).tobytes() == words.tobytes()

    equal()


@pytest.mark.parametrize("dtype", _ALL)
def test_planes_and_pixels_equal_their_twins(dtype: str) -> None:
    @given(planes=arrays.arrays(dtype, st.tuples(*[st.integers(1, 5)] * 2, st.integers(1, 40))))
    @settings(deadline=None, max_examples=30)
    def equal(planes: PixelArray) -> None:
        pixels = kernels.planes_to_pixels(planes)
        assert_same(pixels, reference.planes_to_pixels(planes))
        assert_same(kernels.pixels_to_planes(pixels), reference.pixels_to_planes(pixels))
        assert kernels.pixels_to_planes(pixels).tobytes() == planes.tobytes()

    equal()


@given(octets=arrays.arrays(np.uint8, st.integers(0, 25).map(lambda pairs: 4 * pairs)))
@settings(deadline=None)
def test_unpack_422_equals_its_twin(octets: PixelArray) -> None:
    assert_same(kernels.unpack_422(octets), reference.unpack_422(octets))


@pytest.mark.parametrize("dtype", _INTEGERS)
@pytest.mark.parametrize("samples", [(), (1,), (3,), (4,)])
def test_differences_equal_their_twins_and_come_back(dtype: str, samples: tuple[int, ...]) -> None:
    @given(
        image=arrays.arrays(
            dtype, st.tuples(st.integers(1, 6), st.integers(1, 40)).map(lambda size: size + samples)
        )
    )
    @settings(deadline=None, max_examples=30)
    def equal(image: PixelArray) -> None:
        differences = kernels.delta_encode(image)
        assert_same(differences, reference.delta_encode(image))
        assert_same(kernels.delta_decode(differences), reference.delta_decode(differences))
        assert_same(kernels.delta_decode(differences), image)

    equal()


@pytest.mark.parametrize(
    "call",
    [
        lambda samples: kernels.keep_bits(samples, bits_stored=12, high_bit=11),
        kernels.swap_bytes,
        kernels.delta_encode,
        kernels.delta_decode,
        lambda samples: kernels.invert(samples, bits_stored=16),
        lambda samples: kernels.window(samples, center=3.0, width=9.0),
    ],
)
def test_read_only_samples_will_do(call: Callable[[PixelArray], PixelArray]) -> None:
    samples = np.arange(64, dtype=np.uint16).reshape(8, 8)
    frozen = samples.copy()
    frozen.setflags(write=False)
    assert_same(call(frozen), call(samples))
