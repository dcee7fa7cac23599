"""Intake: many originals at once on their way into the store, in bounded memory.

Each goes through three hands, all owned by `Intake.run`: it *lands* (its last bytes are
written, in a thread), is *examined* (in a worker process) and is *committed*. The committer
takes whatever waits when its last commit ends: the busier the intake, the more instances share
one flush, with nothing to tune. What is in flight is bounded, and whoever brings more waits.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Awaitable, Buffer, Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path

from ...codecs.errors import MerseyError, ResourceError
from ..archive.examination import Examined, Refusal, RefusedFor, examine_all
from ..archive.ingest import Ingest
from ..archive.receiving import Received, Receiving
from ..archive.stored import Settled, StoredInstance
from .byte_budget import ByteBudget
from .submission import submit

__all__ = ["Arrival", "Intake", "Kept", "Result"]

_SPILL_BYTES = 1 << 20
"""Up to this much of an original waits in memory; more is written as it comes."""

_BUDGET_BYTES = 32 << 20
_MAX_IN_FLIGHT = 256  # each holds a file open
_EXAMINED_AT_ONCE = 16
_EXAMINED_BYTES_AT_ONCE = 32 << 20
_TIME_LIMIT_S = 120.0
_TRIED_AGAIN_S = 1.0  # removing what others kept us from removing
_PATIENCE_S = 2.0  # with that at the end
_STOPPED = "the server stopped before it was stored"


@dataclass(frozen=True, slots=True)
class Kept:
    """An instance that the store holds now, or held before; `settled` says which."""

    stored: StoredInstance
    settled: Settled


type Result = Kept | Refusal


@dataclass(slots=True, eq=False)
class _Item:
    fill: Callable[[Receiving], None]
    size_bytes: int
    weight_bytes: int
    study_uid: str | None
    receiving: Receiving | None
    result: asyncio.Future[Result]
    received: Received | None = None
    refusal: Refusal | None = None
    examined: Examined | None = None


class Intake:
    """The way into the store. For one event loop.

    Parameters
    ----------
    executor
        Where files are examined.
    examiners
        How many calls of `executor` may be open at once.
    on_stored
        Called with what is new or replaced, after it is durable and before it is acknowledged.
    """

    def __init__(
        self,
        ingest: Ingest,
        *,
        executor: Executor,
        examiners: int,
        on_stored: Callable[[list[Kept]], None] = lambda _: None,
        budget_bytes: int = _BUDGET_BYTES,
    ) -> None:
        self.ingest = ingest
        self.on_stored = on_stored
        self.executor = executor
        self._examiners = examiners
        self._budget = ByteBudget(budget_bytes)
        self._slot_bytes = max(1, budget_bytes // _MAX_IN_FLIGHT)
        self._landing: deque[_Item] = deque()
        self._committing: list[_Item] = []
        self._may_land = asyncio.Event()
        self._may_commit = asyncio.Event()
        self._in_flight: set[_Item] = set()
        self._stopped = False

    def begin(self, *, study_uid: str | None = None) -> Arrival:
        """An original that comes in pieces; with `study_uid`, it must belong to that study."""
        return Arrival(self, study_uid=study_uid)

    async def take(
        self,
        fill: Callable[[Receiving], None],
        *,
        size_bytes: int,
        weight_bytes: int = 0,
        study_uid: str | None = None,
        receiving: Receiving | None = None,
    ) -> asyncio.Future[Result]:
        """Let an original in, once there is room for it; the future never fails.

        Parameters
        ----------
        fill
            Writes what is missing into the Receiving it is given, in a thread. A MerseyError that
            it raises becomes a Refusal.
        size_bytes
            About how long the original is.
        weight_bytes
            The memory that `fill` holds until then.
        receiving
            What holds its first bytes; by default `fill` writes all of them.
        """
        weight = max(weight_bytes, self._slot_bytes)
        await self._budget.take(weight)
        result: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        item = _Item(fill, size_bytes, weight, study_uid, receiving, result)
        self._in_flight.add(item)
        if self._stopped:
            self._settle(item, Refusal("failure", _STOPPED))
            return result
        # No waiting from here on: whoever is cancelled in `take` still has its Receiving.
        self._landing.append(item)
        self._may_land.set()
        return result

    async def run(self) -> None:
        """Work until cancelled. A commit that has begun is finished; what waits is refused."""
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self._examiners):
                    group.create_task(self._examine())
                group.create_task(self._commit())
        finally:
            self._stopped = True
            for item in list(self._in_flight):
                self._settle(item, Refusal("failure", _STOPPED))
            await asyncio.to_thread(self.ingest.remove_unneeded, patience_s=_PATIENCE_S)

    async def _examine(self) -> None:
        while True:
            while not self._landing:
                self._may_land.clear()
                await self._may_land.wait()
            items = self._next_to_land()
            await _to_its_end(asyncio.to_thread(_land, items, self.ingest.blobs.incoming))
            landed = []
            for item in items:
                self._budget.give_back(item.weight_bytes - self._slot_bytes)
                item.weight_bytes = self._slot_bytes
                if item.refusal is not None:
                    self._settle(item, item.refusal)
                else:
                    landed.append(item)
            for item, found in zip(landed, await self._findings(landed), strict=True):
                if isinstance(found, Refusal):
                    self._settle(item, found)
                else:
                    item.examined = found
                    self._committing.append(item)
                    self._may_commit.set()

    def _next_to_land(self) -> list[_Item]:
        """A fair share of what waits, for one examiner; of one study that is addressed, or none."""
        share = min(_EXAMINED_AT_ONCE, math.ceil(len(self._landing) / self._examiners))
        items: list[_Item] = []
        size_bytes = 0
        while self._landing and len(items) < share and size_bytes < _EXAMINED_BYTES_AT_ONCE:
            if items and self._landing[0].study_uid != items[0].study_uid:
                break
            items.append(self._landing.popleft())
            size_bytes += items[-1].size_bytes
        return items

    async def _findings(self, items: list[_Item]) -> list[Examined | Refusal]:
        """What they are found to be; where one took its worker down, the others go on."""
        if not items:
            return []
        received = [item.received for item in items if item.received is not None]
        limit_s = _TIME_LIMIT_S + sum(item.size_bytes for item in items) / 20e6
        try:
            return await asyncio.wrap_future(
                submit(self.executor, limit_s, examine_all, received, study_uid=items[0].study_uid)
            )
        except (MerseyError, OSError) as error:
            if len(items) == 1:
                return [Refusal("failure", f"it could not be examined: {error}")]
        return [found for item in items for found in await self._findings([item])]

    async def _commit(self) -> None:
        nothing_left = True
        while True:
            try:
                async with asyncio.timeout(None if nothing_left else _TRIED_AGAIN_S):
                    await self._may_commit.wait()
            except TimeoutError:
                nothing_left = await _to_its_end(asyncio.to_thread(self.ingest.remove_unneeded))
                continue
            self._may_commit.clear()
            items, self._committing = self._committing, []
            await _to_its_end(self._commit_all(items))
            nothing_left = False

    async def _commit_all(self, items: list[_Item]) -> None:
        batch = [item.examined for item in items if item.examined is not None]
        outcomes = await asyncio.to_thread(self.ingest.commit, batch)
        results = [
            outcome if isinstance(outcome, Refusal) else Kept(examined.stored, outcome)
            for examined, outcome in zip(batch, outcomes, strict=True)
        ]
        kept = [result for result in results if isinstance(result, Kept)]
        changed = [one for one in kept if one.settled.outcome in ("new", "replaced")]
        if changed:
            self.on_stored(changed)
        for item, result in zip(items, results, strict=True):
            self._settle(item, result)

    def _settle(self, item: _Item, result: Result) -> None:
        """Tell what became of `item`, and make room."""
        if item not in self._in_flight:
            return
        self._in_flight.discard(item)
        if item.receiving is not None:
            item.receiving.abandon()  # a blob is no longer under this name
        self._budget.give_back(item.weight_bytes)
        if not item.result.done():
            item.result.set_result(result)


@dataclass(slots=True)
class Arrival:
    """One original that comes in pieces: `write` them, then `finish` or `abandon`."""

    intake: Intake
    study_uid: str | None = None
    size_bytes: int = 0
    _pieces: list[bytes | memoryview] = field(default_factory=list)
    _waiting_bytes: int = 0
    _receiving: Receiving | None = None
    _spill: asyncio.Future[None] | None = None

    async def write(self, data: bytes | memoryview) -> None:
        """Take the next bytes, which must not change; waits while earlier ones are written.

        Raises
        ------
        ResourceError
            The store cannot be written.
        """
        self._pieces.append(data)
        self._waiting_bytes += len(data)
        self.size_bytes += len(data)
        if self._waiting_bytes >= _SPILL_BYTES:
            await self._written()
            pieces, self._pieces = self._pieces, []
            self._waiting_bytes = 0
            self._spill = asyncio.ensure_future(asyncio.to_thread(self._write, pieces))

    async def finish(self) -> asyncio.Future[Result]:
        """All bytes are here: hand it over. The future tells what became of it."""
        await self._written()
        pieces, self._pieces = self._pieces, []
        result = await self.intake.take(
            lambda target: target.write(_joined(pieces)),
            size_bytes=self.size_bytes,
            weight_bytes=self._waiting_bytes,
            study_uid=self.study_uid,
            receiving=self._receiving,
        )
        self._receiving = None
        return result

    async def abandon(self) -> None:
        """Forget it, and remove what was written."""
        spill, self._spill = self._spill, None
        if spill is not None:
            await asyncio.wait([spill])
            spill.exception()
        if self._receiving is not None:
            self._receiving.abandon()
            self._receiving = None

    def _write(self, pieces: list[bytes | memoryview]) -> None:
        if self._receiving is None:
            self._receiving = Receiving(self.intake.ingest.blobs.incoming)
        self._receiving.write(_joined(pieces))

    async def _written(self) -> None:
        spill, self._spill = self._spill, None
        if spill is not None:
            await _to_its_end(spill)


def _joined(pieces: list[bytes | memoryview]) -> Buffer:
    # Joining costs a copy of what hashing and writing read anyway; many small calls cost more.
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _land(items: list[_Item], incoming: Path) -> None:
    """Write what is missing of each; in a thread."""
    for item in items:
        try:
            if item.receiving is None:
                item.receiving = Receiving(incoming)
            item.fill(item.receiving)
            item.received = item.receiving.finish()
        except MerseyError as error:
            reason: RefusedFor = "resources" if isinstance(error, ResourceError) else "failure"
            item.refusal = Refusal(reason, error.message)


async def _to_its_end[T](work: Awaitable[T]) -> T:
    """Await `work`; where that is cancelled, only after the work has ended."""
    future = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        await asyncio.wait([future])
        raise
