"""Palettes: Palette Color Lookup Table attributes to a table of colours (PS3.3 §C.7.6.3.1.5–6).

Takes the values of the attributes, never a data set. Plain and segmented tables (§C.7.9.2), of
8 and of 16 bits, packed two to a word or one in each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from . import kernels
from .errors import DicomError
from .pixels import Buffer, PixelArray

__all__ = ["Palette"]

_DISCRETE, _LINEAR, _INDIRECT = 0, 1, 2
_LONGEST = 1 << 16
"""Entries at most; descriptors write it as 0."""


@dataclass(frozen=True, slots=True, eq=False)
class Palette:
    """`table` has shape (entries, 3), uint8 or uint16; its first entry is that of `first`."""

    table: PixelArray
    first: int

    @classmethod
    def of_attributes(
        cls,
        descriptors: Sequence[Sequence[int]],
        data: Sequence[Buffer],
        *,
        signed: bool = False,
        segmented: bool = False,
        little_endian: bool = True,
    ) -> Self:
        """The palette of red, green and blue descriptors and data.

        Parameters
        ----------
        descriptors
            Three numbers each: entries (0 means 65,536), first value mapped, bits (8 or 16).
            Each may have been read as US or as SS; `signed`, which is Pixel Representation,
            says how the first value is meant.
        data
            The bytes of (Segmented) Palette Color Lookup Table Data.

        Raises
        ------
        DicomError
            The three disagree, or a table is shorter than its descriptor says.
        """
        if len(descriptors) != 3 or len(data) != 3 or any(len(row) != 3 for row in descriptors):
            raise DicomError("a palette has three tables, with three numbers in each descriptor")
        shapes = {(row[0] & 0xFFFF or _LONGEST, row[1] & 0xFFFF, row[2]) for row in descriptors}
        if len(shapes) > 1:
            raise DicomError("the descriptors of red, green and blue disagree")
        entries, first, bits = shapes.pop()
        if bits not in (8, 16):
            raise DicomError(f"palette entries of {bits} bits, expected 8 or 16")
        columns = [
            _expand(values, bits, entries, little_endian=little_endian)
            if segmented
            else _entries(values, bits, entries, little_endian=little_endian)
            for values in data
        ]
        table = np.stack(columns, axis=-1)
        if signed and first >= 1 << 15:
            first -= 1 << 16
        return cls(table, first)

    def apply(self, indices: PixelArray) -> PixelArray:
        """RGB of each index, 8 bits: of 16-bit entries the upper byte; shape ``(…, 3)``."""
        table = self.table
        if table.dtype.itemsize > 1:
            table = (table >> 8).astype(np.uint8)
        return kernels.apply_palette(indices, table=table, first=self.first)


def _words(values: Buffer, *, little_endian: bool) -> PixelArray:
    octets = np.frombuffer(values, dtype=np.uint8)
    words = octets[: octets.size // 2 * 2].view("<u2" if little_endian else ">u2")
    return words.astype(np.uint16)


def _entries(values: Buffer, bits: int, entries: int, *, little_endian: bool) -> PixelArray:
    """8-bit entries lie two to a word (low byte first), or alone in words in some old files."""
    size = memoryview(values).nbytes
    if bits == 8 and size < 2 * entries:
        octets = np.frombuffer(values, dtype=np.uint8)
        if not little_endian:
            octets = _words(values, little_endian=False).astype("<u2").view(np.uint8)
        found = octets[:entries]
    else:
        found = _words(values, little_endian=little_endian)[:entries]
        if bits == 8:
            found = found.astype(np.uint8)
    if found.size < entries:
        raise DicomError(f"a palette of {entries} entries of {bits} bits in {size} bytes")
    return found


def _expand(values: Buffer, bits: int, entries: int, *, little_endian: bool) -> PixelArray:
    """Segments to entries (PS3.3 §C.7.9.2); opcodes and lengths are as wide as entries."""
    numbers = (
        np.frombuffer(values, dtype=np.uint8)
        if bits == 8
        else _words(values, little_endian=little_endian)
    ).tolist()
    starts: set[int] = set()
    out: list[int] = []
    position = 0
    # A last number alone is padding.
    while position + 1 < len(numbers) and len(out) < entries:
        starts.add(position)
        if numbers[position] == _INDIRECT:
            position = _copy_segments(numbers, position, out, bits, starts)
        else:
            position = _read_segment(numbers, position, out)
    if len(out) < entries:
        raise DicomError(f"a segmented palette of {len(out)} entries, expected {entries}")
    return np.array(out[:entries], dtype=np.uint8 if bits == 8 else np.uint16)


def _read_segment(numbers: list[int], position: int, out: list[int]) -> int:
    """Append a discrete or a linear segment; where the next one starts."""
    opcode, length, *rest = numbers[position : position + 3]
    start = position + 2
    if opcode == _DISCRETE and start + length <= len(numbers):
        out += numbers[start : start + length]
        return start + length
    if opcode == _LINEAR and out and rest and length:
        low, rise = out[-1], rest[0] - out[-1]
        out += [low + (2 * step * rise + length) // (2 * length) for step in range(1, length + 1)]
        return start + 1
    raise DicomError(f"segment {opcode} of length {length} at {position} of a segmented palette")


def _copy_segments(
    numbers: list[int], position: int, out: list[int], bits: int, starts: set[int]
) -> int:
    """Append segments again that were there before: their number, and a byte offset."""
    parts = 32 // bits
    start = position + 2
    operand = numbers[start : start + parts]
    source, unaligned = divmod(
        sum(number << (bits * part) for part, number in enumerate(operand)), bits // 8
    )
    if len(operand) < parts or unaligned or source not in starts or source == position:
        raise DicomError(f"indirect segment at {position} of a segmented palette points nowhere")
    for _ in range(numbers[position + 1]):
        if len(out) >= _LONGEST or source + 1 >= len(numbers):
            break
        source = _read_segment(numbers, source, out)
    return start + parts
