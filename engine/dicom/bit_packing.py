"""Frames of Bits Allocated 1 joined bit by bit, as Pixel Data wants them (PS3.5 §8.2).

Holds less than a byte between frames; other frames pass through untouched.
"""

from __future__ import annotations

from ...codecs.pixels import Buffer

__all__ = ["BitPacker"]


class BitPacker:
    """Joins frames of `frame_bits` bits each; every frame is given from bit 0 of its bytes."""

    def __init__(self, *, frame_bits: int) -> None:
        self._frame_bits = frame_bits
        self._carry = 0
        self._carry_bits = 0

    def pack(self, frame: Buffer) -> Buffer:
        """The bytes that are complete once `frame` follows the frames before it."""
        if self._frame_bits % 8 == 0:
            return frame
        # Little-endian integers keep DICOM's order: the first pixel is the lowest bit.
        bits = int.from_bytes(frame, "little") & ((1 << self._frame_bits) - 1)
        joined = self._carry | bits << self._carry_bits
        whole, self._carry_bits = divmod(self._carry_bits + self._frame_bits, 8)
        self._carry = joined >> (8 * whole)
        return (joined & ((1 << (8 * whole)) - 1)).to_bytes(whole, "little")

    def rest(self) -> bytes:
        """The last byte, filled up with zeros, where the frames did not end on one."""
        return bytes([self._carry]) if self._carry_bits else b""
