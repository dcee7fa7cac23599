"""A parcel that several processes of one machine receive at once: servers of one store.

They take turns at the journal: whoever has locked it first reads what others have noted, then does
what it came for, and notes that. An item that is whole is claimed by the one that makes something
of it; where that one dies, it is anybody's again.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path
from typing import Any

from ...codecs.errors import ResourceError, UsageError
from ...codecs.pixels import Buffer
from ..transfer.manifest import Manifest
from ..transfer.ranges import ByteRange
from .inbound import Inbound
from .parcel_journal import whole_lines

__all__ = ["SharedInbound"]


class SharedInbound(Inbound):
    """As `Inbound`, but open in any number of processes.

    What is there is as of the last call that writes, or of `refresh`. Once another process has
    discarded the parcel, `is_removed` is set, and every call that writes is a ResourceError.
    """

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        super().__init__(folder, manifest)
        self.is_removed = False
        self._read_bytes = 0

    def refresh(self) -> None:
        """Learn what others have noted."""
        with self._turn():
            pass

    def write(self, start: int, data: Buffer) -> list[int]:
        with self._turn():
            return super().write(start, data)

    def gaps(self, start: int, stop: int) -> list[ByteRange]:
        with self._turn():
            return super().gaps(start, stop)

    def note(self, gaps: Sequence[ByteRange]) -> list[int]:
        with self._turn():
            return super().note(gaps)

    def sync(self) -> None:
        with self._turn():
            super().sync()

    def refuse(self, index: int) -> None:
        with self._turn():
            if index not in self.settled:
                super().refuse(index)

    def refuse_bytes(self, start: int, stop: int) -> None:
        with self._turn():
            super().refuse_bytes(start, stop)

    def settle(self, index: int, outcome: str) -> None:
        with self._turn():
            if index in self.settled:
                return
            super().settle(index, outcome)
            self._claim_of(index).unlink(missing_ok=True)

    def claim(self, index: int) -> FileIO | None:
        """Hold an item that is whole, and not settled, until the file is closed.

        None where another process holds it, or there is nothing to be done.

        Raises
        ------
        ResourceError
            The disk fails, or the parcel was removed.
        """
        try:
            held = FileIO(self._claim_of(index), "ab")
        except OSError as error:
            raise ResourceError(f"an item cannot be claimed: {error.strerror}") from error
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.refresh()
            if index not in self.settled and self.is_whole(index):
                return held
        except BlockingIOError:
            pass
        except BaseException:
            held.close()
            raise
        held.close()
        return None

    def discard(self) -> None:
        with suppress(ResourceError), self._turn():
            # First of all: who has it open knows then.
            (self.folder / "journal").unlink(missing_ok=True)
            shutil.rmtree(self.folder, ignore_errors=True)

    def _start(self) -> None:
        self._open_journal()
        fcntl.flock(self._journal, fcntl.LOCK_EX)
        try:
            self._take_up()
            self._read_bytes = os.fstat(self._journal).st_size
        finally:
            fcntl.flock(self._journal, fcntl.LOCK_UN)

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """The journal to ourselves, and all of it known."""
        if self._journal < 0:
            raise UsageError("the parcel is closed")
        try:
            fcntl.flock(self._journal, fcntl.LOCK_EX)
            try:
                self._follow()
                yield
                self._read_bytes = os.fstat(self._journal).st_size
            finally:
                fcntl.flock(self._journal, fcntl.LOCK_UN)
        except OSError as error:
            raise ResourceError(f"a parcel cannot be received: {error.strerror}") from error

    def _follow(self) -> None:
        status = os.fstat(self._journal)
        if not status.st_nlink or status.st_size < self._read_bytes:
            self.is_removed = True
            raise ResourceError("another process has removed this parcel")
        new_bytes = status.st_size - self._read_bytes
        if not new_bytes:
            return
        lines, whole_bytes = whole_lines(os.pread(self._journal, new_bytes, self._read_bytes))
        if whole_bytes < new_bytes:  # whoever wrote that has died
            os.ftruncate(self._journal, self._read_bytes + whole_bytes)
        for line in lines:
            self._heed(line)
        self._read_bytes += whole_bytes

    def _heed(self, line: dict[str, Any]) -> None:
        """What another process, of this machine and alive just now, has noted."""
        items = self.manifest.items
        match line:
            case {"w": [int(start), int(stop)]}:
                self._there.add(start, stop)
                self._unsynced.update(self.items_of(start, stop))
            case {"s": _}:
                self._unsynced.clear()  # what it had not written it had read of
            case {"x": int(index)} if index < len(items):
                self._there.remove(items[index].offset_bytes, items[index].end_bytes)
                self._unsynced.discard(index)
            case {"r": [int(start), int(stop)]}:
                self._there.remove(start, stop)
            case {"d": int(index), "o": str(outcome)} if index < len(items):
                self._there.add(items[index].offset_bytes, items[index].end_bytes)
                self.settled[index] = outcome
                self._unsynced.discard(index)

    def _claim_of(self, index: int) -> Path:
        return self.folder / f"{index}.claim"
