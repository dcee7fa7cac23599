"""A parcel as it arrives: a file for each item, and the journal of which bytes are there.

Bytes come in any order, over any number of connections, and as often as they like. What was
noted survives a kill of the process at any moment; what was synced survives the machine's, too:
bytes that were noted and not synced count only while the machine has not been started anew.
Nothing of it is visible as an instance before somebody has verified and published it.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from ... import _native
from ...codecs.errors import ResourceError, UsageError
from ...codecs.pixels import Buffer
from ..transfer.manifest import Manifest
from ..transfer.range_set import RangeSet
from ..transfer.ranges import ByteRange
from .parcel_journal import boot_id, note, whole_lines
from .part_file import sync_folder

__all__ = ["Inbound"]


class Inbound:
    """The parcel of `manifest`, arriving in `folder`, which is its own.

    One process at a time: a second one gets ResourceError. Methods may be called in threads,
    one at a time.
    """

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self.folder = folder
        self.manifest = manifest
        self.settled: dict[int, str] = {}
        self._there = RangeSet()
        self._length = manifest.length_bytes
        self._offsets = [item.offset_bytes for item in manifest.items]
        self._unsynced: set[int] = set()
        self._journal = -1

    @classmethod
    def open(cls, folder: Path, manifest: Manifest) -> Self:
        """Begin to receive, or go on where a process before this one ended.

        A parcel of the same items with another entity tag is received anew.

        Raises
        ------
        ResourceError
            Another process is receiving it, or the disk fails.
        """
        inbound = cls(folder, manifest)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            inbound._start()
        except OSError as error:
            inbound.close()
            raise ResourceError(f"a parcel cannot be received: {error.strerror}") from error
        except BaseException:
            inbound.close()
            raise
        return inbound

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def received_bytes(self) -> int:
        """How many bytes of the parcel are there, or are not needed any more."""
        return self._there.length_bytes

    def missing(self) -> Iterator[ByteRange]:
        """The bytes that are still to come, in order."""
        return self._there.missing(0, self.manifest.length_bytes)

    def reach(self, start: int) -> int:
        """The first byte from `start` on that is still to come."""
        return next((gap.start for gap in self._there.missing(start, self._length)), self._length)

    def path_of(self, index: int) -> Path:
        """Where the bytes of an item are collected, in the form that they travel in."""
        return self.folder / f"{index}.part"

    def is_whole(self, index: int) -> bool:
        """Whether all bytes of an item are there."""
        item = self.manifest.items[index]
        return self._there.holds(item.offset_bytes, item.end_bytes)

    def items_of(self, start: int, stop: int) -> range:
        """The items of which some byte lies between `start` and `stop`."""
        first = bisect_right(self._offsets, start) - 1
        return range(first, bisect_right(self._offsets, stop - 1))

    def write(self, start: int, data: Buffer) -> list[int]:
        """Put bytes of the parcel where they belong, and note that they are there.

        Returns
        -------
        list of int
            The items that are whole now and were not before.

        Raises
        ------
        UsageError
            The parcel has no such bytes.
        ResourceError
            The disk is full, or fails.
        """
        view = memoryview(data).cast("B")
        stop = start + view.nbytes
        self._require(start, stop)
        if start == stop:
            return []
        touched = [index for index in self.items_of(start, stop) if not self.is_whole(index)]
        self._place(touched, start, view)
        return self._noted(touched, [ByteRange(start, stop)])

    def gaps(self, start: int, stop: int) -> list[ByteRange]:
        """The bytes between `start` and `stop` that are still to come, in order.

        Raises
        ------
        UsageError
            The parcel has no such bytes.
        """
        self._require(start, stop)
        return list(self._there.missing(start, stop))

    def place(self, start: int, data: Buffer, *, gaps: Sequence[ByteRange]) -> None:
        """Put those of the bytes where they belong that lie in `gaps`; they do not count yet.

        Unlike all else this may be called beside other calls, in any thread.

        Raises
        ------
        ResourceError
            The disk is full, or fails.
        """
        view = memoryview(data).cast("B")
        for gap in gaps:
            first, last = max(start, gap.start), min(start + view.nbytes, gap.stop)
            if first < last:
                self._place(self.items_of(first, last), first, view[first - start : last - start])

    def note(self, gaps: Sequence[ByteRange]) -> list[int]:
        """Note that bytes are there now, all of which were placed.

        Returns
        -------
        list of int
            The items that are whole now and were not before.

        Raises
        ------
        ResourceError
            The disk is full, or fails.
        """
        touched = {
            index: None
            for gap in gaps
            for index in self.items_of(gap.start, gap.stop)
            if not self.is_whole(index)
        }
        return self._noted(touched, gaps)

    def _place(self, indices: Iterable[int], start: int, view: memoryview) -> None:
        """Long bytes of the form `stored` that lie in memory as in the pages of their file go past
        the page cache where the file system can do that; what is restored from is read soon.
        """
        pieces = []
        for index in indices:
            item = self.manifest.items[index]
            first = max(item.offset_bytes, start)
            last = min(item.end_bytes, start + view.nbytes)
            name = os.fsencode(f"{self.folder}/{index}.part")
            at = first - item.offset_bytes
            pieces.append((name, first - start, last - first, at, item.form == "stored"))
        try:
            _native.write_pieces(view, pieces)
        except OSError as error:
            raise ResourceError(f"a parcel cannot be received: {error.strerror}") from error

    def _noted(self, touched: Collection[int], ranges: Sequence[ByteRange]) -> list[int]:
        self._unsynced.update(touched)
        for one in ranges:
            self._there.add(one.start, one.stop)
            self._note({"w": [one.start, one.stop]})
        return [index for index in touched if self.is_whole(index)]

    def _require(self, start: int, stop: int) -> None:
        if not 0 <= start <= stop <= self.manifest.length_bytes:
            raise UsageError(f"bytes {start} to {stop} of {self.manifest.length_bytes}")

    def sync(self) -> None:
        """Make everything that was written so far durable.

        Raises
        ------
        ResourceError
            The disk fails.
        """
        try:
            for index in self._unsynced:
                with suppress(FileNotFoundError):  # settled meanwhile
                    _sync_file(self.path_of(index))
            sync_folder(self.folder)
            self._note({"s": 1})
            os.fdatasync(self._journal)
        except OSError as error:
            raise ResourceError(f"a parcel cannot be received: {error.strerror}") from error
        self._unsynced.clear()

    def refuse(self, index: int) -> None:
        """An item's bytes are not what they should be: have them come again."""
        item = self.manifest.items[index]
        self.path_of(index).unlink(missing_ok=True)
        self._there.remove(item.offset_bytes, item.end_bytes)
        self._unsynced.discard(index)
        self._note({"x": index})

    def refuse_bytes(self, start: int, stop: int) -> None:
        """Some bytes are not what they should be: have those alone come again."""
        self._there.remove(start, stop)
        self._note({"r": [start, stop]})

    def settle(self, index: int, outcome: str) -> None:
        """An item needs nothing more: it is published, was there before, or is refused for good.

        What is said here counts when `sync` has been called.
        """
        item = self.manifest.items[index]
        self._there.add(item.offset_bytes, item.end_bytes)
        self.settled[index] = outcome
        self._note({"d": index, "o": outcome})
        self.path_of(index).unlink(missing_ok=True)

    @property
    def is_done(self) -> bool:
        """Whether every item is settled."""
        return len(self.settled) == len(self.manifest.items)

    def discard(self) -> None:
        """Remove all that was received."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def close(self) -> None:
        """Let go; what is there stays for the next try."""
        if self._journal >= 0:
            os.close(self._journal)
            self._journal = -1

    def _start(self) -> None:
        self._open_journal()
        try:
            fcntl.flock(self._journal, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ResourceError("another process is receiving this parcel") from None
        self._take_up()

    def _open_journal(self) -> None:
        path = self.folder / "journal"
        self._journal = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)

    def _take_up(self) -> None:
        """Go on from what the journal tells, or begin one."""
        head = {"etag": self.manifest.etag, "length": self.manifest.length_bytes}
        size_bytes = os.fstat(self._journal).st_size
        lines, whole_bytes = whole_lines(os.pread(self._journal, size_bytes, 0))
        if lines and lines[0] == head:
            os.ftruncate(self._journal, whole_bytes)
            self._replay(lines[1:])
        else:
            for left in self.folder.glob("*.part"):
                left.unlink(missing_ok=True)
            os.ftruncate(self._journal, 0)
            self._note(head)
        self._note({"b": boot_id()})

    def _replay(self, lines: list[dict[str, Any]]) -> None:
        """Take up what the journal says; a line that cannot be ends it."""
        boot = boot_id()
        synced = max((number for number, line in enumerate(lines) if "s" in line), default=-1)
        is_this_boot = False
        for number, line in enumerate(lines):
            match line:
                case {"b": str(found)}:
                    is_this_boot = found == boot
                case {"w": [int(start), int(stop)]} if number < synced or is_this_boot:
                    self._there.add(start, stop)
                    self._unsynced.update(self.items_of(start, stop) if number > synced else ())
                case {"x": int(index)} if index < len(self.manifest.items):
                    item = self.manifest.items[index]
                    self._there.remove(item.offset_bytes, item.end_bytes)
                case {"r": [int(start), int(stop)]}:
                    self._there.remove(start, stop)
                case {"d": int(index), "o": str(outcome)} if number < synced or is_this_boot:
                    item = self.manifest.items[index]
                    self._there.add(item.offset_bytes, item.end_bytes)
                    self.settled[index] = outcome
        self._distrust_missing_files()

    def _distrust_missing_files(self) -> None:
        """What the journal says of a file that is gone or too short is not so."""
        for index, item in enumerate(self.manifest.items):
            if index in self.settled:
                continue
            needed = max(
                (
                    found.stop - item.offset_bytes
                    for found in self._there
                    if found.start < item.end_bytes and found.stop > item.offset_bytes
                ),
                default=0,
            )
            try:
                size = self.path_of(index).stat().st_size
            except FileNotFoundError:
                size = 0
            if size < min(needed, item.length_bytes):
                self._there.remove(item.offset_bytes, item.end_bytes)

    def _note(self, line: dict[str, Any]) -> None:
        if self._journal < 0:
            raise UsageError("the parcel is closed")
        try:
            note(self._journal, line)
        except OSError as error:
            raise ResourceError(f"a parcel cannot be received: {error.strerror}") from error


def _sync_file(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fdatasync(descriptor)
    finally:
        os.close(descriptor)
