"""Folders indexed in place: which files are new, changed or gone, and what they are.

Reads headers only, and of a file that was looked at before only its stat. Writes nothing in
the folders. What a scan has found is in the catalogue batch by batch, so that it can be served
while the scan goes on. Blocks: a server runs it in a thread.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import dataclass, field
from pathlib import Path
from stat import S_ISREG
from threading import Event

from ...codecs.errors import MerseyError
from ..transfer.body import FileStamp
from .catalogue import Catalogue
from .entry import Entry, stamp_of
from .indexed_file import IndexedFile, index_file, index_files
from .part_file import is_part_file

__all__ = ["FolderIndex", "ScanProgress"]

_BATCH_FILES = 32
_BATCHES_AHEAD = 4


@dataclass(slots=True)
class ScanProgress:
    """Counts of a scan so far; `broken` names the files that claim to be DICOM in vain."""

    seen: int = 0
    unchanged: int = 0
    instances: int = 0
    duplicates: int = 0
    other: int = 0
    gone: int = 0
    broken: list[tuple[str, str]] = field(default_factory=list)
    done: bool = False


@dataclass(frozen=True, slots=True)
class _Batch:
    folder: str
    names: tuple[str, ...]


class FolderIndex:
    """The folders `roots` and the catalogue that knows what is in them."""

    def __init__(self, catalogue: Catalogue, roots: Sequence[Path]) -> None:
        self.catalogue = catalogue
        self.roots = tuple(Path(os.path.abspath(root)) for root in roots)

    def scan(
        self,
        *,
        executor: Executor,
        on_progress: Callable[[ScanProgress], None] = lambda _: None,
        stop: Event | None = None,
    ) -> ScanProgress:
        """Bring the catalogue up to date with the folders.

        Parameters
        ----------
        executor
            Reads the headers of new and changed files.
        on_progress
            Called after each batch, with the same object every time.
        stop
            When set, the scan ends early; what it has found stays.
        """
        stop = stop or Event()
        progress = ScanProgress()
        visited: set[str] = set()
        pending: dict[Future[list[IndexedFile]], _Batch] = {}
        for batch in self._batches(progress, visited, stop):
            pending[executor.submit(index_files, batch.folder, batch.names)] = batch
            if len(pending) >= _BATCHES_AHEAD:
                self._collect(pending, executor, progress, on_progress)
        while pending and not stop.is_set():
            self._collect(pending, executor, progress, on_progress)
        for future in pending:
            future.cancel()
        if not stop.is_set():
            self._forget_folders(visited, progress)
            progress.done = True
        on_progress(progress)
        return progress

    def refresh(self, entry: Entry) -> None:
        """Look at the file of `entry` again, because it is not what it was."""
        folder, name = os.path.split(entry.path)
        found = index_file(folder, name)
        if found is None:
            self.catalogue.forget(folder, [name])
        else:
            self.catalogue.add([found])

    def _batches(self, progress: ScanProgress, visited: set[str], stop: Event) -> Iterator[_Batch]:
        """What is to be looked at; ends early when `stop` is set."""
        for root in self.roots:
            for folder, stamps in _walk(str(root), visited):
                if stop.is_set():
                    return
                known = self.catalogue.known_files(folder)
                gone = [name for name in known if name not in stamps]
                if gone:
                    self.catalogue.forget(folder, gone)
                    progress.gone += len(gone)
                progress.seen += len(stamps)
                changed = [name for name in sorted(stamps) if _is_new(stamps[name], known, name)]
                progress.unchanged += len(stamps) - len(changed)
                for start in range(0, len(changed), _BATCH_FILES):
                    yield _Batch(folder, tuple(changed[start : start + _BATCH_FILES]))

    def _collect(
        self,
        pending: dict[Future[list[IndexedFile]], _Batch],
        executor: Executor,
        progress: ScanProgress,
        on_progress: Callable[[ScanProgress], None],
    ) -> None:
        """Wait for some batch and put what it found into the catalogue."""
        done, _ = wait(pending, return_when=FIRST_COMPLETED)
        for future in done:
            batch = pending.pop(future)
            try:
                found = future.result()
            except MerseyError as error:
                # A file took its worker along: find out which, one by one.
                found = _singly(batch, executor, error)
            for file, outcome in zip(found, self.catalogue.add(found), strict=True):
                if outcome == "instance":
                    progress.instances += 1
                elif outcome == "duplicate":
                    progress.duplicates += 1
                elif outcome == "broken":
                    progress.broken.append((file.path, file.message))
                else:
                    progress.other += 1
        on_progress(progress)

    def _forget_folders(self, visited: set[str], progress: ScanProgress) -> None:
        for folder in self.catalogue.folders():
            if folder not in visited:
                names = list(self.catalogue.known_files(folder))
                self.catalogue.forget(folder, names)
                progress.gone += len(names)


def _singly(batch: _Batch, executor: Executor, error: MerseyError) -> list[IndexedFile]:
    found = []
    for name in batch.names:
        try:
            if len(batch.names) == 1:
                raise error
            found += executor.submit(index_files, batch.folder, (name,)).result()
        except MerseyError as cause:
            path = os.path.join(batch.folder, name)
            try:
                stamp = stamp_of(os.stat(path))
            except (OSError, MerseyError):
                continue
            found.append(IndexedFile(batch.folder, name, stamp, "broken", message=str(cause)))
    return found


def _is_new(stamp: FileStamp, known: dict[str, tuple[FileStamp, str]], name: str) -> bool:
    return name not in known or known[name][0] != stamp


def _walk(root: str, visited: set[str]) -> Iterator[tuple[str, dict[str, FileStamp]]]:
    """Each folder under `root` with its regular files; links to folders are not followed.

    A folder that may not be read counts as visited: what is known of it is kept.
    """
    waiting = [root]
    while waiting:
        folder = waiting.pop()
        if folder in visited:
            continue
        visited.add(folder)
        stamps: dict[str, FileStamp] = {}
        below = []
        try:
            with os.scandir(folder) as listing:
                for item in listing:
                    if item.is_dir(follow_symlinks=False):
                        below.append(item.path)
                    elif (stamp := _stamp(item)) is not None:
                        stamps[item.name] = stamp
        except FileNotFoundError:
            visited.discard(folder)
            continue
        except OSError:
            continue
        waiting += sorted(below, reverse=True)
        yield folder, stamps


def _stamp(item: os.DirEntry[str]) -> FileStamp | None:
    try:
        status = item.stat()
    except OSError:
        return None
    if not S_ISREG(status.st_mode) or is_part_file(Path(item.name)):
        return None
    return stamp_of(status)
