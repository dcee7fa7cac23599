"""A store that tells of blobs which are not there: whoever had seen them believes it no more."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from ...codecs.errors import IntegrityError
from .blobs import BlobStore, Ready

__all__ = ["WatchedBlobs"]


class WatchedBlobs:
    """The blobs of `blobs`; `on_lost` is called with the key of one that is found missing."""

    def __init__(self, blobs: BlobStore, *, on_lost: Callable[[str], None]) -> None:
        self._blobs = blobs
        self._on_lost = on_lost

    @property
    def incoming(self) -> Path:
        return self._blobs.incoming

    def commit(self, ready: Sequence[Ready]) -> None:
        self._blobs.commit(ready)

    def size(self, key: str) -> int | None:
        size_bytes = self._blobs.size(key)
        if size_bytes is None:
            self._on_lost(key)
        return size_bytes

    def path_of(self, key: str) -> str | None:
        return self._blobs.path_of(key)

    def read_at(self, key: str, offset_bytes: int, length_bytes: int, /) -> bytes:
        try:
            data = self._blobs.read_at(key, offset_bytes, length_bytes)
        except IntegrityError:
            self._on_lost(key)
            raise
        if len(data) < length_bytes:  # at its end, or it is another than it was: look again
            self._on_lost(key)
        return data

    def remove(self, key: str) -> None:
        self._blobs.remove(key)
        self._on_lost(key)

    def quarantine(self, key: str) -> None:
        self._blobs.quarantine(key)
        self._on_lost(key)

    def keys(self) -> Iterator[str]:
        return self._blobs.keys()

    def dated_keys(self) -> Iterator[tuple[str, int]]:
        return self._blobs.dated_keys()

    def collect(self, *, older_than_s: float) -> int:
        return self._blobs.collect(older_than_s=older_than_s)
