"""Fast kernels equal their plain twins, bit for bit; nothing imports numba before it must."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from mersey.codecs import kernels
from mersey.codecs.kernels import reference
from mersey.codecs.pixels import PixelArray

_DTYPES = ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8"]


@pytest.mark.parametrize("samples", [(), (1,), (3,), (4,)])
@pytest.mark.parametrize("dtype", _DTYPES)
def test_halve_equals_its_twin(dtype: str, samples: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    for shape in ((1, 1), (1, 2), (2, 1), (5, 1), (2, 2), (3, 3), (7, 10), (16, 33)):
        if dtype[0] == "f":
            image = (rng.standard_normal(shape + samples) * 1e3).astype(dtype)
        else:
            ends = np.iinfo(dtype)
            image = rng.integers(ends.min, ends.max, shape + samples, dtype, endpoint=True)
            image.flat[0], image.flat[-1] = ends.max, ends.min
        halved = kernels.halve(image)
        expected = reference.halve(image)
        assert halved.dtype == image.dtype
        assert halved.flags.c_contiguous
        np.testing.assert_array_equal(halved, expected)


@pytest.mark.parametrize("dtype", ["u1", "u2", "i2", "u4", "u8", "i8"])
def test_halve_rounds_half_up_and_never_overflows(dtype: str) -> None:
    ends = np.iinfo(dtype)
    top = np.full((2, 2), ends.max, dtype=dtype)
    bottom = np.full((2, 2), ends.min, dtype=dtype)
    assert kernels.halve(top).item() == ends.max
    assert kernels.halve(bottom).item() == ends.min
    assert kernels.halve(np.array([[0, 1], [0, 1]], dtype=dtype)).item() == 1
    assert kernels.halve(np.array([[0, 0], [0, 1]], dtype=dtype)).item() == 0
    if ends.min < 0:
        assert kernels.halve(np.array([[-1, 0], [-1, 0]], dtype=dtype)).item() == 0


@given(octets=arrays.arrays(np.uint8, st.integers(0, 25).map(lambda pairs: 4 * pairs)))
@settings(deadline=None)
def test_unpack_422_equals_its_twin(octets: PixelArray) -> None:
    np.testing.assert_array_equal(kernels.unpack_422(octets), reference.unpack_422(octets))


@given(packed=arrays.arrays(np.uint8, st.integers(0, 20)), data=st.data())
def test_bits_equal_their_twins(packed: PixelArray, data: st.DataObject) -> None:
    count = data.draw(st.integers(0, packed.size * 8))
    bits = kernels.unpack_bits(packed, count=count)
    np.testing.assert_array_equal(bits, reference.unpack_bits(packed, count=count))
    np.testing.assert_array_equal(kernels.pack_bits(bits), reference.pack_bits(bits))
    offset = data.draw(st.integers(0, min(7, count)))
    np.testing.assert_array_equal(
        kernels.align_bits(packed, bit_offset=offset, bit_count=count - offset),
        reference.align_bits(packed, bit_offset=offset, bit_count=count - offset),
    )


@pytest.mark.parametrize("dtype", _DTYPES)
def test_planes_to_pixels_equals_its_twin(dtype: str) -> None:
    for shape in ((1, 1, 1), (3, 5, 7), (4, 2, 1)):
        planes = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
        np.testing.assert_array_equal(
            kernels.planes_to_pixels(planes), reference.planes_to_pixels(planes)
        )


def test_warm_compiles_what_a_server_needs() -> None:
    kernels.warm()
    from mersey.codecs.kernels import compiled

    assert compiled.halve_grey.signatures  # type: ignore[attr-defined]


def test_plain_transcoding_imports_no_numba_and_the_registry_no_codec() -> None:
    program = """
import sys
from mersey.codecs.registry import Registry, resolve_target
from mersey.codecs.pixels import PixelFormat
registry = Registry.default()
registry.rows()
assert not {"ojph", "imagecodecs", "openjpeg", "numba"} & set(sys.modules), "listing"
pixels = PixelFormat(64, 64, bits_stored=12, high_bit=11)
raw = registry.decoder("1.2.840.10008.1.2.1").decode(bytes(8192), pixels=pixels)
encoder = registry.encoder(resolve_target("htj2k-rpcl"))
encoder.decode(encoder.encode(raw, pixels=pixels).data, pixels=pixels, reduce=2)
assert not {"imagecodecs", "openjpeg", "numba", "pydicom"} & set(sys.modules), "transcoding"
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_kernels_work_where_no_cache_can_be_kept() -> None:
    program = """
import numba.core.caching as caching
for thing in vars(caching).values():
    if hasattr(thing, "_locator_classes"):
        thing._locator_classes = []
import numpy as np
from mersey.codecs import kernels
assert kernels.halve(np.full((4, 4), 9, np.uint16)).tolist() == [[9, 9], [9, 9]]
from mersey.codecs.kernels import compiled
assert type(compiled.halve_grey._cache).__name__ == "NullCache"
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
