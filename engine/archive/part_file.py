"""A file in the making: invisible under its name until it is whole, resumable until then.

The part file holds the bytes written so far; the journal beside it holds one line for each
stretch that is durable. A process killed at any moment leaves both; opened again with the same
identity, the part file is cut back to the last durable stretch and goes on from there.
Publishing syncs, renames and removes the journal.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Self

from ... import _native
from ...codecs.errors import ResourceError
from ...codecs.pixels import Buffer
from .block_output import BlockOutput

__all__ = [
    "PartFile",
    "TakenError",
    "is_part_file",
    "scratch_path",
    "sync_files",
    "sync_folder",
]

_PREFIX = ".mersey-"
_SYNC_EVERY_BYTES = 16 << 20
_COPY_BYTES = 8 << 20


class TakenError(ResourceError):
    """Another process is making the same file, or has just made it."""


def is_part_file(path: Path) -> bool:
    """Whether `path` lies there only while another file is made: nobody's image."""
    return path.name.startswith(_PREFIX)


def scratch_path(target: Path, kind: str) -> Path:
    """Where something `kind` lies beside `target` while that is made; any name length works."""
    key = hashlib.sha256(os.fsencode(target.name)).hexdigest()[:24]
    return target.with_name(f"{_PREFIX}{key}.{kind}")


class PartFile:
    """The file that will be `target` once it is published.

    `identity` names everything the bytes depend on (source, settings, versions): a part file
    of another identity is discarded. `frame_lengths` holds the lengths of the frames that were
    durable when it was opened, `notes` what was noted with them; `position` is where the next
    byte goes, 0 in a fresh one.

    One process at a time: a second one gets TakenError. Not for several threads at once.
    """

    def __init__(self, target: Path, *, identity: str) -> None:
        self.target = target
        self.frame_lengths: list[int] = []
        self.notes: list[Any] = []
        self._identity = identity
        self._part = scratch_path(target, "part")
        self._journal_path = scratch_path(target, "journal")
        self._unsynced: list[int] = []
        self._unsynced_notes: list[Any] = []
        self._synced_position = 0
        self._descriptor = os.open(self._part, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        self._journal = -1
        self._output = BlockOutput(self._part, self._descriptor, position=0)

    def __enter__(self) -> Self:
        try:
            self._lock()
            self._resume()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def position(self) -> int:
        return self._output.position

    def write(self, *pieces: Buffer) -> None:
        """Append `pieces`, one after the other.

        Raises
        ------
        ResourceError
            The disk is full, or fails.
        """
        try:
            self._output.write(pieces)
        except OSError as error:
            raise self._unwritable(error) from error

    def add_frames(self, lengths: Iterable[int], *, note: Any = None) -> None:
        """Say that what was written so far ends with whole frames of these `lengths`.

        Now and then this makes them durable and journals them, with `note` (a JSON value).
        """
        self._unsynced.extend(lengths)
        if note is not None:
            self._unsynced_notes.append(note)
        if self.position - self._synced_position >= _SYNC_EVERY_BYTES:
            self._sync()

    def patch(self, offset_bytes: int, data: Buffer) -> None:
        """Overwrite bytes that were written before."""
        try:
            self._output.patch(offset_bytes, data)
        except OSError as error:
            raise self._unwritable(error) from error

    def read_at(self, offset_bytes: int, length_bytes: int, /) -> bytes:
        """Bytes that were written before."""
        self._drain()
        return os.pread(self._descriptor, length_bytes, offset_bytes)

    def replace_head(self, length_bytes: int, head: Iterable[Buffer]) -> None:
        """Put `head` in the place of the first `length_bytes`; what is behind moves along.

        A process killed from here on starts afresh.
        """
        self._journal_path.unlink(missing_ok=True)
        path = scratch_path(self.target, "moved")
        moved = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
        fcntl.flock(moved, fcntl.LOCK_EX)
        self._drain()
        end = self.position
        self._output.close()
        old, self._descriptor = self._descriptor, moved
        self._output = BlockOutput(path, moved, position=0)
        try:
            self.write(*head)
            for position in range(length_bytes, end, _COPY_BYTES):
                self.write(os.pread(old, min(_COPY_BYTES, end - position), position))
            os.replace(path, self._part)
        finally:
            os.close(old)

    def publish(self) -> None:
        """Make the file durable and give it its name, in one step."""
        self._drain()
        os.fsync(self._descriptor)
        os.replace(self._part, self.target)
        self._journal_path.unlink(missing_ok=True)
        scratch_path(self.target, "moved").unlink(missing_ok=True)
        sync_folder(self.target.parent)

    def discard(self) -> None:
        """Remove part file and journal."""
        self._part.unlink(missing_ok=True)
        self._journal_path.unlink(missing_ok=True)
        scratch_path(self.target, "moved").unlink(missing_ok=True)

    def close(self) -> None:
        """Let go; what is durable stays for the next try."""
        self._output.close()
        for descriptor in (self._descriptor, self._journal):
            if descriptor >= 0:
                os.close(descriptor)
        self._descriptor = self._journal = -1

    def _lock(self) -> None:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise self._taken() from None
        # Between open and lock another process may have published this very file.
        if not self._part.exists() or not os.path.samestat(
            os.stat(self._part), os.fstat(self._descriptor)
        ):
            raise self._taken()

    def _taken(self) -> TakenError:
        return TakenError(f"{self.target} is being written by another process")

    def _resume(self) -> None:
        lines = _journal_lines(self._journal_path)
        size = os.fstat(self._descriptor).st_size
        kept, position = b"", 0
        if lines and lines[0][0].get("identity") == self._identity:
            kept = lines[0][1]
            for line, raw in lines[1:]:
                if not position < line["position"] <= size:
                    break
                position = line["position"]
                self.frame_lengths.extend(line["lengths"])
                self.notes.extend(line["notes"])
                kept += raw
        self._synced_position = position
        os.ftruncate(self._descriptor, position)
        self._output = BlockOutput(self._part, self._descriptor, position=position)
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
        self._journal = os.open(self._journal_path, flags, 0o666)
        head = json.dumps({"identity": self._identity}).encode() + b"\n"
        os.write(self._journal, kept or head)

    def _drain(self) -> None:
        try:
            self._output.drain()
        except OSError as error:
            raise self._unwritable(error) from error

    def _unwritable(self, error: OSError) -> ResourceError:
        return ResourceError(f"{self.target} cannot be written: {error.strerror}")

    def _sync(self) -> None:
        self._drain()
        os.fdatasync(self._descriptor)
        line = {
            "position": self.position,
            "lengths": self._unsynced,
            "notes": self._unsynced_notes,
        }
        os.write(self._journal, json.dumps(line).encode() + b"\n")
        self._synced_position = self.position
        self._unsynced, self._unsynced_notes = [], []


def _journal_lines(path: Path) -> list[tuple[dict[str, Any], bytes]]:
    """The whole lines of a journal; a torn last one is left out."""
    try:
        raw_lines = path.read_bytes().splitlines(keepends=True)
    except FileNotFoundError:
        return []
    lines = []
    for raw in raw_lines:
        try:
            lines.append((json.loads(raw), raw))
        except ValueError:
            break
    return [line for line in lines if line[1].endswith(b"\n")]


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_files(paths: Iterable[Path]) -> None:
    """Make what is in files durable, side by side."""
    _native.sync_files([os.fsencode(path) for path in paths])
