"""Blobs as files below one folder: ``blobs/ab/<key>``, made durable many at a time.

A group costs about one flush: write-back of all files is begun first, then all are synced side by
side (the first sync commits the file system's journal for all; without a journal the disk merges
what they flush), then each folder that got a name. A blob that is there is never written again:
its stamp stays.
"""

from __future__ import annotations

import fcntl
import os
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from ... import _native
from ...codecs.errors import IntegrityError, ResourceError, UsageError
from .blobs import Ready, is_key

__all__ = ["DirectoryBlobs", "collect_incoming", "require_key"]


class DirectoryBlobs:
    """The blobs of a local folder `root`, which is made where it is missing."""

    def __init__(self, root: Path) -> None:
        self._incoming = root / "incoming"
        self._quarantine = root / "quarantine"
        self._blobs = root / "blobs"
        self._named: set[str] = set()  # shards whose own name this process has synced
        try:
            for folder in (self._incoming, self._quarantine, self._blobs):
                folder.mkdir(parents=True, exist_ok=True)
            _sync_folders([str(root), str(self._blobs)])
        except OSError as error:
            raise ResourceError(f"the store cannot be opened: {error.strerror}") from error

    @property
    def incoming(self) -> Path:
        return self._incoming

    def commit(self, ready: Sequence[Ready]) -> None:
        """As `BlobStore.commit`. An existing blob of another length goes to the quarantine."""
        sources = [os.fsencode(item.path) for item in ready]
        targets = [os.fsencode(self._path(item.key)) for item in ready]
        try:
            _native.sync_files(sources)
            shards = {self._shard(item.key) for item in ready}
            unnamed = shards - self._named
            for shard in unnamed:
                _make_folder(shard)
            taken = _native.link_files(list(zip(sources, targets, strict=True)))
            # Whoever gave a blob or a shard its name may not have synced it yet: we answer for it.
            there = [targets[at] for at in taken if not self._place(ready[at])]
            _native.sync_files([*there, *map(os.fsencode, shards)])
            if unnamed:
                _sync_folders([str(self._blobs)])
                self._named |= unnamed
            # Only now: what is not durable yet stays to be committed again.
            _native.unlink_files(sources)
        except OSError as error:
            raise ResourceError(f"the store cannot be written: {error.strerror}") from error

    def size(self, key: str) -> int | None:
        try:
            return os.stat(self._path(key)).st_size
        except FileNotFoundError:
            return None
        except OSError as error:
            raise ResourceError(f"the store cannot be read: {error.strerror}") from error

    def path_of(self, key: str) -> str | None:
        return self._path(key)

    def read_at(self, key: str, offset_bytes: int, length_bytes: int, /) -> bytes:
        try:
            descriptor = os.open(self._path(key), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise IntegrityError("the blob is gone") from None
        except OSError as error:
            raise ResourceError(f"the store cannot be read: {error.strerror}") from error
        try:
            return _read_fully(descriptor, offset_bytes, length_bytes)
        except OSError as error:
            raise IntegrityError(f"the blob cannot be read: {error.strerror}") from error
        finally:
            os.close(descriptor)

    def remove(self, key: str) -> None:
        try:
            with suppress(FileNotFoundError):
                os.unlink(self._path(key))
        except OSError as error:
            raise ResourceError(f"the blob cannot be removed: {error.strerror}") from error

    def quarantine(self, key: str) -> None:
        path = self._path(key)
        try:
            with suppress(FileNotFoundError):
                os.rename(path, self._quarantine / f"{key}.{uuid.uuid4().hex[:8]}")
        except OSError as error:
            raise ResourceError(f"the blob cannot be set aside: {error.strerror}") from error

    def keys(self) -> Iterator[str]:
        try:
            shards = [entry.path for entry in os.scandir(self._blobs) if len(entry.name) == 2]
            for shard in shards:
                yield from filter(is_key, os.listdir(shard))
        except OSError as error:
            raise ResourceError(f"the store cannot be read: {error.strerror}") from error

    def dated_keys(self) -> Iterator[tuple[str, int]]:
        for key in self.keys():
            try:
                yield key, os.stat(self._path(key)).st_mtime_ns
            except FileNotFoundError:  # removed meanwhile
                continue
            except OSError as error:
                raise ResourceError(f"the store cannot be read: {error.strerror}") from error

    def collect(self, *, older_than_s: float) -> int:
        return collect_incoming(self._incoming, older_than_s=older_than_s)

    def _shard(self, key: str) -> str:
        return f"{self._blobs}/{key[:2]}"

    def _path(self, key: str) -> str:
        require_key(key)
        return f"{self._blobs}/{key[:2]}/{key}"

    def _place(self, item: Ready) -> bool:
        """Give the file its name; False where a whole blob has it. Others may do the same."""
        target = self._path(item.key)
        while True:
            try:
                os.link(item.path, target)
            except FileExistsError:
                held = self.size(item.key)
                if held is None:
                    continue  # it went meanwhile
                if held == os.stat(item.path).st_size:
                    return False
                self.quarantine(item.key)
            else:
                return True


def require_key(key: str) -> None:
    """Raise UsageError where `key` has not the form of a key: it would be part of a path."""
    if not is_key(key):
        raise UsageError("not the key of a blob")


def collect_incoming(incoming: Path, *, older_than_s: float, suffix: str = "") -> int:
    """Remove files that end so and are older, whose lock nobody holds; how many went."""
    removed, before = 0, time.time() - older_than_s
    try:
        names = os.listdir(incoming)
    except FileNotFoundError:
        return 0
    for name in names:
        if not name.endswith(suffix):
            continue
        path = incoming / name
        with suppress(OSError):  # gone meanwhile, locked by a living process, or no file
            if path.is_symlink() or not path.is_file() or path.stat().st_mtime > before:
                continue
            if not _is_locked(path.with_suffix("")) and _remove_unlocked(path):
                removed += 1
    return removed


def _is_locked(path: Path) -> bool:
    """Whether a living process holds the file: one that was made from it is that process's too."""
    try:
        with open(path, "rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        pass
    return False


def _remove_unlocked(path: Path) -> bool:
    with open(path, "rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink()
    return True


def _sync_folders(folders: Iterable[str]) -> None:
    _native.sync_files([os.fsencode(folder) for folder in folders])


def _make_folder(path: str) -> None:
    with suppress(FileExistsError):
        os.mkdir(path)


def _read_fully(descriptor: int, offset_bytes: int, length_bytes: int) -> bytes:
    data = os.pread(descriptor, length_bytes, offset_bytes)
    while data and len(data) < length_bytes:
        more = os.pread(descriptor, length_bytes - len(data), offset_bytes + len(data))
        if not more:
            break
        data += more
    return data
