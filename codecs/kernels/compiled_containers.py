"""The compiled kernels of stored samples: bits, bytes, planes, differences; see `compiled.py`.

Integers come as unsigned arrays of their width and are computed modulo ``2**width``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .compiled import _kernel

__all__ = [
    "add_left_neighbour",
    "add_left_neighbours",
    "keep_bits",
    "keep_bits_above",
    "pack_bits",
    "pixels_to_planes",
    "planes_to_pixels",
    "subtract_left_neighbours",
    "swap_16",
    "swap_32",
    "swap_64",
    "three_pixels_to_planes",
    "three_planes_to_pixels",
    "unpack_bits",
]

type _Array = np.ndarray[Any, np.dtype[Any]]


@_kernel
def unpack_bits(packed: _Array, out: _Array) -> None:
    """Eight 0 and 1, least significant bit first, of each byte: one little-endian uint64.

    The byte is repeated eight times, of copy ``k`` bit ``k`` is kept, and what is not 0 then
    carries into the highest bit of its byte.
    """
    for i in range(packed.size):
        bits = np.uint64(packed[i]) * np.uint64(0x0101010101010101) & np.uint64(0x8040201008040201)
        bits = (bits + np.uint64(0x7F7F7F7F7F7F7F7F)) >> np.uint64(7)
        out[i] = bits & np.uint64(0x0101010101010101)


@_kernel
def pack_bits(bits: _Array, out: _Array) -> None:
    """The inverse, of eight 0 and 1 at a time that lie in one little-endian uint64.

    The product brings bit 0 of byte ``k`` to bit ``56 + k``; nothing carries into it.
    """
    for i in range(out.size):
        out[i] = np.uint8((bits[i] * np.uint64(0x0102040810204080)) >> np.uint64(56))


@_kernel
def keep_bits(samples: _Array, mask: Any, sign: Any, out: _Array) -> None:
    """The bits of `mask`; `sign` is the one that is extended, or 0."""
    for i in range(samples.size):
        out[i] = ((samples[i] & mask) ^ sign) - sign


@_kernel
def keep_bits_above(samples: _Array, below: Any, mask: Any, sign: Any, out: _Array) -> None:
    """The same after a shift down by `below`, which costs half of the speed."""
    for i in range(samples.size):
        out[i] = (((samples[i] >> below) & mask) ^ sign) - sign


@_kernel
def swap_16(words: _Array, out: _Array) -> None:
    """The two bytes of each uint16 change places."""
    for i in range(words.size):
        out[i] = (words[i] << np.uint16(8)) | (words[i] >> np.uint16(8))


@_kernel
def swap_32(words: _Array, out: _Array) -> None:
    """The four bytes of each uint32 in the other order."""
    for i in range(words.size):
        word = words[i]
        word = ((word & np.uint32(0x00FF00FF)) << np.uint32(8)) | (
            (word >> np.uint32(8)) & np.uint32(0x00FF00FF)
        )
        out[i] = (word << np.uint32(16)) | (word >> np.uint32(16))


@_kernel
def swap_64(words: _Array, out: _Array) -> None:
    """The eight bytes of each uint64 in the other order."""
    for i in range(words.size):
        word = words[i]
        word = ((word & np.uint64(0x00FF00FF00FF00FF)) << np.uint64(8)) | (
            (word >> np.uint64(8)) & np.uint64(0x00FF00FF00FF00FF)
        )
        word = ((word & np.uint64(0x0000FFFF0000FFFF)) << np.uint64(16)) | (
            (word >> np.uint64(16)) & np.uint64(0x0000FFFF0000FFFF)
        )
        out[i] = (word << np.uint64(32)) | (word >> np.uint64(32))


@_kernel
def three_planes_to_pixels(red: _Array, green: _Array, blue: _Array, out: _Array) -> None:
    """All flat: vectorised, four times the general one."""
    for i in range(red.size):
        out[3 * i] = red[i]
        out[3 * i + 1] = green[i]
        out[3 * i + 2] = blue[i]


@_kernel
def planes_to_pixels(planes: _Array, out: _Array) -> None:
    """Shape (samples, pixels) to (pixels, samples)."""
    for sample in range(planes.shape[0]):
        for i in range(planes.shape[1]):
            out[i, sample] = planes[sample, i]


@_kernel
def three_pixels_to_planes(pixels: _Array, red: _Array, green: _Array, blue: _Array) -> None:
    """All flat."""
    for i in range(red.size):
        red[i] = pixels[3 * i]
        green[i] = pixels[3 * i + 1]
        blue[i] = pixels[3 * i + 2]


@_kernel
def pixels_to_planes(pixels: _Array, out: _Array) -> None:
    """Shape (pixels, samples) to (samples, pixels)."""
    for sample in range(out.shape[0]):
        for i in range(out.shape[1]):
            out[sample, i] = pixels[i, sample]


@_kernel
def subtract_left_neighbours(samples: _Array, step: int, out: _Array) -> None:
    """Shape (rows, columns x samples); the left neighbour is `step` places away."""
    for y in range(samples.shape[0]):
        left, right, row = samples[y, :-step], samples[y, step:], out[y, step:]
        for x in range(left.size):
            row[x] = right[x] - left[x]
        for x in range(step):
            out[y, x] = samples[y, x]


@_kernel
def add_left_neighbours(differences: _Array, step: int, out: _Array) -> None:
    """The inverse: each place is its difference and what came out `step` places to the left."""
    for y in range(differences.shape[0]):
        for x in range(step):
            out[y, x] = differences[y, x]
        for x in range(step, differences.shape[1]):
            out[y, x] = out[y, x - step] + differences[y, x]


@_kernel
def add_left_neighbour(differences: _Array, out: _Array) -> None:
    """The same for a step of 1, whose sum stays in a register."""
    for y in range(differences.shape[0]):
        total = np.uint64(0)
        for x in range(differences.shape[1]):
            total += np.uint64(differences[y, x])
            out[y, x] = total
