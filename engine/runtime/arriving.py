"""One parcel on its way in: who writes to it takes turns, and shares the flushes.

Everything that touches the disk does so in threads, one at a time, but for bytes that are put
where they belong before they count (`Inbound.place`): those need not wait in memory. Whoever waits
for bytes to be durable waits for a flush that began after they were noted; all who came meanwhile
share it. Another process may receive the same parcel: what it did is learned whenever something is
asked.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Literal, Self, cast, get_args

from ..archive.examination import Refusal, RefusedFor
from ..archive.shared_inbound import SharedInbound
from ..archive.stored import SettledAs
from ..transfer.ranges import ByteRange

__all__ = ["Arriving", "Outcome"]

_MOST_REFUSALS = 3


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an item for good: a `SettledAs`, or why it was refused."""

    kind: SettledAs | RefusedFor | Literal["damaged"]
    message: str = ""
    sop_class_uid: str = ""
    sop_instance_uid: str = ""

    @property
    def is_kept(self) -> bool:
        """Whether the archive has the instance."""
        return self.kind in get_args(SettledAs.__value__)

    def to_text(self) -> str:
        """As it stands in the journal."""
        return json.dumps([self.kind, self.message, self.sop_class_uid, self.sop_instance_uid])

    @classmethod
    def from_text(cls, text: str) -> Self:
        """What `to_text` made; a failure where it is something else."""
        try:
            kind, message, class_uid, instance_uid = json.loads(text)
        except (ValueError, TypeError):
            return cls("failure", "the journal cannot be read")
        return cls(kind, str(message), str(class_uid), str(instance_uid))

    def refusal(self) -> Refusal:
        """As a Refusal. What arrived damaged is nobody's mistake but the wire's."""
        reason = "failure" if self.kind == "damaged" else self.kind
        return Refusal(
            cast("RefusedFor", reason), self.message, self.sop_class_uid, self.sop_instance_uid
        )


class Arriving:
    """The parcel `inbound`, for one event loop. It is closed by whoever opened it."""

    def __init__(self, parcel_id: str, inbound: SharedInbound) -> None:
        self.id = parcel_id
        self.manifest = inbound.manifest
        self.inbound = inbound
        self.users = 0
        self.used_s = 0.0
        self.working: set[int] = set()
        self.failed: dict[int, Refusal] = {}
        self.is_gone = False
        self._refusals: Counter[int] = Counter()
        self._turn = asyncio.Lock()
        self._flushing = asyncio.Lock()
        self._written = self._flushed = 0
        self._idle = asyncio.Event()
        self._idle.set()

    async def gaps(self, start: int, stop: int) -> list[ByteRange]:
        """The bytes between `start` and `stop` that are still to come."""
        return await self._do(lambda: self.inbound.gaps(start, stop))

    async def note(self, gaps: Sequence[ByteRange]) -> list[int]:
        """Bytes were placed (`Inbound.place`) and are right: the items that are whole with them.

        Not durable yet.
        """
        whole = await self._do(lambda: self.inbound.note(gaps))
        self._written += 1
        return whole

    async def flush(self) -> None:
        """Wait until everything that was written is durable."""
        mine = self._written
        async with self._flushing:
            if self._flushed >= mine:
                return
            covered = self._written
            await self._do(self.inbound.sync)
            self._flushed = covered

    async def missing(self) -> list[ByteRange]:
        """The bytes that are still to come."""

        def look() -> list[ByteRange]:
            self.inbound.refresh()
            return list(self.inbound.missing())

        return await self._do(look)

    async def whole_items(self) -> list[int]:
        """The items that are all there, and of which nothing has come yet."""

        def look() -> list[int]:
            self.inbound.refresh()
            settled, is_whole = self.inbound.settled, self.inbound.is_whole
            return [n for n in range(len(self.manifest.items)) if n not in settled and is_whole(n)]

        return [index for index in await self._do(look) if index not in self.working]

    @asynccontextmanager
    async def claimed(self, index: int) -> AsyncIterator[bool]:
        """Hold a whole item; False where another process does, or nothing is to be done."""
        held = await self._do(lambda: self.inbound.claim(index))
        try:
            yield held is not None
        finally:
            if held is not None:
                held.close()

    async def settle(self, outcomes: dict[int, Outcome]) -> None:
        """Note what became of items."""

        def note() -> None:
            for index, outcome in outcomes.items():
                if index not in self.inbound.settled:
                    self.inbound.settle(index, outcome.to_text())

        await self._do(note)
        self._written += 1

    async def refuse(self, index: int, message: str) -> None:
        """Have an item come again; one that never comes as it should is given up."""
        self._refusals[index] += 1
        if self._refusals[index] < _MOST_REFUSALS:
            await self._do(lambda: self.inbound.refuse(index))
        else:
            uid = self.manifest.items[index].sop_instance_uid
            await self.settle({index: Outcome("damaged", message, sop_instance_uid=uid)})

    def outcomes(self) -> dict[int, Outcome]:
        """What became of the items that are settled."""
        return {index: Outcome.from_text(text) for index, text in self.inbound.settled.items()}

    def begin_work(self, index: int) -> None:
        """Something is being made of an item."""
        self.failed.pop(index, None)
        self.working.add(index)
        self._idle.clear()

    def end_work(self, index: int) -> None:
        """It is made, or failed."""
        self.working.discard(index)
        if not self.working:
            self._idle.set()

    async def idle(self) -> None:
        """Wait until nothing is being made of any item."""
        await self._idle.wait()

    async def discard(self) -> None:
        """Remove all that came."""
        self.is_gone = True
        await self.idle()
        await self._do(self.inbound.discard)

    async def close(self) -> None:
        """Let go of the files."""
        await self._do(self.inbound.close)

    async def _do[T](self, work: Callable[[], T]) -> T:
        """Do `work` in a thread, alone; to its end, also where the caller is cancelled."""
        async with self._turn:
            future = asyncio.ensure_future(asyncio.to_thread(work))
            try:
                return await asyncio.shield(future)
            except asyncio.CancelledError:
                await asyncio.wait([future])
                raise
            finally:
                self.is_gone |= self.inbound.is_removed
