"""Stored samples and how they lie: bits, bytes, planes, differences; never what they mean."""

from __future__ import annotations

from typing import Any

import numpy as np

from .thrift import thrifty

__all__ = [
    "align_bits",
    "delta_decode",
    "delta_encode",
    "keep_bits",
    "pack_bits",
    "pixels_to_planes",
    "planes_to_pixels",
    "swap_bytes",
    "unpack_422",
    "unpack_bits",
]

type _Array = np.ndarray[Any, np.dtype[Any]]


@thrifty
def unpack_bits(packed: _Array, *, count: int) -> _Array:
    """The first `count` bits of `packed` (uint8) as uint8 0 and 1, least significant first."""
    from . import compiled_containers

    size = -(-count // 8)
    out = np.empty(size, dtype="<u8")
    compiled_containers.unpack_bits(packed[:size], out)
    return out.view(np.uint8)[:count]


@thrifty
def pack_bits(bits: _Array) -> _Array:
    """Zeros and ones to bytes, least significant bit first; the last byte is filled with 0."""
    from . import compiled_containers

    whole = bits.size // 8
    out = np.empty(-(-bits.size // 8), dtype=np.uint8)
    compiled_containers.pack_bits(bits[: 8 * whole].view("<u8"), out[:whole])
    if bits.size % 8:
        out[whole] = int.from_bytes(np.packbits(bits[8 * whole :], bitorder="little"))
    return out


def align_bits(packed: _Array, *, bit_offset: int, bit_count: int) -> _Array:
    """`bit_count` bits from bit `bit_offset` (0–7) on, moved to bit 0; the rest are 0."""
    size = -(-bit_count // 8)
    out = packed[:size] >> bit_offset
    if bit_offset:
        rest = packed[1 : size + 1]
        out[: rest.size] |= rest << (8 - bit_offset)
    if bit_count % 8:
        out[-1] &= (1 << bit_count % 8) - 1
    return out


@thrifty
def keep_bits(samples: _Array, *, bits_stored: int, high_bit: int) -> _Array:
    """The sample values of integers: `bits_stored` bits from `high_bit` down (PS3.5 §8.1.1).

    Shifted to bit 0; signed ones are sign-extended. What other bits hold is left out.
    """
    from . import compiled_containers

    unsigned = np.dtype(f"u{samples.dtype.itemsize}")
    out = np.empty_like(samples)
    sign = 1 << (bits_stored - 1) if samples.dtype.kind == "i" else 0
    flat, kept = samples.reshape(-1).view(unsigned), out.reshape(-1).view(unsigned)
    mask, extended = unsigned.type((1 << bits_stored) - 1), unsigned.type(sign)
    below = high_bit + 1 - bits_stored
    if below:
        compiled_containers.keep_bits_above(flat, unsigned.type(below), mask, extended, kept)
    else:
        compiled_containers.keep_bits(flat, mask, extended, kept)
    return out


@thrifty
def swap_bytes(words: _Array) -> _Array:
    """The bytes of each integer or float in the other order, under the same dtype."""
    from . import compiled_containers as compiled

    out = np.empty_like(words)
    width = words.dtype.itemsize
    swap = {2: compiled.swap_16, 4: compiled.swap_32, 8: compiled.swap_64}.get(width)
    if swap is None:
        out[...] = words
        return out
    unsigned = f"u{width}"
    swap(words.reshape(-1).view(unsigned), out.reshape(-1).view(unsigned))
    return out


@thrifty
def planes_to_pixels(planes: _Array) -> _Array:
    """Colour-by-plane (samples, rows, columns) to colour-by-pixel (rows, columns, samples)."""
    from . import compiled_containers as compiled

    count, rows, columns = planes.shape
    flat = planes.reshape(count, -1)
    out = np.empty((rows, columns, count), dtype=planes.dtype)
    if count == 3:
        compiled.three_planes_to_pixels(flat[0], flat[1], flat[2], out.reshape(-1))
    else:
        compiled.planes_to_pixels(flat, out.reshape(-1, count))
    return out


@thrifty
def pixels_to_planes(pixels: _Array) -> _Array:
    """Colour-by-pixel (rows, columns, samples) to colour-by-plane (samples, rows, columns)."""
    from . import compiled_containers as compiled

    rows, columns, count = pixels.shape
    out = np.empty((count, rows, columns), dtype=pixels.dtype)
    flat = out.reshape(count, -1)
    if count == 3:
        compiled.three_pixels_to_planes(pixels.reshape(-1), flat[0], flat[1], flat[2])
    else:
        compiled.pixels_to_planes(pixels.reshape(-1, count), flat)
    return out


@thrifty
def unpack_422(octets: _Array) -> _Array:
    """``Y Y Cb Cr`` of each two pixels to ``Y Cb Cr`` of each pixel; shape (pixels, 3)."""
    from . import compiled

    out = np.empty((octets.size // 4 * 2, 3), dtype=np.uint8)
    compiled.unpack_422(octets, out.reshape(-1))
    return out


def delta_encode(samples: _Array) -> _Array:
    """Each integer less its left neighbour, modulo ``2**width``; the first of a row as it is.

    Shape (rows, columns) or (rows, columns, samples): neighbours are of the same sample.
    """
    from . import compiled_containers

    out = np.empty_like(samples)
    rows, step = _rows(samples)
    compiled_containers.subtract_left_neighbours(rows, step, _rows(out)[0])
    return out


def delta_decode(differences: _Array) -> _Array:
    """The inverse of `delta_encode`."""
    from . import compiled_containers

    out = np.empty_like(differences)
    rows, step = _rows(differences)
    if step == 1:
        compiled_containers.add_left_neighbour(rows, _rows(out)[0])
    else:
        compiled_containers.add_left_neighbours(rows, step, _rows(out)[0])
    return out


def _rows(samples: _Array) -> tuple[_Array, int]:
    """A view of shape (rows, columns x samples), unsigned; and how far apart neighbours are."""
    step = samples.shape[2] if samples.ndim == 3 else 1
    return samples.reshape(samples.shape[0], -1).view(f"u{samples.dtype.itemsize}"), step
