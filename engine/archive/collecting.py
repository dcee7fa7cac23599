"""What an archive no longer needs: blobs that nothing refers to, and what died half-made.

A blob is removed only if no instance refers to it, it is older than a grace period, and no ingest
is between its blobs and its catalogue (`removal_lock`). Where blobs tell no time, that period
counts from when a collection first saw the blob unneeded. A catalogue that is to be rebuilt does
not know what is needed: then no blob goes.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import batched
from pathlib import Path

from sqlalchemy import select

from ...codecs.errors import UsageError
from .blobs import BlobStore, is_key
from .catalogue import Catalogue
from .catalogues import CATALOGUE_NAME
from .part_file import scratch_path
from .removal_lock import RemovalLock
from .rendition_cache import StoredFile, list_renditions, remove_rendition
from .tables import instances

__all__ = [
    "Collected",
    "collect_blobs",
    "collect_copies",
    "collect_old_catalogues",
    "collect_renditions",
]

_AT_ONCE = 100
_SEEN = "unneeded.json"
_MOST_SEEN = 1_000_000


@dataclass(frozen=True, slots=True)
class Collected:
    """How many went, or would, and how long they were."""

    count: int = 0
    size_bytes: int = 0


def collect_blobs(
    blobs: BlobStore,
    catalogue: Catalogue,
    *,
    folder: Path,
    grace_s: float,
    dry_run: bool = False,
    on_progress: Callable[[int], None] = lambda _: None,
) -> Collected:
    """Remove the blobs that no instance refers to; what was first seen when is in `folder`.

    `on_progress` is told how many blobs were looked at since the last call.

    Raises
    ------
    UsageError
        The catalogue is to be rebuilt first: it does not know every blob.
    """
    if catalogue.needs_rebuild:
        raise UsageError("the catalogue does not know every blob: `mersey store rebuild` first")
    needed = set(catalogue.blob_keys())
    seen = _FirstSeen(folder / _SEEN)
    candidates = []
    for keys in batched(blobs.keys(), _AT_ONCE):
        candidates += [key for key in keys if key not in needed]
        on_progress(len(keys))
    old = [key for key in candidates if _since(blobs, key, seen) + grace_s <= time.time()]
    count = size_bytes = 0
    lock = RemovalLock(blobs.incoming, catalogue.database)
    for keys in batched(old, _AT_ONCE):
        with lock.removing(wait=True):
            still = set(keys) - _referred_to(catalogue, keys)
            for key in sorted(still):
                size = blobs.size(key)
                if size is None or _since(blobs, key, seen) + grace_s > time.time():
                    continue
                if not dry_run:
                    blobs.remove(key)
                count += 1
                size_bytes += size
    if not dry_run:
        seen.keep(candidates)
    return Collected(count, size_bytes)


def _since(blobs: BlobStore, key: str, seen: _FirstSeen) -> float:
    path = blobs.path_of(key)
    if path is not None:
        with suppress(FileNotFoundError):
            status = os.stat(path)
            return max(status.st_mtime, status.st_ctime)
    return seen.at(key)


def _referred_to(catalogue: Catalogue, keys: Iterable[str]) -> set[str]:
    column = instances.c.blob_key
    with catalogue.database.reading() as connection:
        return set(connection.scalars(select(column).where(column.in_(list(keys)))))


class _FirstSeen:
    """When blobs were first seen unneeded, in a file; a damaged one counts as none."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._times: dict[str, float] = {}
        with suppress(OSError, ValueError, TypeError, AttributeError):
            found = json.loads(path.read_bytes())
            self._times = {key: float(at) for key, at in found.items() if is_key(key)}

    def at(self, key: str) -> float:
        if len(self._times) < _MOST_SEEN:
            self._times.setdefault(key, time.time())
        return self._times.get(key, time.time())

    def keep(self, keys: Iterable[str]) -> None:
        """Keep the times of those of `keys` that have one."""
        kept = {key: self._times[key] for key in keys if key in self._times}
        if not kept:
            self._path.unlink(missing_ok=True)
            return
        part = scratch_path(self._path, "part")
        part.write_text(json.dumps(kept))
        os.replace(part, self._path)


def collect_renditions(
    root: Path, wanted: Collection[str], *, grace_s: float, dry_run: bool = False
) -> Collected:
    """Remove renditions whose key is not among `wanted`: of other versions, or without source."""
    oldest_ns = (time.time() - grace_s) * 1e9
    gone: list[StoredFile] = []
    for file in list_renditions(root):
        if file.key in wanted and file.path.exists():
            continue
        if file.used_ns <= oldest_ns:
            gone.append(file)
            if not dry_run:
                remove_rendition(file.path)
    return Collected(len(gone), sum(file.size_bytes for file in gone))


def collect_copies(folder: Path, *, grace_s: float, dry_run: bool = False) -> Collected:
    """Remove local copies of blobs that were made or used longer ago than `grace_s`."""
    return _remove(_files(folder), grace_s=grace_s, dry_run=dry_run)


def collect_old_catalogues(store: Path, *, grace_s: float, dry_run: bool = False) -> Collected:
    """Remove SQLite catalogues of other versions that were moved aside that long ago."""
    old = (path for path in store.glob(f"{CATALOGUE_NAME}.*.old") if path.is_file())
    return _remove(old, grace_s=grace_s, dry_run=dry_run)


def _files(folder: Path) -> Iterator[Path]:
    for parent, _, names in os.walk(folder):
        yield from (Path(parent, name) for name in names)


def _remove(paths: Iterable[Path], *, grace_s: float, dry_run: bool) -> Collected:
    count = size_bytes = 0
    for path in paths:
        with suppress(FileNotFoundError):
            status = path.stat()
            if max(status.st_mtime, status.st_ctime, status.st_atime) + grace_s > time.time():
                continue
            if not dry_run:
                path.unlink()
            count += 1
            size_bytes += status.st_size
    return Collected(count, size_bytes)
