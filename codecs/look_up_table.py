"""Modality and VOI LUTs: descriptor and data to a table that can be applied (PS3.3 §C.11.1.1).

Takes the values of the attributes, never a data set.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from . import kernels
from .errors import DicomError
from .pixels import PixelArray

__all__ = ["LookUpTable"]


@dataclass(frozen=True, slots=True, eq=False)
class LookUpTable:
    """`table` (uint16) starts with the output of `first`; outputs have `bits` bits."""

    table: PixelArray
    first: int
    bits: int

    @classmethod
    def of_attributes(
        cls, descriptor: Sequence[int], values: PixelArray, *, signed: bool = False
    ) -> Self:
        """The table of LUT Descriptor and LUT Data.

        Parameters
        ----------
        descriptor
            Entries (0 means 65,536), first value mapped, bits of an entry (8–16). It may have
            been read as US or as SS; `signed` says how the first value is meant.
        values
            The entries: uint16, or uint8 where packed two to a word.

        Raises
        ------
        DicomError
            The descriptor cannot be, or there are fewer entries than it says.
        """
        if len(descriptor) != 3 or not 8 <= descriptor[2] <= 16:
            raise DicomError("a LUT Descriptor holds entries, first value and 8–16 bits")
        entries, first = descriptor[0] & 0xFFFF or 1 << 16, descriptor[1]
        if values.size < entries:
            raise DicomError(f"LUT Data of {values.size} entries, expected {entries}")
        if signed and first >= 1 << 15:
            first -= 1 << 16
        return cls(values[:entries].astype(np.uint16), first, descriptor[2])

    def apply(self, values: PixelArray) -> PixelArray:
        """The output of each integer of `values`; beyond an end, that of the end."""
        return kernels.look_up(values, table=self.table, first=self.first)

    def apply_to_levels(self, values: PixelArray) -> PixelArray:
        """The same scaled to 0–255, rounded half to even, as uint8."""
        top = (1 << self.bits) - 1
        levels = np.rint(self.table.clip(0, top) * (255 / top)).astype(np.uint8)
        return kernels.look_up(values, table=levels, first=self.first)
