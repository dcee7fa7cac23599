"""Codestream surgery: MB/s of codestream on one core, against decoding and encoding again.

One-layer CT and MG frames of the phantom, as OpenJPEG and OpenJPH write them. What is timed is
compared first: the result decodes to the samples of the original.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import imagecodecs
import numpy as np
import pytest
from codec_limit import encode
from mersey.codecs.surgery import reduce_codestream, reorder, to_progressive, truncate_codestream
from phantom import Thorax

ROUNDS = 200
LIMIT_ROUNDS = 3

type Image = np.ndarray[Any, np.dtype[np.uint16]]


@pytest.fixture(scope="module", params=["CT", "MG"])
def frame(request: pytest.FixtureRequest) -> Image:
    """CT: 512 x 512. MG: 2560 rows, 2048 columns, of the same tissue and noise. 12 bits."""
    if request.param == "CT":
        return Thorax(size=512, slices=8, seed=1).frame(3)
    wide = Thorax(size=2560, slices=2, seed=1).frame(1)
    return np.ascontiguousarray(wide[:, 256:2304])


@pytest.fixture(scope="module", params=["J2K", "HTJ2K"])
def codestream(request: pytest.FixtureRequest, frame: Image) -> bytes:
    if request.param == "J2K":
        made = imagecodecs.jpeg2k_encode(
            frame, level=0, reversible=True, codecformat="j2k", bitspersample=12
        )
    else:
        made = imagecodecs.htj2k_encode(
            frame, planar=False, reversible=True, resolutions=5, bitspersample=12
        )
    return bytes(made)


def decoded(codestream: bytes, reduce: int = 0) -> Image:
    return np.asarray(imagecodecs.jpeg2k_decode(codestream, skipres=reduce))


def measure(
    benchmark: Any, codestream: bytes, operate: Callable[[bytes], bytes], **facts: Any
) -> None:
    benchmark.pedantic(operate, args=(codestream,), rounds=ROUNDS, warmup_rounds=5)
    seconds = statistics.median(benchmark.stats.stats.data)
    benchmark.extra_info.update(
        {
            "codestream bytes": len(codestream),
            "MB/s of codestream": round(len(codestream) / seconds / 1e6),
            **facts,
        }
    )


def bench_progressive_walking_headers(benchmark: Any, frame: Image, codestream: bytes) -> None:
    np.testing.assert_array_equal(decoded(to_progressive(codestream)), frame)
    limit = statistics.median(again(codestream) for _ in range(LIMIT_ROUNDS))
    measure(benchmark, codestream, to_progressive)
    ours = statistics.median(benchmark.stats.stats.data)
    benchmark.extra_info["times decode + encode"] = round(limit / ours)


def again(codestream: bytes) -> float:
    """Seconds that decoding by OpenJPEG and encoding by OpenJPH take."""
    started = time.perf_counter()
    encode(imagecodecs.jpeg2k_decode(codestream), 12)
    return time.perf_counter() - started


def bench_progressive_with_plt(benchmark: Any, frame: Image, codestream: bytes) -> None:
    listed = to_progressive(codestream, plt=True)
    np.testing.assert_array_equal(decoded(to_progressive(listed, plt=True)), frame)
    measure(benchmark, listed, lambda data: to_progressive(data, plt=True))


def bench_reduced_by_half(benchmark: Any, codestream: bytes) -> None:
    small = reduce_codestream(codestream, reduce=1)
    np.testing.assert_array_equal(decoded(small), decoded(codestream, 1))
    measure(benchmark, codestream, lambda data: reduce_codestream(data, reduce=1))


def bench_reordered_to_lrcp(benchmark: Any, frame: Image, codestream: bytes) -> None:
    np.testing.assert_array_equal(decoded(reorder(codestream, progression="LRCP")), frame)
    measure(benchmark, codestream, lambda data: reorder(data, progression="LRCP"))


def bench_truncated_to_half(benchmark: Any, codestream: bytes) -> None:
    half = len(codestream) // 2
    cut = truncate_codestream(codestream, max_bytes=half)
    assert len(cut) <= half
    assert decoded(cut).shape == decoded(codestream).shape
    measure(benchmark, codestream, lambda data: truncate_codestream(data, max_bytes=half))
