"""The pieces that a frame's codestream is sent in: where each ends, and its digest.

A digest of each piece, not of the frame: an image of low resolution is shown, and has to be
right, long before the rest of its frame comes.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Self

from ...codecs.pixels import Buffer

__all__ = ["PIECE_DIGEST_BYTES", "FramePieces"]

PIECE_DIGEST_BYTES = 32
"""SHA-256, which Content-Digest tells whole (RFC 9530 §5)."""


@dataclass(frozen=True, slots=True)
class FramePieces:
    """One frame's pieces; reductions count halvings.

    `cut_points` has at ``[r]`` the length of the prefix that makes the image at reduction `r`,
    the whole frame at ``[0]``. `digests` has for each, in that order, the SHA-256 of what this
    prefix has more than the one at ``[r + 1]``.
    """

    cut_points: tuple[int, ...]
    digests: bytes

    @classmethod
    def of(cls, data: Buffer, cut_points: tuple[int, ...]) -> Self:
        """The pieces of the frame `data`."""
        view = memoryview(data)
        starts = (*cut_points[1:], 0)
        digests = [
            hashlib.sha256(view[start:stop]).digest()
            for start, stop in zip(starts, cut_points, strict=True)
        ]
        return cls(cut_points, b"".join(digests))

    def digest(self, cut: int) -> bytes:
        """The SHA-256 of the piece that ends at ``cut_points[cut]``."""
        return self.digests[cut * PIECE_DIGEST_BYTES : (cut + 1) * PIECE_DIGEST_BYTES]
