"""Intake: many originals at once on their way into the store, in bounded memory.

They come as streams to an event loop; `Storing` takes them in its threads from there. What is in
flight is bounded, and whoever brings more waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass, field

from ..archive.examination import Refusal
from ..archive.ingest import Ingest
from ..archive.receiving import Receiving
from ..archive.stored import Reference, Settled, StoredInstance
from .byte_budget import ByteBudget
from .storing import STOPPED, Item, Storing

__all__ = ["Arrival", "Intake", "Kept", "Result"]

_SPILL_BYTES = 1 << 20
"""Up to this much of an original waits in memory; more is written as it comes."""

_BUDGET_BYTES = 32 << 20
_MAX_IN_FLIGHT = 256  # each holds a file open
_PATIENCE_S = 2.0  # at the end, with removing what others kept us from removing


@dataclass(frozen=True, slots=True)
class Kept:
    """An instance that the store holds now, or held before; `settled` says which."""

    reference: Reference
    settled: Settled


type Result = Kept | Refusal


@dataclass(slots=True, eq=False, kw_only=True)
class _Ticket(Item):
    weight_bytes: int
    result: asyncio.Future[Result]


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
        on_stored: Callable[[list[StoredInstance]], None] = lambda _: None,
        budget_bytes: int = _BUDGET_BYTES,
    ) -> None:
        self.ingest = ingest
        self.on_stored = on_stored
        self.executor = executor
        self._budget = ByteBudget(budget_bytes)
        self._slot_bytes = max(1, budget_bytes // _MAX_IN_FLIGHT)
        self._in_flight: set[_Ticket] = set()
        self._waiting: list[_Ticket] = []
        self._storing: Storing | None = None
        self._examiners = examiners
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
        ticket = _Ticket(
            fill=fill,
            size_bytes=size_bytes,
            study_uid=study_uid,
            receiving=receiving,
            weight_bytes=weight,
            result=result,
        )
        self._in_flight.add(ticket)
        # No waiting from here on: whoever is cancelled in `take` still has its Receiving.
        if self._stopped:
            self._settle(ticket, STOPPED)
        elif self._storing is None:
            self._waiting.append(ticket)
        else:
            self._storing.put(ticket)
        return result

    async def run(self) -> None:
        """Work until cancelled. A commit that has begun is finished; what waits is refused."""
        loop = asyncio.get_running_loop()
        failed: asyncio.Future[None] = loop.create_future()

        def fail(error: Exception) -> None:
            if not failed.done():
                failed.set_exception(error)

        def in_loop[*Ts](call: Callable[[*Ts], None]) -> Callable[[*Ts], None]:
            def later(*arguments: *Ts) -> None:
                with suppress(RuntimeError):  # the loop has ended: nobody waits for it any more
                    loop.call_soon_threadsafe(call, *arguments)

            return later

        lighten = in_loop(self._lighten)

        def landed(items: Sequence[Item]) -> None:
            # What landed weighs less, which matters where others wait for room.
            if 2 * self._budget.taken_bytes > self._budget.limit_bytes:
                lighten(items)

        storing = Storing(
            self.ingest,
            executor=self.executor,
            examiners=self._examiners,
            on_landed=landed,
            on_settled=in_loop(self._settle_all),
            on_failed=in_loop(fail),
        )
        storing.start()
        self._storing = storing
        for ticket in self._waiting:
            storing.put(ticket)
        self._waiting.clear()
        try:
            await failed
        finally:
            self._stopped = True
            await _to_its_end(asyncio.to_thread(storing.stop))
            for ticket in list(self._in_flight):
                self._settle(ticket, STOPPED)
            await asyncio.to_thread(self.ingest.remove_unneeded, patience_s=_PATIENCE_S)

    def _lighten(self, items: Sequence[Item]) -> None:
        for item in items:
            assert isinstance(item, _Ticket)
            if item in self._in_flight:
                self._budget.give_back(item.weight_bytes - self._slot_bytes)
                item.weight_bytes = self._slot_bytes

    def _settle_all(self, settled: Sequence[tuple[Item, Settled | Refusal]]) -> None:
        results: list[tuple[_Ticket, Result]] = []
        changed = []
        for item, outcome in settled:
            assert isinstance(item, _Ticket)
            if isinstance(outcome, Refusal):
                results.append((item, outcome))
                continue
            assert item.examined is not None
            stored = item.examined.stored
            results.append((item, Kept(stored.reference, outcome)))
            if outcome.outcome in ("new", "replaced"):
                changed.append(stored)
        if changed:
            self.on_stored(changed)
        for ticket, result in results:
            self._settle(ticket, result)

    def _settle(self, ticket: _Ticket, result: Result) -> None:
        """Tell what became of `ticket`, and make room."""
        if ticket not in self._in_flight:
            return
        self._in_flight.discard(ticket)
        if ticket.receiving is not None:
            ticket.receiving.abandon()  # a blob is no longer under this name
        self._budget.give_back(ticket.weight_bytes)
        if not ticket.result.done():
            ticket.result.set_result(result)


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
            lambda target: target.write(*pieces),
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
        self._receiving.write(*pieces)

    async def _written(self) -> None:
        spill, self._spill = self._spill, None
        if spill is not None:
            await _to_its_end(spill)


async def _to_its_end[T](work: Awaitable[T]) -> T:
    """Await `work`; where that is cancelled, only after the work has ended."""
    future = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        await asyncio.wait([future])
        raise
