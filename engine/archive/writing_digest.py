"""SHA-256 and CRC-32 of bytes that are written to a file."""

from __future__ import annotations

import hashlib
import os
import zlib
from collections.abc import Buffer, Sequence

__all__ = ["WritingDigest"]


class WritingDigest:
    """Digests of what was written so far, of nothing at first. For one thread.

    The interpreter's lock is released for pieces of 2 KiB and more, and while they are written.
    """

    def __init__(self) -> None:
        self._sha256 = hashlib.sha256()
        self.crc32 = 0

    @property
    def sha256(self) -> str:
        """Hexadecimal."""
        return self._sha256.hexdigest()

    def write(self, descriptor: int, pieces: Sequence[Buffer]) -> None:
        """Write at most IOV_MAX pieces where the file stands, one after the other.

        OSError where that fails; how much was written then is not known.
        """
        for piece in pieces:
            self.update(piece)
        left = sum(memoryview(piece).nbytes for piece in pieces) - os.writev(descriptor, pieces)
        if left:  # the disk is about to be full, or there are more bytes than one call takes
            rest = memoryview(b"".join(pieces))[-left:]
            while rest.nbytes:
                rest = rest[os.write(descriptor, rest) :]

    def update(self, data: Buffer) -> None:
        """Digest bytes that are written."""
        self._sha256.update(data)
        self.crc32 = zlib.crc32(data, self.crc32)
