"""Local files with the original bytes of blobs that are compressed or elsewhere.

A copy is made once, checked against the digest in its key while it is made, and published by
rename. The ones used longest ago go when there are too many. Several processes may share a
folder: whoever is first publishes, and a copy that is gone is made again.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import threading
import uuid
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from ...codecs.errors import IntegrityError, ResourceError
from .blob_unpacking import BlobUnpacking
from .blobs import BlobStore
from .directory_blobs import collect_incoming, require_key

__all__ = ["LocalCopies"]

_PIECE_BYTES = 4 << 20
_PART = ".part"
_ABANDONED_S = 3600.0


@dataclass(slots=True)
class _Making:
    """The lock of one key, for as long as somebody here wants it."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    askers: int = 0


class LocalCopies:
    """Copies in `folder`, at most `limit_bytes` of them beside the newest. Safe in threads."""

    def __init__(self, folder: Path, limit_bytes: int) -> None:
        self._folder = folder
        self._limit_bytes = limit_bytes
        self._lock = threading.Lock()
        self._making: dict[str, _Making] = {}
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ResourceError(f"no folder for copies: {error.strerror}") from error

    def find(self, key: str) -> str | None:
        """The copy of the blob `key`, if there is one; it counts as used now."""
        path = self._path(key)
        try:
            os.utime(path)
        except OSError:
            return None
        return path

    def get(self, key: str, blobs: BlobStore) -> str:
        """The copy of the blob `key`, made first where there is none. Blocks.

        Raises
        ------
        IntegrityError
            The blob is gone, or its bytes are not those that its key names.
        ResourceError
            The copy cannot be written.
        """
        require_key(key)
        with self._lock:
            making = self._making.setdefault(key, _Making())
            making.askers += 1
        try:
            with making.lock:
                return self.find(key) or self._make(key, blobs)
        finally:
            with self._lock:
                making.askers -= 1
                if not making.askers:
                    del self._making[key]

    def trim(self, *, keep: str = "") -> None:
        """Remove the copies used longest ago until the rest is within the limit."""
        found = []
        with os.scandir(self._folder) as entries:
            for entry in entries:
                if not entry.name.endswith(_PART) and entry.is_file(follow_symlinks=False):
                    with suppress(OSError):
                        status = entry.stat()
                        found.append((status.st_mtime_ns, status.st_size, entry.path))
        total = sum(size for _, size, _ in found)
        for _, size_bytes, path in sorted(found):
            if total <= self._limit_bytes:
                break
            if path != keep:
                with suppress(OSError):
                    os.unlink(path)
                total -= size_bytes
        collect_incoming(self._folder, older_than_s=_ABANDONED_S, suffix=_PART)

    def _path(self, key: str) -> str:
        return str(self._folder / key.removesuffix(".zst"))

    def _make(self, key: str, blobs: BlobStore) -> str:
        path = self._path(key)
        part = str(self._folder / f"{uuid.uuid4().hex}{_PART}")
        try:
            with open(part, "xb", buffering=0) as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                _copy(key, blobs, file.fileno())
                os.rename(part, path)
            self.trim(keep=path)
        except OSError as error:
            raise ResourceError(f"no copy of a blob can be written: {error.strerror}") from error
        finally:
            with suppress(OSError):
                os.unlink(part)
        return path


def _copy(key: str, blobs: BlobStore, descriptor: int) -> None:
    """Write the original bytes of a blob, or raise IntegrityError: never more than a piece held."""
    kept_bytes = blobs.size(key)
    if kept_bytes is None:
        raise IntegrityError("the blob is gone")
    digest = hashlib.sha256()
    unpacking = BlobUnpacking(key)
    position = 0
    while position < kept_bytes:
        data = blobs.read_at(key, position, min(_PIECE_BYTES, kept_bytes - position))
        if not data:
            raise IntegrityError("the blob is shorter than it was")
        position += len(data)
        for original in unpacking.feed(data):
            digest.update(original)
            view = memoryview(original)
            while view:
                view = view[os.write(descriptor, view) :]
    unpacking.finish()
    if digest.hexdigest() != key[:64]:
        raise IntegrityError("the blob has other bytes than its key names")
