"""Reads the bit fields of JPEG XL headers (ISO/IEC 18181-1 Annex B), least significant first."""

from __future__ import annotations

from .errors import CodestreamError

__all__ = ["JxlBits"]

type _Choices = tuple[tuple[int, int], tuple[int, int], tuple[int, int], tuple[int, int]]


class JxlBits:
    """A position in `data`, which moves as fields are taken."""

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data, "little")
        self._left = 8 * len(data)

    def take(self, count: int) -> int:
        """``u(count)``.

        Raises
        ------
        CodestreamError
            The data ends first.
        """
        if count > self._left:
            raise CodestreamError("the JPEG XL codestream ends within its headers")
        found = self._value & ((1 << count) - 1)
        self._value >>= count
        self._left -= count
        return found

    def flag(self) -> bool:
        """``Bool()``."""
        return self.take(1) == 1

    def choose(self, choices: _Choices) -> int:
        """``U32``: two bits choose one of four (offset, bits): offset + u(bits)."""
        offset, bits = choices[self.take(2)]
        return offset + self.take(bits)
