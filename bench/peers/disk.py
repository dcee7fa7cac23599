"""What the disk gives: the same bytes in plain files, synced once before anybody is told."""

from __future__ import annotations

import itertools
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from measure import Contender

__all__ = ["disk_limit", "settle"]

_PIECE = 1 << 20


def settle() -> None:
    """Have everything on the disk that was written before, so that no trial waits for it."""
    os.sync()


def disk_limit(paths: Sequence[Path], folder: Path, *, at_once: bool) -> Contender:
    """Write the bytes of `paths` to files in `folder` and sync them: together, or one by one."""
    counter = itertools.count()

    def trial() -> float:
        target = folder / f"disk-{next(counter)}"
        target.mkdir(parents=True)
        settle()
        started = time.perf_counter()
        names = [target / path.name for path in paths]
        for path, name in zip(paths, names, strict=True):
            _write(_pieces(path), name, os.fsync if not at_once else None)
        if at_once:
            for name in names:
                _synced(name)
        _synced(target)
        seconds = time.perf_counter() - started
        assert sum(name.stat().st_size for name in names) == sum(p.stat().st_size for p in paths)
        shutil.rmtree(target)
        return seconds

    return Contender("disk", trial)


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb", buffering=0) as file:
        while piece := file.read(_PIECE):
            yield piece


def _write(pieces: Iterator[bytes], path: Path, sync: Callable[[int], None] | None) -> None:
    with path.open("xb", buffering=0) as file:
        for piece in pieces:
            file.write(piece)
        if sync is not None:
            sync(file.fileno())


def _synced(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
