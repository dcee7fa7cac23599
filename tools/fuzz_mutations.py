"""Ways to damage an encoded frame: as disks, wires, buggy writers and attackers do.

Every mutation is a function of a random generator, a stream and another stream to take bytes
from; the same generator state gives the same damage.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

__all__ = ["MUTATIONS", "mutate"]

type Mutation = Callable[[np.random.Generator, bytes, bytes], bytes]

_HEADER_BYTES = 96
_EXTREMES = (0x00, 0x01, 0x7F, 0x80, 0xFE, 0xFF)
_EXTREME_WORDS = (0, 1, 2, 3, 0x7FFF, 0x8000, 0xFFFE, 0xFFFF)
_EXTREME_LONGS = (0, 1, 7, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)


def mutate(rng: np.random.Generator, data: bytes, other: bytes) -> tuple[str, bytes]:
    """One damaged version of `data`, and the name of what was done to it."""
    names = list(MUTATIONS)
    name = names[int(rng.integers(len(names)))]
    return name, MUTATIONS[name](rng, data, other)


def _place(rng: np.random.Generator, length: int) -> int:
    return int(rng.integers(max(length, 1)))


def _flip_bits(rng: np.random.Generator, data: bytes, other: bytes) -> bytes:  # noqa: ARG001
    out = bytearray(data)
    for _ in range(int(rng.integers(1, 9))):
        if out:
            out[_place(rng, len(out))] ^= 1 << int(rng.integers(8))
    return bytes(out)


def _truncate(rng: np.random.Generator, data: bytes, other: bytes) -> bytes:  # noqa: ARG001
    return data[: _place(rng, len(data))]


def _splice(rng: np.random.Generator, data: bytes, other: bytes) -> bytes:
    """The head of one stream and the tail of another."""
    return data[: _place(rng, len(data))] + other[_place(rng, len(other)) :]


def _move_piece(rng: np.random.Generator, data: bytes, other: bytes) -> bytes:  # noqa: ARG001
    """A piece cut out, or laid over another place, or repeated."""
    start = _place(rng, len(data))
    piece = data[start : start + int(rng.integers(1, 257))]
    to = _place(rng, len(data))
    kind = int(rng.integers(3))
    if kind == 0:
        return data[:start] + data[start + len(piece) :]
    if kind == 1:
        return data[:to] + piece + data[to + len(piece) :]
    return data[:to] + piece * int(rng.integers(1, 20)) + data[to:]


def _blank(rng: np.random.Generator, data: bytes, other: bytes) -> bytes:  # noqa: ARG001
    start = _place(rng, len(data))
    length = min(int(rng.integers(1, 4097)), len(data) - start)
    filler = bytes([_EXTREMES[int(rng.integers(len(_EXTREMES)))]])
    return data[:start] + filler * length + data[start + length :]


def _break_length(rng: np.random.Generator, data: bytes, other: bytes) -> bytes:  # noqa: ARG001
    """Another length in a marker segment, or in an offset of a header without markers."""
    octets = np.frombuffer(data[:-4], np.uint8)
    markers = np.flatnonzero((octets[:-1] == 0xFF) & (octets[1:] >= 0x4F) & (octets[1:] != 0xFF))
    out = bytearray(data)
    if len(markers) and rng.integers(4):
        place = int(markers[_place(rng, min(len(markers), 24))]) + 2
        word = _EXTREME_WORDS[int(rng.integers(len(_EXTREME_WORDS)))]
        out[place : place + 2] = word.to_bytes(2, "big")
        return bytes(out)
    if len(out) > 4:
        place = 4 * _place(rng, min(len(out), _HEADER_BYTES) // 4)
        long = _EXTREME_LONGS[int(rng.integers(len(_EXTREME_LONGS)))]
        out[place : place + 4] = long.to_bytes(4, "little" if rng.integers(2) else "big")
    return bytes(out[: len(data)])


def _break_header(rng: np.random.Generator, data: bytes, other: bytes) -> bytes:  # noqa: ARG001
    out = bytearray(data)
    for _ in range(int(rng.integers(1, 4))):
        if out:
            place = _place(rng, min(len(out), _HEADER_BYTES))
            out[place] = _EXTREMES[int(rng.integers(len(_EXTREMES)))]
    return bytes(out)


def _noise(rng: np.random.Generator, data: bytes, other: bytes) -> bytes:  # noqa: ARG001
    """The headers as they are, and noise behind them."""
    keep = int(rng.integers(2, 2 * _HEADER_BYTES))
    return data[:keep] + rng.bytes(max(len(data) - keep, 0))


MUTATIONS: dict[str, Mutation] = {
    "flipped bits": _flip_bits,
    "truncation": _truncate,
    "splice": _splice,
    "moved piece": _move_piece,
    "blank": _blank,
    "length field": _break_length,
    "header field": _break_header,
    "noise": _noise,
}
