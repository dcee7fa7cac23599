"""Taking files of folders into the store: the way of STOW, with files to read from.

Files are copied, never altered. What is in the store already, with the same bytes, is found to
be the ``same`` and costs a read: so an import that was interrupted is simply begun again.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ...codecs.errors import MerseyError, UsageError
from ..archive.examination import Refusal
from ..archive.indexed_file import index_file
from ..archive.receiving import Receiving
from .intake import Intake, Result

__all__ = ["Found", "ImportSummary", "find_files", "import_files"]

_PIECE_BYTES = 1 << 20
_MAX_WAITING = 512
_DICOMDIR = "DICOMDIR"  # PS3.10 §8.6: the one name of a file that lists others


@dataclass(frozen=True, slots=True)
class Found:
    """A file below one of the folders."""

    path: str
    size_bytes: int


@dataclass(slots=True)
class ImportSummary:
    """What became of the files; `other` are not DICOM, or no composite instance."""

    files: int = 0
    new: int = 0
    same: int = 0
    replaced: int = 0
    kept: int = 0
    other: int = 0
    failed: int = 0
    bytes_read: int = 0
    studies: set[str] = field(default_factory=set)


def find_files(roots: Sequence[Path]) -> Iterator[Found]:
    """Every regular file below `roots`, in the order of their names; a root may be a file.

    Raises
    ------
    UsageError
        There is no such file or folder.
    """
    for root in roots:
        if root.is_file():
            yield Found(os.fspath(root), root.stat().st_size)
        elif root.is_dir():
            yield from _below(os.fspath(root))
        else:
            raise UsageError(f"{root} does not exist")


def _below(root: str) -> Iterator[Found]:
    for folder, subfolders, names in os.walk(root):
        subfolders.sort()
        for name in sorted(names):
            path = os.path.join(folder, name)
            try:
                if os.path.isfile(path) and name != _DICOMDIR:
                    yield Found(path, os.path.getsize(path))
            except OSError:
                continue  # it has gone


async def import_files(
    files: Sequence[Found],
    intake: Intake,
    *,
    on_done: Callable[[Found, Result | None], None] = lambda _file, _result: None,
) -> ImportSummary:
    """Take `files` in, and say what became of them.

    Parameters
    ----------
    on_done
        Called for each file with its result, in order; None where it is not DICOM.

    Cancellation leaves what was committed in the store, and nothing else.
    """
    summary = ImportSummary()
    waiting: deque[tuple[Found, asyncio.Future[Result] | None]] = deque()

    async def settle_one() -> None:
        file, future = waiting.popleft()
        result = None if future is None else await asyncio.shield(future)
        _count(summary, file, result)
        on_done(file, result)

    for file in files:
        future = None
        if await asyncio.to_thread(_is_dicom, file.path):
            future = await intake.take(
                lambda target, path=file.path: _copy(path, target),  # type: ignore[misc]
                size_bytes=file.size_bytes,
                weight_bytes=_PIECE_BYTES,
            )
        waiting.append((file, future))
        while len(waiting) > _MAX_WAITING or (waiting and _is_done(waiting[0][1])):
            await settle_one()
    while waiting:
        await settle_one()
    return summary


def _is_done(future: asyncio.Future[Result] | None) -> bool:
    return future is None or future.done()


def _is_dicom(path: str) -> bool:
    """Whether a file says that it is DICOM or, without a preamble, can be read as an instance."""
    try:
        with open(path, "rb", buffering=0) as file:
            if os.pread(file.fileno(), 4, 128) == b"DICM":
                return True
    except OSError:
        return True  # reading it will tell why not
    folder, name = os.path.split(path)
    found = index_file(folder, name)
    return found is not None and found.outcome == "instance"


def _copy(path: str, target: Receiving) -> None:
    try:
        with open(path, "rb", buffering=0) as file:
            while piece := file.read(_PIECE_BYTES):
                target.write(piece)
    except OSError as error:
        raise MerseyError(f"it cannot be read: {error.strerror}") from error


def _count(summary: ImportSummary, file: Found, result: Result | None) -> None:
    summary.files += 1
    summary.bytes_read += file.size_bytes
    if result is None:
        summary.other += 1
        return
    if isinstance(result, Refusal):
        summary.failed += 1
        return
    summary.studies.add(result.reference.study_instance_uid)
    match result.settled.outcome:
        case "new":
            summary.new += 1
        case "same":
            summary.same += 1
        case "replaced":
            summary.replaced += 1
        case _:
            summary.kept += 1
