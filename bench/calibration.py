"""A fixed piece of work by which machines, and hours on one machine, can be compared.

A little of all that Mersey's time goes into: hashing, copying memory, arithmetic of numpy,
Python itself, and an encoder. What a benchmark takes, divided by what this takes in the same
session, is the same on machines that differ in speed alone: baselines are kept so.
"""

from __future__ import annotations

import hashlib
import json
import statistics
import time
from collections.abc import Callable

import numpy as np
from codec_limit import encode

__all__ = ["calibrate"]

_ROUNDS = 5


def calibrate() -> float:
    """The seconds of the whole: the sum of the medians of its parts."""
    return sum(statistics.median(_seconds(part) for _ in range(_ROUNDS)) for part in _PARTS)


def _seconds(part: Callable[[], object]) -> float:
    started = time.perf_counter()
    part()
    return time.perf_counter() - started


_BYTES = bytes(range(256)) * (32 << 10)
_RNG = np.random.default_rng(0)
_FRAME = (np.add.outer(np.arange(512), np.arange(512)) + _RNG.integers(0, 16, (512, 512))).astype(
    np.uint16
)
_TEXT = {f"{number:08X}": {"vr": "DS", "Value": [number / 7]} for number in range(4000)}


def _hash() -> object:
    return hashlib.sha256(_BYTES).digest()


def _copy() -> object:
    return [bytearray(_BYTES) for _ in range(4)]


def _arithmetic() -> object:
    return np.sort(((_FRAME * 3 + 7) >> 2).ravel())


def _python() -> object:
    return json.loads(json.dumps(_TEXT))


def _encode() -> object:
    return [encode(_FRAME, 12) for _ in range(4)]


_PARTS = (_hash, _copy, _arithmetic, _python, _encode)
