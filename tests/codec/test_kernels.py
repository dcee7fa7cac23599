"""Fast kernels equal their plain twins, bit for bit; nothing imports numba before it must."""

from __future__ import annotations

import inspect
import subprocess
import sys

import numba  # noqa: F401  so that no kernel leaves its work to its twin
import numpy as np
import pytest
from mersey.codecs import kernels
from mersey.codecs.kernels import reference

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


def test_warm_compiles_what_a_server_needs() -> None:
    kernels.warm()
    from mersey.codecs.kernels import compiled, compiled_grey

    for kernel in (compiled.halve_grey, compiled_grey.window):
        assert len(kernel.signatures) >= 3  # type: ignore[attr-defined]


def test_every_kernel_has_a_twin_with_the_same_parameters() -> None:
    for name in kernels.__all__:
        kernel = getattr(kernels, name)
        if name == "warm" or not inspect.isfunction(kernel):
            continue
        twin = getattr(reference, name)
        assert list(inspect.signature(twin).parameters) == list(
            inspect.signature(kernel).parameters
        ), name


def test_the_first_kernels_may_be_called_by_many_threads_at_once() -> None:
    program = """
from concurrent.futures import ThreadPoolExecutor
import numpy as np
from mersey.codecs import kernels
samples = np.arange(64, dtype=np.uint16).reshape(8, 8)
import numba
with ThreadPoolExecutor(8) as pool:
    done = list(pool.map(lambda _: kernels.window(samples, center=9, width=9).sum(), range(16)))
    warmed = list(pool.map(lambda _: kernels.warm(), range(2)))
assert len(set(done)) == 1
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=500)


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
planar = pixels.with_(samples=3, planar=1, photometric="RGB")
registry.decoder("1.2.840.10008.1.2.1").decode(bytes(3 * 8192), pixels=planar)
assert not {"imagecodecs", "openjpeg", "numba", "pydicom"} & set(sys.modules), "transcoding"
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=500)


def test_a_small_first_job_is_done_by_the_twin_and_a_large_one_is_not() -> None:
    program = """
import sys
import numpy as np
from mersey.codecs import kernels
small = np.arange(64, dtype=np.uint16).reshape(8, 8)
rule = {"center": 20.0, "width": 30.0}
twin = kernels.window(small, **rule)
for samples in (small, np.dstack([small] * 3)):
    kernels.halve(samples)
assert "numba" not in sys.modules
large = np.resize(small, (4096, 4097))
kernels.window(large, **rule)
assert "numba" in sys.modules
assert np.array_equal(kernels.window(small, **rule), twin)
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=500)


def test_kernels_work_where_no_cache_can_be_kept() -> None:
    program = """
import numba.core.caching as caching
for thing in vars(caching).values():
    if hasattr(thing, "_locator_classes"):
        thing._locator_classes = []
import numpy as np
from mersey.codecs import kernels
kernels.warm()
assert kernels.halve(np.full((4, 4), 9, np.uint16)).tolist() == [[9, 9], [9, 9]]
from mersey.codecs.kernels import compiled
assert type(compiled.halve_grey._cache).__name__ == "NullCache"
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=500)
