"""The kernels in plain numpy: what each means, and what the compiled ones must equal.

Short before fast; tests compare bit for bit, and small first jobs are done by them.
"""

from __future__ import annotations

from itertools import groupby
from typing import Any

import numpy as np

from .reference_colour import apply_palette, ybr_to_rgb
from .reference_grey import invert, look_up, rescale, window
from .reference_survey import find_limits, project_maximum, survey

__all__ = [
    "align_bits",
    "apply_palette",
    "delta_decode",
    "delta_encode",
    "find_limits",
    "halve",
    "invert",
    "keep_bits",
    "look_up",
    "pack_bits",
    "pack_planes",
    "pixels_to_planes",
    "planes_to_pixels",
    "project_maximum",
    "rescale",
    "survey",
    "swap_bytes",
    "unpack_422",
    "unpack_bits",
    "unpack_planes",
    "window",
    "ybr_to_rgb",
]

type _Array = np.ndarray[Any, np.dtype[Any]]


def unpack_bits(packed: _Array, *, count: int) -> _Array:
    """Bit ``i`` of the sequence is bit ``i % 8`` of byte ``i // 8`` (PS3.5 §8.2)."""
    positions = np.arange(count)
    bits: _Array = (packed[positions // 8] >> (positions % 8).astype(np.uint8)) & 1
    return bits


def pack_bits(bits: _Array) -> _Array:
    """The inverse: eight bits a byte, least significant first, 0 after the last."""
    padded = np.zeros(-(-bits.size // 8) * 8, dtype=np.uint8)
    padded[: bits.size] = bits
    weights = np.array([1, 2, 4, 8, 16, 32, 64, 128])
    return np.asarray((padded.reshape(-1, 8) * weights).sum(axis=1), dtype=np.uint8)


def align_bits(packed: _Array, *, bit_offset: int, bit_count: int) -> _Array:
    """Unpack, leave out the first `bit_offset`, pack again."""
    return pack_bits(unpack_bits(packed, count=bit_offset + bit_count)[bit_offset:])


def planes_to_pixels(planes: _Array) -> _Array:
    """(samples, rows, columns) to (rows, columns, samples)."""
    return np.stack(list(planes), axis=-1)


def pixels_to_planes(pixels: _Array) -> _Array:
    """(rows, columns, samples) to (samples, rows, columns)."""
    return np.ascontiguousarray(np.moveaxis(pixels, -1, 0))


def keep_bits(samples: _Array, *, bits_stored: int, high_bit: int) -> _Array:
    """The number that those bits are, as a two's complement where signed (PS3.5 §8.1.1)."""
    numbers = samples.astype(object) >> (high_bit + 1 - bits_stored) & ((1 << bits_stored) - 1)
    if samples.dtype.kind == "i":
        numbers = numbers - ((numbers >> (bits_stored - 1)) << bits_stored)
    return np.asarray(numbers).astype(samples.dtype)


def swap_bytes(words: _Array) -> _Array:
    """As numpy does it."""
    return words.byteswap()


def delta_encode(samples: _Array) -> _Array:
    """The difference along axis 1; unsigned, so that it wraps."""
    unsigned = samples.view(f"u{samples.dtype.itemsize}")
    out = unsigned.copy()
    out[:, 1:] -= unsigned[:, :-1]
    return out.view(samples.dtype)


def delta_decode(differences: _Array) -> _Array:
    """The running sum along axis 1."""
    unsigned = differences.view(f"u{differences.dtype.itemsize}")
    return np.cumsum(unsigned, axis=1, dtype=unsigned.dtype).view(differences.dtype)


def unpack_422(octets: _Array) -> _Array:
    """``Y1 Y2 Cb Cr`` to ``Y1 Cb Cr Y2 Cb Cr`` (PS3.3 §C.7.6.3.1.2); shape (pixels, 3)."""
    first, second, blue, red = octets.reshape(-1, 4).T
    return np.stack([first, blue, red, second, blue, red], axis=-1).reshape(-1, 3)


def halve(samples: _Array) -> _Array:
    """The mean of each 2 x 2, rounded half up; an odd last row or column is repeated."""
    edges = [(0, samples.shape[0] % 2), (0, samples.shape[1] % 2)] + [(0, 0)] * (samples.ndim - 2)
    padded = np.pad(samples, edges, mode="edge")
    four = padded[::2, ::2], padded[1::2, ::2], padded[::2, 1::2], padded[1::2, 1::2]
    if samples.dtype.kind == "f":
        total = ((four[0] + four[1]) + four[2]) + four[3]
        return np.asarray(total * samples.dtype.type(0.25))
    quarters = sum(part >> 2 for part in four)
    rests = sum(part & 3 for part in four)
    return np.asarray(quarters + ((rests + 2) >> 2), dtype=samples.dtype)


def unpack_planes(
    data: _Array, *, bounds: _Array, lanes: _Array, out: _Array
) -> tuple[int, int, int]:
    """PackBits: ``n < 128``: n + 1 bytes follow; ``n > 128``: the next one, 257 - n times."""
    for segment, lane in enumerate(lanes.tolist()):
        place, end = bounds[segment : segment + 2].tolist()
        plane = bytearray()
        while len(plane) < len(out):
            if place >= end:
                return 1, segment, place
            control = int(data[place])
            place += 1
            if control == 128:
                continue
            length, stored = (control + 1, control + 1) if control < 128 else (257 - control, 1)
            if place + stored > end:
                return 1, segment, end
            if len(plane) + length > len(out) + 1:
                return 2, segment, place
            run = data[place : place + stored].tobytes()
            plane += run if control < 128 else run * length
            place += stored
        rest = np.flatnonzero(data[place:end])
        if rest.size:
            return 2, segment, place + int(rest[0])
        out[:, lane] = np.frombuffer(plane, np.uint8)[: len(out)]
    return 0, 0, 0


def pack_planes(octets: _Array, *, lanes: _Array, columns: int) -> tuple[_Array, _Array]:
    """Three equal bytes are a replicate run, two where no literal run is open before them."""
    packed = bytearray()
    bounds = [0]
    for lane in lanes.tolist():
        for row in octets[:, lane].reshape(-1, columns):
            literal = b""
            for value, equal in groupby(row.tolist()):
                count = len(list(equal))
                for length in [128] * (count // 128) + [count % 128] * (count % 128 > 0):
                    if length > 2 or (length == 2 and not literal):
                        packed += _literal_runs(literal) + bytes((257 - length, value))
                        literal = b""
                    else:
                        literal += bytes([value]) * length
            packed += _literal_runs(literal)
        packed += bytes(len(packed) % 2)
        bounds.append(len(packed))
    return np.frombuffer(packed, np.uint8), np.array(bounds)


def _literal_runs(literal: bytes) -> bytes:
    runs = (literal[start : start + 128] for start in range(0, len(literal), 128))
    return b"".join(bytes([len(run) - 1]) + run for run in runs)
