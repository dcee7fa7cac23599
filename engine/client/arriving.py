"""A parcel that is being pulled: what has come, what of it is verified, what is published.

Small items are hashed while they are written; a large one by whoever follows its first bytes
that are all there. What travelled in another form is restored beside it. An item that is not
what the manifest tells comes again: of a large one, the stretches that are damaged.
"""

from __future__ import annotations

import asyncio
import hashlib
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Executor
from pathlib import Path

from ...codecs.errors import FormatError, IntegrityError, MerseyError
from ...codecs.pixels import Buffer
from ..archive.inbound import Inbound
from ..runtime.byte_budget import ByteBudget
from ..transfer.manifest import Item
from ..transfer.ranges import ByteRange
from .chunking import plan_chunks
from .publishing import publish, target_of
from .running_digest import RunningDigest

__all__ = ["ArrivingParcel"]

_HASHED_WHOLE_BYTES = 4 << 20
_MOST_REFUSALS = 6
_MOST_RESTORES = 2
_SYNC_EVERY_BYTES = 256 << 20

type AskDigests = Callable[[int], Awaitable[tuple[int, Sequence[str]]]]


class ArrivingParcel:
    """`inbound` on its way to `folder`. For one event loop.

    `failed` has the items that did not come out right, and why.
    """

    def __init__(
        self,
        inbound: Inbound,
        folder: Path,
        *,
        wire: str,
        executor: Executor,
        budget: ByteBudget,
        jobs: int,
        ask_digests: AskDigests,
    ) -> None:
        self.inbound = inbound
        self.manifest = inbound.manifest
        self.wire = wire
        self.failed: dict[int, MerseyError] = {}
        self.work_bytes, self.work_s = 0, 0.0
        self.originals_per_byte = self.manifest.size_bytes / self.manifest.length_bytes
        self._folder = folder
        self._executor = executor
        self._budget = budget
        self._jobs = jobs
        self._ask_digests = ask_digests
        self._turn = threading.Lock()
        self._digests: dict[int, str] = {}
        self._running: dict[int, RunningDigest] = {}
        self._followed: set[int] = set()
        self._ready: dict[int, Path] = {}
        self._refusals: dict[int, int] = {}
        self._unsynced_bytes = 0

    def chunks(self) -> list[ByteRange]:
        """What is still to come."""
        return list(plan_chunks(self.manifest, self.inbound.missing()))

    @property
    def is_verified(self) -> bool:
        """Whether every item is settled, failed, or ready to be published."""
        done = len(self.inbound.settled) + len(self._ready) + len(self.failed)
        return done == len(self.manifest.items)

    def whole_items(self) -> list[int]:
        """The items that are there and were not verified."""
        return [
            index
            for index in range(len(self.manifest.items))
            if index not in self.inbound.settled
            and index not in self._ready
            and self.inbound.is_whole(index)
        ]

    def take(self, start: int, data: Buffer) -> list[int]:
        """Take bytes in; the items that are whole now. Blocks; for any thread.

        Small items of the form `stored` are hashed on the way, and of large ones what continues
        what was hashed so far.

        Raises
        ------
        ResourceError
            The disk is full, or fails.
        """
        view = memoryview(data).cast("B")
        items = self.manifest.items
        for index in self.inbound.items_of(start, start + len(view)):
            item = items[index]
            if item.form != "stored":
                continue
            first, last = item.offset_bytes - start, item.end_bytes - start
            if first >= 0 and last <= len(view):
                self._digests[index] = hashlib.sha256(view[first:last]).hexdigest()
            elif item.length_bytes > _HASHED_WHOLE_BYTES:
                part = view[max(first, 0) : min(last, len(view))]
                self._running_of(index).extend(max(-first, 0), part)
        with self._turn:
            gaps = self.inbound.gaps(start, start + len(view))
        self.inbound.place(start, view, gaps=gaps)  # beside what other connections bring
        with self._turn:
            whole = self.inbound.note(gaps)
            self._unsynced_bytes += len(view)
            if self._unsynced_bytes >= _SYNC_EVERY_BYTES:
                self._unsynced_bytes = 0
                self.inbound.sync()
        return whole

    def _running_of(self, index: int) -> RunningDigest:
        with self._turn:
            return self._running.setdefault(index, RunningDigest())

    def position(self, start: int) -> int:
        """Where in its item's file the byte `start` of the parcel goes."""
        index = self.inbound.items_of(start, start + 1)[0]
        return start - self.manifest.items[index].offset_bytes

    def follows(self, start: int) -> int | None:
        """The large item at `start` that is hashed while it comes; None where it is none."""
        index = self.inbound.items_of(start, start + 1)[0]
        item = self.manifest.items[index]
        if item.form != "stored" or item.length_bytes <= _HASHED_WHOLE_BYTES:
            return None
        return index

    async def follow(self, index: int) -> None:
        """Hash what of a large item has come without a gap."""
        if index in self._followed:
            return
        self._followed.add(index)
        try:
            running = self._running_of(index)
            item = self.manifest.items[index]
            while (
                upto := min(self.inbound.reach(item.offset_bytes + running.at), item.end_bytes)
                - item.offset_bytes
            ) > running.at:
                await asyncio.to_thread(running.read, self.inbound.path_of(index), upto)
        finally:
            self._followed.discard(index)

    def accept(self, whole: Sequence[int]) -> list[int]:
        """Have whole items ready that were hashed on the way and are right; the others of them."""
        left = []
        for index in whole:
            if self._digests.get(index) == self.manifest.items[index].sha256:
                del self._digests[index]
                self._ready[index] = self.inbound.path_of(index)
            else:
                left.append(index)
        return left

    async def verify(self, index: int) -> list[ByteRange]:
        """Look at a whole item: ready, or failed, or the bytes given have to come again."""
        item = self.manifest.items[index]
        try:
            if item.form == "stored":
                await self._verify_stored(index, item)
            else:
                await self._restore(index, item)
        except (IntegrityError, FormatError) as error:
            return await self._refuse(index, item, error)
        return []

    async def _verify_stored(self, index: int, item: Item) -> None:
        digest = self._digests.pop(index, "")
        if not digest:
            running = self._running_of(index)
            path = self.inbound.path_of(index)
            await asyncio.to_thread(running.read, path, item.length_bytes)
            digest = running.hexdigest()
            self._running.pop(index, None)
        if digest != item.sha256:
            raise IntegrityError("an instance did not arrive with the SHA-256 that was told")
        self._ready[index] = self.inbound.path_of(index)

    async def _restore(self, index: int, item: Item) -> None:
        from ..runtime.wire_restoring import restore  # most pulls are as stored, and soon over

        target = self.inbound.folder / f"{index}.whole"
        begun_s = time.monotonic()
        await restore(
            self.inbound.path_of(index),
            item=item,
            target=target,
            executor=self._executor,
            budget=self._budget,
            jobs=self._jobs,
        )
        self.work_s += time.monotonic() - begun_s
        self.work_bytes += item.size_bytes
        self._ready[index] = target

    async def _refuse(self, index: int, item: Item, error: MerseyError) -> list[ByteRange]:
        count = self._refusals[index] = self._refusals.get(index, 0) + 1
        self._running.pop(index, None)
        self._digests.pop(index, None)
        most = _MOST_REFUSALS if item.form == "stored" else _MOST_RESTORES
        if count >= most:
            self.failed[index] = error.at(instance=item.sop_instance_uid)
            return []
        damaged: list[ByteRange] = []
        if item.length_bytes > _HASHED_WHOLE_BYTES:
            damaged = await self._damaged(index, item)
        await asyncio.to_thread(self._forget, index, damaged)
        if not damaged:
            damaged = [ByteRange(item.offset_bytes, item.end_bytes)]
        return list(plan_chunks(self.manifest, damaged))

    def _forget(self, index: int, damaged: Sequence[ByteRange]) -> None:
        with self._turn:
            for stretch in damaged:
                self.inbound.refuse_bytes(stretch.start, stretch.stop)
            if not damaged:
                self.inbound.refuse(index)

    async def _damaged(self, index: int, item: Item) -> list[ByteRange]:
        """The stretches of a large item whose digests are not those that the server has."""
        stretch_bytes, digests = await self._ask_digests(index)
        found = await asyncio.to_thread(
            _stretch_digests, self.inbound.path_of(index), stretch_bytes
        )
        starts = range(item.offset_bytes, item.end_bytes, stretch_bytes)
        if len(found) != len(starts) or len(digests) != len(starts):
            return []
        return [
            ByteRange(start, min(start + stretch_bytes, item.end_bytes))
            for start, ours, theirs in zip(starts, found, digests, strict=True)
            if ours != theirs
        ]

    async def publish(self) -> int:
        """Give all that is ready its name, durably, and forget how it came; how many they are."""
        ready = dict(self._ready)
        items = self.manifest.items
        files = [(path, self.target(items[index])) for index, path in ready.items()]
        await asyncio.to_thread(publish, files)
        await asyncio.to_thread(self._settle, list(ready))
        self._ready.clear()
        return len(ready)

    def _settle(self, indices: Sequence[int]) -> None:
        with self._turn:
            self._settle_in_turn(indices)

    def _settle_in_turn(self, indices: Sequence[int]) -> None:
        others = len(self.inbound.settled) + len(self.failed)
        if others + len(indices) == len(self.manifest.items):
            # Killed before it is gone, the journal tells of files that are not there any more.
            self.inbound.settled.update(dict.fromkeys(indices, "pulled"))
            self.inbound.close()
            self.inbound.discard()
            return
        for index in indices:
            self.inbound.settle(index, "pulled")
        self.inbound.sync()

    def target(self, item: Item) -> Path:
        """Where an item goes."""
        uids = (item.study_instance_uid, item.series_instance_uid, item.sop_instance_uid)
        return target_of(self._folder, *uids)


def _stretch_digests(path: Path, stretch_bytes: int) -> list[str]:
    found = []
    with path.open("rb") as file:
        while data := file.read(stretch_bytes):
            found.append(hashlib.sha256(data).hexdigest())
    return found
