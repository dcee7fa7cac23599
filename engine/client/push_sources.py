"""What is to be pushed: the instances in files and folders, study by study, in a stable order."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from pathlib import Path

from ...codecs.errors import IntegrityError
from ..archive.entry import Entry
from ..archive.indexed_file import IndexedFile, index_files
from ..runtime.importing import find_files
from ..runtime.submission import submit
from .push_report import PushReport

__all__ = ["PushSources", "find_instances", "with_files"]

_INDEXED_AT_ONCE = 64
_LIMIT_S = 600.0


@dataclass(frozen=True, slots=True)
class PushSources:
    """The instances by study; `broken` says of files that they cannot be read, and why.

    `other` files are not DICOM; `duplicates` hold an instance that another file holds.
    """

    studies: tuple[tuple[Entry, ...], ...]
    broken: tuple[tuple[str, str], ...] = ()
    other: int = 0
    duplicates: int = 0
    size_bytes: int = field(init=False)

    def __post_init__(self) -> None:
        whole = sum(entry.stamp.size_bytes for study in self.studies for entry in study)
        object.__setattr__(self, "size_bytes", whole)

    @property
    def count(self) -> int:
        """How many instances there are."""
        return sum(len(study) for study in self.studies)


async def find_instances(roots: Sequence[Path], *, executor: Executor) -> PushSources:
    """Index the files below `roots`, headers only, in workers.

    Raises
    ------
    UsageError
        There is no such file or folder.
    """
    paths = await asyncio.to_thread(lambda: [file.path for file in find_files(roots)])
    found: list[IndexedFile] = []
    unreadable: list[tuple[str, str]] = []
    calls = deque(
        (folder, names, asyncio.wrap_future(submit(executor, _LIMIT_S, index_files, folder, names)))
        for folder, names in _in_groups(paths)
    )
    while calls:
        folder, names, call = calls.popleft()
        files = await call
        found += map(_lightened, files)
        missing = set(names) - {file.name for file in files}
        unreadable += [(os.path.join(folder, name), "it cannot be read") for name in missing]
    return _sources(found, unreadable)


async def with_files(
    entries: Sequence[Entry],
    *,
    locate: Callable[[Entry], Entry],
    report: PushReport,
    on_done: Callable[[int], None],
) -> list[Entry]:
    """Those of which `locate` gives a local file; the others fail in `report`, and are done."""
    found = []
    for entry in entries:
        try:
            found.append(await asyncio.to_thread(locate, entry))
        except IntegrityError as error:
            report.failed[entry.uids[2]] = error.message
            on_done(entry.stamp.size_bytes)
    return found


def _in_groups(paths: Sequence[str]) -> list[tuple[str, list[str]]]:
    groups: list[tuple[str, list[str]]] = []
    for path in dict.fromkeys(map(os.path.abspath, paths)):
        folder, name = os.path.split(path)
        if not groups or groups[-1][0] != folder or len(groups[-1][1]) >= _INDEXED_AT_ONCE:
            groups.append((folder, []))
        groups[-1][1].append(name)
    return groups


def _lightened(file: IndexedFile) -> IndexedFile:
    """Without what sending does not need: there may be many thousands."""
    instance = file.instance
    if instance is None:
        return file
    kept = {tag: one for tag, one in instance.attributes.items() if tag == _INSTANCE_NUMBER}
    return replace(file, instance=replace(instance, attributes=kept))


def _sources(found: Sequence[IndexedFile], unreadable: Sequence[tuple[str, str]]) -> PushSources:
    studies: dict[str, dict[str, Entry]] = {}
    broken = list(unreadable)
    other = duplicates = 0
    seen: set[str] = set()
    for file in found:
        if file.instance is None:
            other += file.outcome != "broken"
            if file.outcome == "broken":
                broken.append((file.path, file.message))
        elif file.instance.sop_instance_uid in seen:
            duplicates += 1
        else:
            entry = Entry(file.instance, file.path, file.stamp)
            study, _, uid = entry.uids
            seen.add(uid)
            studies.setdefault(study, {})[uid] = entry
    ordered = tuple(
        tuple(sorted(studies[uid].values(), key=lambda entry: (entry.uids[1], _place(entry))))
        for uid in sorted(studies)
    )
    return PushSources(ordered, tuple(broken), other, duplicates)


def _place(entry: Entry) -> tuple[int, str]:
    return entry.instance.integer(_INSTANCE_NUMBER) or 0, entry.uids[2]


_INSTANCE_NUMBER = 0x00200013
