"""SHA-256 and CRC-32 of bytes that are written to a file, in one call where the processor can."""

from __future__ import annotations

import hashlib
import os
import zlib
from collections.abc import Buffer, Sequence

from ..._native import WritingDigest, has_digest_instructions

__all__ = ["PlainWritingDigest", "writing_digest"]


def writing_digest() -> WritingDigest | PlainWritingDigest:
    """A new one, of no bytes yet; the native one where the processor has its instructions."""
    return WritingDigest() if _HAS_INSTRUCTIONS else PlainWritingDigest()


class PlainWritingDigest:
    """What the native `WritingDigest` does, by the standard library. For one thread."""

    def __init__(self) -> None:
        self._sha256 = hashlib.sha256()
        self.crc32 = 0

    @property
    def sha256(self) -> str:
        """Hexadecimal."""
        return self._sha256.hexdigest()

    def write(self, descriptor: int, pieces: Sequence[Buffer]) -> None:
        """Write pieces where the file stands, one after the other. OSError where it fails."""
        # Joining costs a copy of what is read three times anyway; many small calls cost more.
        view = memoryview(pieces[0] if len(pieces) == 1 else b"".join(pieces))
        self.update(view)
        while view.nbytes:
            view = view[os.write(descriptor, view) :]

    def update(self, data: Buffer) -> None:
        """Digest bytes that are written."""
        self._sha256.update(data)
        self.crc32 = zlib.crc32(data, self.crc32)


_HAS_INSTRUCTIONS = has_digest_instructions()
