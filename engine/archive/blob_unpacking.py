"""The original bytes of a blob out of the bytes that are kept, in bounded memory.

A few bytes of zstd can stand for gigabytes (RFC 8878 §3.1.1.2.3: four for 128 KiB): they are
taken apart a little at a time.
"""

from __future__ import annotations

from collections.abc import Iterator

import zstandard

from ...codecs.errors import IntegrityError
from .blobs import is_compressed

__all__ = ["BlobUnpacking"]

_SLICE_BYTES = 1024  # becomes 32 MiB at the most


class BlobUnpacking:
    """Takes what is kept under `key`, in order, and gives the original."""

    def __init__(self, key: str) -> None:
        self._feed = zstandard.ZstdDecompressor().decompressobj() if is_compressed(key) else None

    def feed(self, kept: bytes) -> Iterator[bytes]:
        """The original bytes that `kept`, the next of the blob, gives.

        Raises
        ------
        IntegrityError
            It is no zstd frame where it should be one.
        """
        if self._feed is None:
            yield kept
            return
        try:
            for start in range(0, len(kept), _SLICE_BYTES):
                if data := self._feed.decompress(kept[start : start + _SLICE_BYTES]):
                    yield data
        except zstandard.ZstdError as error:
            raise IntegrityError(f"the blob does not decompress: {error}") from error

    def finish(self) -> None:
        """Raise IntegrityError where the blob ended too early, or too late."""
        if self._feed is not None:
            if not self._feed.eof:
                raise IntegrityError("the blob is cut short")
            if self._feed.unused_data:
                raise IntegrityError("the blob goes on behind its end")
