"""Keeps the folder of renditions within a size: what was used longest ago goes first.

Several processes share one folder: each counts what it adds and looks at the whole folder when
that may be too much, or after some minutes; one at a time evicts. A rendition that is being sent
stays readable for whoever has it open. Part files of dead processes count, and are collected
after a day: until then the next build goes on from them.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from .frame_digests import digests_path
from .kept_pieces import pieces_path
from .part_file import is_part_file

__all__ = [
    "RenditionCache",
    "StoredFile",
    "collect_parts",
    "default_cache_bytes",
    "list_renditions",
    "remove_rendition",
]

_LOCK = ".cache-lock"
_LOOK_EVERY_S = 300.0
_DOWN_TO = 0.9
_PARTS_KEPT_S = 24 * 3600.0
_DEFAULT_SHARE = 10
_DEFAULT_BYTES = 20_000_000_000


def default_cache_bytes(folder: Path) -> int:
    """20 GB, or a tenth of the disk that `folder` is on, or will be, where that is less."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return min(_DEFAULT_BYTES, shutil.disk_usage(folder).total // _DEFAULT_SHARE)


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A rendition with what lies beside it, on the disk."""

    key: str
    path: Path
    size_bytes: int
    used_ns: int


class RenditionCache:
    """The bound of the renditions under `root`. Safe in threads and between processes."""

    def __init__(self, root: Path, *, limit_bytes: int) -> None:
        self.root = root
        self.limit_bytes = limit_bytes
        self._guard = threading.Lock()
        self._held_bytes = 0
        self._looked_s: float | None = None

    def has_room(self, size_bytes: int = 0) -> bool:
        """Whether that much fits without an eviction, as far as this process knows."""
        with self._guard:
            self._look_if_due()
            return self._held_bytes + size_bytes <= self.limit_bytes * _DOWN_TO

    def added(self, key: str) -> list[str]:
        """Count the rendition `key`, built just now; make room, at the cost of others.

        Returns the keys of those that went: down to nine tenths of the limit. `key` stays, even
        where it is larger than the limit alone.
        """
        path = self.root / key[:2] / f"{key}.dcm"
        with self._guard:
            if not self._look_if_due():
                self._held_bytes += _size(path) + _size(digests_path(path))
            if self._held_bytes <= self.limit_bytes:
                return []
            with _alone(self.root) as alone:
                return self._evict({key}) if alone else []

    def _look_if_due(self) -> bool:
        now = time.monotonic()
        if self._looked_s is not None and now - self._looked_s < _LOOK_EVERY_S:
            return False
        self._looked_s = now
        self._held_bytes = sum(file.size_bytes for file in list_renditions(self.root))
        self._held_bytes += collect_parts(self.root, older_than_s=_PARTS_KEPT_S).left_bytes
        return True

    def _evict(self, spared: Collection[str]) -> list[str]:
        held = sorted(list_renditions(self.root), key=lambda file: (file.used_ns, file.key))
        parts = collect_parts(self.root, older_than_s=_PARTS_KEPT_S).left_bytes
        total = sum(file.size_bytes for file in held) + parts
        gone = []
        if total > self.limit_bytes:
            for file in held:
                if total <= self.limit_bytes * _DOWN_TO:
                    break
                if file.key in spared:
                    continue
                remove_rendition(file.path)
                gone.append(file.key)
                total -= file.size_bytes
        self._held_bytes = total
        return gone


@dataclass(frozen=True, slots=True)
class PartsCollected:
    """What became of part files: how many went, and what those are long that stay."""

    removed: int
    removed_bytes: int
    left_bytes: int


def list_renditions(root: Path) -> Iterator[StoredFile]:
    """Every rendition under `root`, in no order; what lies beside one that is gone is one, too."""
    for folder in _folders(root):
        sizes: dict[str, list[os.stat_result]] = {}
        for item in _items(folder):
            stem, dot, suffix = item.name.partition(".")
            if not dot or suffix not in ("dcm", "digests", "pieces") or not stem:
                continue
            with suppress(FileNotFoundError):
                status = item.stat(follow_symlinks=False)
                sizes.setdefault(stem, []).append(status)
        for key, found in sizes.items():
            size = sum(status.st_size for status in found)
            used = max(status.st_mtime_ns for status in found)
            yield StoredFile(key, Path(folder, f"{key}.dcm"), size, used)


def remove_rendition(path: Path) -> None:
    """Remove a rendition and what lies beside it."""
    for each in (path, digests_path(path), pieces_path(path)):
        each.unlink(missing_ok=True)


def collect_parts(root: Path, *, older_than_s: float, dry_run: bool = False) -> PartsCollected:
    """Remove the part files under `root` that nobody writes and that are that old."""
    removed = removed_bytes = left = 0
    oldest = time.time() - older_than_s
    for folder in _folders(root):
        for item in _items(folder):
            if not is_part_file(Path(item.name)):
                continue
            with suppress(FileNotFoundError):
                status = item.stat(follow_symlinks=False)
                if status.st_mtime > oldest or not _is_abandoned(item.path, dry_run=dry_run):
                    left += status.st_size
                    continue
                removed += 1
                removed_bytes += status.st_size
    return PartsCollected(removed, removed_bytes, left)


def _is_abandoned(path: str, *, dry_run: bool) -> bool:
    """Whether nobody holds it or the part beside it; then it is gone, but for `dry_run`."""
    part = os.path.splitext(path)[0] + ".part"
    descriptors = []
    try:
        for name in dict.fromkeys((part, path)):
            with suppress(FileNotFoundError):
                descriptors.append(os.open(name, os.O_RDWR | os.O_CLOEXEC))
                fcntl.flock(descriptors[-1], fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    else:
        if not dry_run:
            with suppress(FileNotFoundError):
                os.unlink(path)
        return True
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def _folders(root: Path) -> Iterator[str]:
    for item in _items(str(root)):
        if len(item.name) == 2 and item.is_dir(follow_symlinks=False):
            yield item.path


def _items(folder: str) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as items:
            yield from items
    except FileNotFoundError:
        return


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


@contextmanager
def _alone(root: Path) -> Iterator[bool]:
    """Hold the folder against other processes that evict; False where one does just now."""
    descriptor = os.open(root / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o660)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
    finally:
        os.close(descriptor)
