"""A study, a series or an instance from another Mersey, parcel by parcel.

The next parcel is asked for while one comes, and what has come is verified, restored and
published meanwhile. Cancelled, or killed at any moment, it leaves a journal beside what has
come, and the next pull goes on from there.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

from ...codecs.errors import MerseyError
from ..transfer.manifest import Item
from ..transfer.ranges import ByteRange
from .address import Address
from .arriving import ArrivingParcel
from .connections import Connections
from .parcel_opening import ParcelOpening
from .piece_moving import Piece, PieceMover
from .pull_values import PullFailure, PullSettings, PullSummary
from .rates import RateLimit
from .remote import Remote
from .wire_choice import WireChoice

__all__ = ["ParcelPull", "failure_of"]

_MOST_OPEN = 3


class ParcelPull:
    """One pull of what `address` names into `folder`. For one event loop."""

    def __init__(
        self,
        remote: Remote,
        address: Address,
        folder: Path,
        *,
        hidden: Path,
        settings: PullSettings,
        connections: Connections,
        limit: RateLimit,
        choice: WireChoice,
        executor: Executor,
        jobs: int,
        summary: PullSummary,
        on_bytes: Callable[[int, float], None],
        on_items: Callable[[int, int], None],
    ) -> None:
        self._opening = ParcelOpening(
            remote,
            address,
            folder,
            hidden=hidden,
            settings=settings,
            limit=limit,
            choice=choice,
            executor=executor,
            jobs=jobs,
            on_there=self._count_there,
        )
        self._mover = PieceMover(
            remote,
            address.mersey + address.resource,
            connections=connections,
            limit=limit,
            choice=choice,
            on_taken=self._take,
        )
        self._connections = connections
        self._choice = choice
        self._jobs = jobs
        self._summary = summary
        self._on_bytes = on_bytes
        self._on_items = on_items
        self._pieces: deque[Piece] = deque()
        self._open = 0
        self._changed = asyncio.Event()
        self._group: asyncio.TaskGroup | None = None
        self._finishing: set[ArrivingParcel] = set()
        self.refused: list[tuple[Item, MerseyError]] = []

    async def run(self, *, on_total: Callable[[int, int], None] = lambda _, __: None) -> None:
        """Pull them all; `on_total` is told how many instances and bytes they are.

        The first parcel is asked for before it is known which others there are.

        Raises
        ------
        ChangedError
            Something else is there by now.
        MerseyError
            It failed for good; what is there stays.
        """
        first = asyncio.ensure_future(self._opening.open(0))
        listing = asyncio.ensure_future(self._listing(first, on_total))
        work = self._work(first, listing)
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                self._start(self._mover.prepare())
                await self._connections.carry(work, self._mover.move)
        except BaseExceptionGroup as errors:
            found: BaseException = errors
            while isinstance(found, BaseExceptionGroup):
                found = found.exceptions[0]
            raise found from None
        finally:
            await work.aclose()
            for task in (first, listing):
                task.cancel()
            await asyncio.gather(first, listing, return_exceptions=True)

    async def _listing(
        self, first: asyncio.Future[Any], on_total: Callable[[int, int], None]
    ) -> int:
        """How many parcels there are; asked over the connection that told the first one."""
        await asyncio.wait((first,))
        parcels = await self._opening.listing()
        on_total(sum(items for items, _ in parcels), sum(size for _, size in parcels))
        return len(parcels)

    async def _work(
        self, ahead: asyncio.Future[ArrivingParcel | None], listing: asyncio.Future[int]
    ) -> AsyncGenerator[Piece]:
        """The pieces of all parcels in order, with those that have to come again first."""
        number, count = 0, 1
        opened: list[ArrivingParcel] = []
        try:
            await asyncio.wait((ahead,))
            if ahead.exception() is not None:
                count = await asyncio.shield(listing)  # if that fails, it says better what is wrong
            while True:
                if self._pieces:
                    yield self._pieces.popleft()
                elif number < count and self._open < _MOST_OPEN:
                    parcel = await ahead
                    if parcel is not None:
                        opened.append(parcel)
                        self._begin(number, parcel)
                    number += 1
                    ahead = asyncio.ensure_future(self._listed(number, listing))
                elif number >= count and not listing.done():
                    count = await asyncio.shield(listing)
                elif number >= count and not self._open:
                    return
                else:
                    self._changed.clear()
                    await self._changed.wait()
                count = listing.result() if listing.done() else count
        finally:
            if not ahead.done():
                ahead.cancel()
            elif not ahead.cancelled() and ahead.exception() is None and ahead.result():
                opened.append(ahead.result())  # type: ignore[arg-type]
            for parcel in opened:
                parcel.inbound.close()

    async def _listed(self, number: int, listing: asyncio.Future[int]) -> ArrivingParcel | None:
        """The parcel `number`, if there is one."""
        if number < await asyncio.shield(listing):
            return await self._opening.open(number)
        return None

    def _begin(self, number: int, parcel: ArrivingParcel) -> None:
        self._open += 1
        for chunk in parcel.chunks():
            self._pieces.append(Piece(number, parcel, chunk.start, chunk.stop))
        for index in parcel.whole_items():
            self._start(self._verify(number, parcel, index))
        self._look(parcel)

    def _count_there(self, count: int, size_bytes: int) -> None:
        self._summary.there += count
        self._on_items(count, size_bytes)

    def _take(self, piece: Piece, count: int, whole: list[int]) -> None:
        """A piece has moved on: look at the items that are whole with it."""
        parcel, start = piece.parcel, piece.start
        piece.start = start + count
        self._summary.wire_bytes += count
        self._on_bytes(count, count * parcel.originals_per_byte)
        follows = parcel.follows(start)
        if follows is not None and follows not in whole:
            self._start(parcel.follow(follows))
        left = parcel.accept(whole)
        for index in left:
            self._start(self._verify(piece.number, parcel, index))
        if len(left) < len(whole):
            self._look(parcel)

    async def _verify(self, number: int, parcel: ArrivingParcel, index: int) -> None:
        again: list[ByteRange] = await parcel.verify(index)
        for chunk in again:
            self._summary.retries += 1
            self._pieces.appendleft(Piece(number, parcel, chunk.start, chunk.stop))
        if again:
            self._changed.set()
        self._look(parcel)

    def _look(self, parcel: ArrivingParcel) -> None:
        if parcel.is_verified and parcel not in self._finishing:
            self._finishing.add(parcel)
            self._start(self._finish(parcel))

    async def _finish(self, parcel: ArrivingParcel) -> None:
        if parcel.work_s > 0:
            rate = parcel.work_bytes / parcel.work_s * self._jobs / 2
            self._choice.measured_work(parcel.wire, rate)
        for index, error in parcel.failed.items():
            self.refused.append((parcel.manifest.items[index], error))
        count = await parcel.publish()
        self._summary.pulled += count
        self._on_items(count, 0)
        self._finishing.discard(parcel)
        self._open -= 1
        self._changed.set()

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        assert self._group is not None
        try:
            self._group.create_task(work)
        except RuntimeError:  # the group is ending: the journal knows what is there
            work.close()


def failure_of(item: Item, error: MerseyError) -> PullFailure:
    """An item that did not come, for the summary."""
    return PullFailure(item.sop_instance_uid, str(error), type(error).__name__)
