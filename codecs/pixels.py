"""What the samples of a frame are: the Image Pixel attributes that a codec needs.

Never reads a data set; `engine.dicom` builds a PixelFormat from one.
"""

from __future__ import annotations

from collections.abc import Buffer
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from .errors import UsageError

__all__ = ["Buffer", "PixelArray", "PixelFormat"]

type PixelArray = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, slots=True)
class PixelFormat:
    """The Image Pixel attributes of one instance (DICOM PS3.3 §C.7.6.3).

    `floating` marks Float (bits_allocated 32) and Double Float (64) Pixel Data.
    `planar` is Planar Configuration: 0 colour-by-pixel, 1 colour-by-plane; it says how an
    *uncompressed* frame lies in Pixel Data. Arrays are always colour-by-pixel.
    `swapped_words` marks samples of at most 8 bits in an Explicit VR Big Endian Pixel Data
    element of VR OW: each two bytes lie swapped (PS3.5 §7.3, §8.1.2).
    """

    rows: int
    columns: int
    samples: int = 1
    bits_allocated: int = 16
    bits_stored: int = 16
    high_bit: int = 15
    signed: bool = False
    planar: int = 0
    photometric: str = "MONOCHROME2"
    floating: bool = False
    swapped_words: bool = False

    def __post_init__(self) -> None:
        if not (1 <= self.rows <= 65535 and 1 <= self.columns <= 65535):
            raise UsageError(
                f"Rows x Columns are {self.rows} x {self.columns}, each must be 1–65535"
            )
        if not 1 <= self.samples <= 4:
            raise UsageError(f"Samples per Pixel is {self.samples}, expected 1–4")
        if self.bits_allocated not in (1, 8, 16, 32, 64):
            raise UsageError(
                f"Bits Allocated is {self.bits_allocated}, expected 1, 8, 16, 32 or 64"
            )
        if not 1 <= self.bits_stored <= self.bits_allocated:
            raise UsageError(f"Bits Stored is {self.bits_stored}, expected 1–{self.bits_allocated}")

    @property
    def shape(self) -> tuple[int, ...]:
        """``(rows, columns)``, or ``(rows, columns, samples)`` where samples > 1."""
        if self.samples == 1:
            return (self.rows, self.columns)
        return (self.rows, self.columns, self.samples)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of a decoded frame; Bits Allocated 1 decodes to uint8 holding 0 and 1."""
        if self.floating:
            return np.dtype(f"f{self.bits_allocated // 8}")
        width = max(self.bits_allocated // 8, 1)
        return np.dtype(f"{'i' if self.signed else 'u'}{width}")

    @property
    def decoded_bytes(self) -> int:
        """The size of one decoded frame: the MB of every MB/s this project quotes."""
        return self.rows * self.columns * self.samples * self.dtype.itemsize

    @property
    def frame_bits(self) -> int:
        """The length in bits of one *uncompressed* frame in Pixel Data (PS3.5 §8.1.1, §8.2).

        Uncompressed YBR_FULL_422 holds two samples a pixel (PS3.3 §C.7.6.3.1.2).
        """
        samples = 2 if self.photometric in ("YBR_FULL_422", "YBR_PARTIAL_422") else self.samples
        return self.rows * self.columns * samples * self.bits_allocated

    def with_(self, **changes: Any) -> Self:
        """The same format with some attributes changed."""
        return replace(self, **changes)
