"""Each pixel kernel against the numpy that one would write, on a frame of 512² and 16 bits.

Every figure is of the public call, output allocated. MB/s counts bytes of the frame. The aim is
5 times numpy, or 70 % of the bytes a second (read and written) that a memcpy of the same frame
moves in the same run; both sides find the frame in the cache.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numba  # noqa: F401  so that no kernel leaves its work to its twin
import numpy as np
import pytest
from mersey.codecs import kernels

type Array = np.ndarray[Any, np.dtype[Any]]

_SIDE = 512
_RNG = np.random.default_rng(0)
_GREY = _RNG.normal(1200, 300, (_SIDE, _SIDE)).clip(0, 4095).astype(np.uint16)
_SIGNED = (_GREY.astype(np.int16) - 1024) & np.int16(0x0FFF)
_FLAT = _GREY.reshape(-1)
_PLANES = np.stack([_GREY, _GREY[::-1], _GREY[:, ::-1]])
_PIXELS = np.ascontiguousarray(_PLANES.transpose(1, 2, 0))
_BITS = (_RNG.integers(0, 2, 2 * _FLAT.size)).astype(np.uint8)
_PACKED = np.packbits(_BITS, bitorder="little")
_COLOUR = _RNG.integers(0, 256, (_SIDE, _SIDE, 3), np.uint8)
_OCTETS_422 = _RNG.integers(0, 256, 2 * _FLAT.size, np.uint8)
_TABLE = (np.arange(4096) // 2).astype(np.uint16)
_COLOURS = _RNG.integers(0, 1 << 16, (4096, 3), np.uint16)
_DIFFERENCES = kernels.delta_encode(_GREY)
_RUN = [np.roll(_GREY, step, axis=1) for step in range(8)]


@dataclass(frozen=True, slots=True)
class _Case:
    """`frame_bytes` is what MB/s counts; `traffic_bytes` what is read and written."""

    kernel: Callable[[], Any]
    numpy: Callable[[], Any]
    frame_bytes: int
    traffic_bytes: int


def _planes_to_pixels() -> Array:
    out = np.empty((_SIDE, _SIDE, 3), np.uint16)
    for sample in range(3):
        out[:, :, sample] = _PLANES[sample]
    return out


def _pixels_to_planes() -> Array:
    return np.ascontiguousarray(_PIXELS.transpose(2, 0, 1))


def _unpack_422() -> Array:
    pairs = _OCTETS_422.reshape(-1, 4)
    out = np.empty((len(pairs), 2, 3), np.uint8)
    out[:, :, 0] = pairs[:, :2]
    out[:, :, 1:] = pairs[:, None, 2:]
    return out.reshape(-1, 3)


def _delta() -> Array:
    out = _GREY.copy()
    out[:, 1:] -= _GREY[:, :-1]
    return out


def _line() -> Array:
    value = _GREY * 1.0
    value -= 1024.0
    value -= 39.5
    value /= 399.0
    value += 0.5
    value *= 255.0
    return np.rint(value.clip(0, 255, out=value), out=value).astype(np.uint8)


def _sigmoid() -> Array:
    return np.rint(255 / (1 + np.exp(-4 * (_GREY - 1064.0) / 400))).astype(np.uint8)


def _ybr() -> Array:
    y, b, r = (_COLOUR[..., i].astype(np.float32) for i in range(3))
    b -= 128
    r -= 128
    planes = [y + 1.402 * r, y - 0.344136 * b - 0.714136 * r, y + 1.772 * b]
    return np.rint(np.stack(planes, axis=-1)).clip(0, 255).astype(np.uint8)


def _halve() -> Array:
    wide = _GREY.astype(np.uint32)
    total = wide[::2, ::2] + wide[1::2, ::2] + wide[::2, 1::2] + wide[1::2, 1::2]
    return ((total + 2) >> 2).astype(np.uint16)


def _survey() -> tuple[Any, ...]:
    return int(_GREY.min()), int(_GREY.max()), 0, np.bincount(_FLAT, minlength=1 << 16)


def _surveyed() -> tuple[Any, ...]:
    found = kernels.survey(_GREY)
    return found.least, found.greatest, found.lowest, found.counts


def _project() -> Array:
    out = _RUN[0].copy()
    for frame in _RUN[1:]:
        np.maximum(out, frame, out=out)
    return out


_N = _GREY.nbytes
_CASES = {
    "unpack_bits": _Case(
        lambda: kernels.unpack_bits(_PACKED, count=_BITS.size),
        lambda: np.unpackbits(_PACKED, bitorder="little"),
        _BITS.nbytes,
        _BITS.nbytes + _PACKED.nbytes,
    ),
    "pack_bits": _Case(
        lambda: kernels.pack_bits(_BITS),
        lambda: np.packbits(_BITS, bitorder="little"),
        _BITS.nbytes,
        _BITS.nbytes + _PACKED.nbytes,
    ),
    "keep_bits": _Case(
        lambda: kernels.keep_bits(_SIGNED, bits_stored=12, high_bit=11),
        lambda: (_SIGNED << 4) >> 4,
        _N,
        2 * _N,
    ),
    "swap_bytes": _Case(lambda: kernels.swap_bytes(_GREY), lambda: _GREY.byteswap(), _N, 2 * _N),
    "planes_to_pixels": _Case(
        lambda: kernels.planes_to_pixels(_PLANES), _planes_to_pixels, 3 * _N, 6 * _N
    ),
    "pixels_to_planes": _Case(
        lambda: kernels.pixels_to_planes(_PIXELS), _pixels_to_planes, 3 * _N, 6 * _N
    ),
    "unpack_422": _Case(
        lambda: kernels.unpack_422(_OCTETS_422), _unpack_422, 3 * _FLAT.size, 5 * _FLAT.size
    ),
    "delta_encode": _Case(lambda: kernels.delta_encode(_GREY), _delta, _N, 2 * _N),
    "delta_decode": _Case(
        lambda: kernels.delta_decode(_DIFFERENCES),
        lambda: np.cumsum(_DIFFERENCES, axis=1, dtype=np.uint16),
        _N,
        2 * _N,
    ),
    "rescale": _Case(
        lambda: kernels.rescale(_GREY, slope=1.5, intercept=-1024.0),
        lambda: _GREY * 1.5 - 1024.0,
        _N,
        5 * _N,
    ),
    "modality_table": _Case(
        lambda: kernels.look_up(_GREY, table=_TABLE, first=16),
        lambda: _TABLE[np.clip(_GREY.astype(np.int32) - 16, 0, 4095)],
        _N,
        2 * _N,
    ),
    "window_linear": _Case(
        lambda: kernels.window(_GREY, center=40, width=400, intercept=-1024.0),
        _line,
        _N,
        _N + _N // 2,
    ),
    "window_sigmoid": _Case(
        lambda: kernels.window(_GREY, center=1064, width=400, function="SIGMOID"),
        _sigmoid,
        _N,
        _N + _N // 2,
    ),
    "invert": _Case(
        lambda: kernels.invert(_GREY, bits_stored=12), lambda: np.uint16(4095) - _GREY, _N, 2 * _N
    ),
    "palette": _Case(
        lambda: kernels.apply_palette(_GREY, table=_COLOURS, first=0),
        lambda: _COLOURS[np.clip(_GREY.astype(np.int32), 0, 4095)],
        _N,
        4 * _N,
    ),
    "ybr_to_rgb": _Case(
        lambda: kernels.ybr_to_rgb(_COLOUR), _ybr, _COLOUR.nbytes, 2 * _COLOUR.nbytes
    ),
    "halve": _Case(lambda: kernels.halve(_GREY), _halve, _N, _N + _N // 4),
    "survey": _Case(_surveyed, _survey, _N, _N + (1 << 19)),
    "find_limits": _Case(
        lambda: kernels.find_limits(_GREY), lambda: (_GREY.min(), _GREY.max()), _N, _N
    ),
    "project_maximum": _Case(
        lambda: kernels.project_maximum(_RUN), _project, len(_RUN) * _N, (3 * len(_RUN) - 1) * _N
    ),
}


@pytest.mark.parametrize("name", _CASES)
def bench_kernels(benchmark: Any, name: str) -> None:
    case = _CASES[name]
    _require_equal(case.kernel(), case.numpy())
    theirs = _fastest_s(case.numpy)
    source, target = _GREY.copy(), np.empty_like(_GREY)
    memcpy = 2 * _N / _fastest_s(lambda: np.copyto(target, source))
    benchmark.pedantic(case.kernel, rounds=150, iterations=4, warmup_rounds=10)
    ours = benchmark.stats.stats.min
    benchmark.extra_info["MB/s"] = round(case.frame_bytes / ours / 1e6)
    benchmark.extra_info["numpy MB/s"] = round(case.frame_bytes / theirs / 1e6)
    benchmark.extra_info["x numpy"] = round(theirs / ours, 1)
    benchmark.extra_info["% of memcpy"] = round(100 * case.traffic_bytes / ours / memcpy)


def _fastest_s(call: Callable[[], Any]) -> float:
    times = []
    for _ in range(100):
        started = time.perf_counter()
        for _ in range(4):
            call()
        times.append((time.perf_counter() - started) / 4)
    return min(times)


def _require_equal(found: Any, expected: Any) -> None:
    """Equal; a level of lossy rounding (the numpy YBR is in single precision) at most apart."""
    if not isinstance(found, tuple):
        found, expected = (found,), (expected,)
    for ours, theirs in zip(found, expected, strict=True):
        close = np.asarray(ours).astype(np.int64) - np.asarray(theirs).astype(np.int64)
        assert np.shape(ours) == np.shape(theirs)
        assert np.abs(close).max() <= (ours is found[0] and np.shape(ours)[-1:] == (3,))
