"""Folders indexed in place: which files are new, changed or gone, and what they are.

Reads headers only, and of a file that was looked at before only its stat. Writes nothing in
the folders. What a scan has found is in the catalogue batch by batch, so that it can be served
while the scan goes on. Blocks: a server runs it in a thread.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import dataclass, field
from pathlib import Path
from stat import S_ISREG
from threading import Event

from ...codecs.errors import MerseyError
from ..transfer.body import FileStamp
from .catalogue import Catalogue
from .entry import Entry, stamp_of
from .in_place import index_rows
from .indexed_file import IndexedFile, index_file
from .part_file import is_part_file

__all__ = ["FolderIndex", "ScanProgress"]

_BATCH_FILES = 128
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
        folders = (found for root in self.roots for found in _walk(str(root), visited))
        self._index(self._batches(folders, progress, stop), executor, progress, on_progress, stop)
        if not stop.is_set():
            self._forget_folders(visited, progress)
        if progress.gone and not stop.is_set():
            self._find_moved(executor, progress, stop)
        progress.done = not stop.is_set()
        on_progress(progress)
        return progress

    def look_again(
        self, paths: Iterable[str], *, executor: Executor, stop: Event | None = None
    ) -> list[str]:
        """Bring the catalogue up to date with `paths`, to which something has happened.

        Of a file its folder is listed, of a folder all that is below it. What is not below a
        root, or behind a link to a folder, is passed over.

        Returns
        -------
        list[str]
            The folders among `paths` of which nothing was known.
        """
        stop = stop or Event()
        progress = ScanProgress()
        known = set(self.catalogue.folders())
        visited: set[str] = set()
        new = []
        found: list[tuple[str, dict[str, FileStamp]]] = []
        for path in sorted(set(paths)):
            if os.path.isdir(path) and not os.path.islink(path):
                if self._holds(path):
                    if path not in known:
                        new.append(path)
                    found += _walk(path, visited)
                continue
            if path in known or not os.path.lexists(path):
                below = path + os.sep
                gone = [one for one in known if one == path or one.startswith(below)]
                self._forget(sorted(gone), progress)
            folder = os.path.dirname(path)
            if folder not in visited and self._holds(folder):
                visited.add(folder)
                try:
                    stamps, _ = _listed(folder)
                except OSError:
                    continue  # it may not be read: what is known of it is kept
                if stamps is None:
                    self._forget([folder], progress)
                else:
                    found.append((folder, stamps))
        # All that is gone goes first: a file that moved is no duplicate of itself.
        batches = list(self._batches(found, progress, stop))
        self._index(batches, executor, progress, lambda _: None, stop)
        if progress.gone and not stop.is_set():
            self._find_moved(executor, progress, stop)
        return new

    def refresh(self, entry: Entry) -> None:
        """Look at the file of `entry` again, because it is not what it was."""
        folder, name = os.path.split(entry.path)
        found = index_file(folder, name)
        if found is None:
            self.catalogue.forget(folder, [name])
        else:
            self.catalogue.add([found])

    def _index(
        self,
        batches: Iterable[_Batch],
        executor: Executor,
        progress: ScanProgress,
        on_progress: Callable[[ScanProgress], None],
        stop: Event,
    ) -> None:
        """Have `batches` read, and put what is found into the catalogue."""
        pending: dict[Future[list[IndexedFile]], _Batch] = {}
        for batch in batches:
            if stop.is_set():
                break
            pending[executor.submit(index_rows, batch.folder, batch.names)] = batch
            if len(pending) >= _BATCHES_AHEAD:
                self._collect(pending, executor, progress, on_progress)
        while pending and not stop.is_set():
            self._collect(pending, executor, progress, on_progress)
        for future in pending:
            future.cancel()

    def _batches(
        self,
        folders: Iterable[tuple[str, dict[str, FileStamp]]],
        progress: ScanProgress,
        stop: Event,
    ) -> Iterator[_Batch]:
        """What is to be looked at; ends early when `stop` is set. Forgets what is gone."""
        for folder, stamps in folders:
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

    def _find_moved(self, executor: Executor, progress: ScanProgress, stop: Event) -> None:
        """Look for the files that took the place of those that are gone.

        They were seen while the others still held their instances, and were forgotten with them.
        """
        second = ScanProgress()
        visited: set[str] = set()
        folders = (found for root in self.roots for found in _walk(str(root), visited))
        self._index(self._batches(folders, second, stop), executor, second, lambda _: None, stop)
        progress.instances += second.instances
        progress.duplicates = max(progress.duplicates - second.instances, 0) + second.duplicates
        progress.other += second.other
        progress.broken += second.broken

    def _holds(self, folder: str) -> bool:
        """Whether a scan comes by `folder`: below a root, and by no link."""
        for root in map(str, self.roots):
            if folder == root:
                return True
            if folder.startswith(root.rstrip(os.sep) + os.sep):
                below = os.path.relpath(folder, root)
                if os.path.realpath(folder) == os.path.join(os.path.realpath(root), below):
                    return True
        return False

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
        self._forget([one for one in self.catalogue.folders() if one not in visited], progress)

    def _forget(self, folders: Iterable[str], progress: ScanProgress) -> None:
        for folder in folders:
            names = list(self.catalogue.known_files(folder))
            self.catalogue.forget(folder, names)
            progress.gone += len(names)


def _singly(batch: _Batch, executor: Executor, error: MerseyError) -> list[IndexedFile]:
    found = []
    for name in batch.names:
        try:
            if len(batch.names) == 1:
                raise error
            found += executor.submit(index_rows, batch.folder, (name,)).result()
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
        try:
            stamps, below = _listed(folder)
        except OSError:
            continue
        if stamps is None:
            visited.discard(folder)
            continue
        waiting += sorted(below, reverse=True)
        yield folder, stamps


def _listed(folder: str) -> tuple[dict[str, FileStamp] | None, list[str]]:
    """The regular files of a folder, and the folders in it; None where there is no such folder.

    Raises OSError where the folder may not be read.
    """
    stamps: dict[str, FileStamp] = {}
    below = []
    try:
        with os.scandir(folder) as listing:
            for item in listing:
                if item.is_dir(follow_symlinks=False):
                    below.append(item.path)
                elif (stamp := _stamp(item)) is not None:
                    stamps[item.name] = stamp
    except (FileNotFoundError, NotADirectoryError):
        return None, []
    return stamps, below


def _stamp(item: os.DirEntry[str]) -> FileStamp | None:
    try:
        status = item.stat()
    except OSError:
        return None
    if not S_ISREG(status.st_mode) or is_part_file(Path(item.name)):
        return None
    return stamp_of(status)
