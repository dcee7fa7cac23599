"""The catalogue made anew from the blobs alone.

Every blob is read, compared with its key and described; where two hold the same instance, the
newer blob is kept (`newest last`). An instance was received when its blob was put into the store. A
SQLite catalogue is made beside the old one and takes its place in one step, the old one is moved
aside; one on PostgreSQL is emptied and filled, and says until the end that it is to be rebuilt.
Files in place are found again by the next scan.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from itertools import batched
from pathlib import Path

from ...codecs.errors import MerseyError, ResourceError
from .blobs import BlobStore
from .catalogue import Catalogue
from .catalogues import CATALOGUE_NAME, open_catalogue
from .describing import Described
from .stored import StoredInstance
from .verifying import submit_in_order

__all__ = ["Rebuilt", "rebuild"]

_AT_ONCE = 200


@dataclass(slots=True)
class Rebuilt:
    """What a rebuild found. `unread` are the blobs that are no instance, or damaged, and why."""

    blobs: int = 0
    size_bytes: int = 0
    instances: int = 0
    replaced: int = 0
    unread: list[tuple[str, str]] = field(default_factory=list)


def rebuild(
    blobs: BlobStore,
    store: Path,
    url: str | None,
    *,
    describe: Callable[[str], Future[Described]],
    ahead: int,
    on_progress: Callable[[int, int], None] = lambda _count, _size: None,
) -> Rebuilt:
    """Make the catalogue of `store`, or the one at `url`, anew.

    Parameters
    ----------
    describe
        Has `describe_blob` run for a key; `ahead` of them are under way at once.
    on_progress
        Told how many blobs, and bytes of them, were read since the last call.

    Raises
    ------
    ResourceError
        A server has the SQLite catalogue open, or it cannot be written. The old one stays.
    """
    if url is not None:
        catalogue = open_catalogue(store, url, anew=True)
        try:
            done = _fill(catalogue, blobs, describe, ahead, on_progress)
            catalogue.rebuilt()
        finally:
            catalogue.close()
        return done
    path = store / CATALOGUE_NAME
    _refuse_if_open(path)
    made = path.with_name(f"{CATALOGUE_NAME}.rebuilding")
    _remove(made)
    catalogue = Catalogue.open(made)
    try:
        done = _fill(catalogue, blobs, describe, ahead, on_progress)
    finally:
        catalogue.close()
    _refuse_if_open(path)
    _keep_aside(path)
    os.replace(made, path)
    _remove(made)
    return done


def _keep_aside(path: Path) -> None:
    """A second name for the old catalogue; the first is there at every moment."""
    old = path.with_name(f"{path.name}.before-rebuild.old")
    if path.exists():
        old.unlink(missing_ok=True)
        os.link(path, old)


def _fill(
    catalogue: Catalogue,
    blobs: BlobStore,
    describe: Callable[[str], Future[Described]],
    ahead: int,
    on_progress: Callable[[int, int], None],
) -> Rebuilt:
    done = Rebuilt()
    known: set[str] = set()
    while True:
        # What came meanwhile is newer than all before it.
        new = {key: time_ns for key, time_ns in blobs.dated_keys() if key not in known}
        if not new:
            return done
        known |= new.keys()
        oldest_first = sorted(new, key=lambda key: (new[key], key))
        described = _described(oldest_first, describe, ahead, done, on_progress)
        for group in batched(described, _AT_ONCE):
            times = [new[one.blob_key] for one in group]
            outcomes = catalogue.store(list(group), on_conflict="replace", received=times)
            done.instances += sum(one.outcome == "new" for one in outcomes)
            done.replaced += sum(one.outcome == "replaced" for one in outcomes)


def _described(
    keys: Iterable[str],
    describe: Callable[[str], Future[Described]],
    ahead: int,
    done: Rebuilt,
    on_progress: Callable[[int, int], None],
) -> Iterator[StoredInstance]:
    for key, future in submit_in_order(keys, describe, ahead=ahead):
        try:
            found = future.result()
        except MerseyError as error:
            found = Described(key, 0, message=error.message)
        done.blobs += 1
        done.size_bytes += found.size_bytes
        on_progress(1, found.size_bytes)
        if found.stored is None:
            done.unread.append((key, found.message))
        else:
            yield found.stored


def _refuse_if_open(path: Path) -> None:
    """A WAL lies beside a SQLite database for as long as somebody has it open, or died with it."""
    if not path.exists() or not path.with_name(f"{path.name}-wal").exists():
        return
    Catalogue.open(path).close()  # whoever closes it last takes the WAL away
    if path.with_name(f"{path.name}-wal").exists():
        raise ResourceError(f"another process has {path} open: stop it first")


def _remove(path: Path) -> None:
    for suffix in ("", "-wal", "-shm", ".lock"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
