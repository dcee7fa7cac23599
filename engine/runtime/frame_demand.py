"""Which frames of a file in the making are wanted first, and who takes them as they come.

The file itself is the same whatever is wanted. For one event loop.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Awaitable, Callable, Iterator, Sequence

from ...codecs.pixels import Buffer

__all__ = ["FrameDemand", "FrameWish"]

type Take = Callable[[int, Sequence[Buffer]], Awaitable[None]]


class FrameWish:
    """The frames that one reader wants, in `order`, counted from 0.

    `take` is called with runs of encoded frames: the index of the first, and one piece for each
    of them, which is let go when it returns.
    """

    def __init__(self, order: Sequence[int], *, take: Take) -> None:
        self.order = order
        self.take = take
        self._demand: FrameDemand | None = None
        self._news = asyncio.Event()

    def join(self, demand: FrameDemand) -> None:
        """Be served by `demand` from now on."""
        self._demand = demand

    def has_passed(self, index: int) -> bool:
        """Whether that frame was encoded by now, for this reader or before it came."""
        return self._demand is not None and self._demand.has_passed(index)

    def tell(self, *_: object) -> None:
        """Something came, or ended."""
        self._news.set()

    async def news(self) -> None:
        """Wait for the next :meth:`tell`, or the last one if that was not waited for yet."""
        await self._news.wait()
        self._news.clear()


class FrameDemand:
    """What all readers want of one file. The one that came last is served first."""

    def __init__(self) -> None:
        self._wishes: list[FrameWish] = []
        self._passed = bytearray()

    def add(self, wish: FrameWish) -> None:
        """Serve `wish`, too, until it is removed."""
        self._wishes.append(wish)
        wish.join(self)

    def remove(self, wish: FrameWish) -> None:
        """Nobody wants what `wish` has any more."""
        self._wishes.remove(wish)

    def begin(self, count: int, *, first: int) -> None:
        """The file has `count` frames; those before `first` are encoded already."""
        self._passed = bytearray(b"\1" * first + b"\0" * (count - first))

    def has_passed(self, index: int) -> bool:
        """Whether the frame at `index` was encoded."""
        return index < len(self._passed) and self._passed[index] == 1

    async def made(self, first: int, count: int, pieces: Sequence[Buffer]) -> None:
        """The frames from `first` on were encoded: whoever wants them takes them now."""
        for wish in tuple(self._wishes):
            await wish.take(first, pieces)
        self._passed[first : first + count] = b"\1" * count
        for wish in self._wishes:
            wish.tell()

    def runs(self, runs: Sequence[range]) -> Iterator[range]:
        """Each of `runs` once, first the one with the frame that is wanted most at the moment.

        Where nothing is wanted, in the order given.
        """
        left = dict.fromkeys(runs)
        starts = [run.start for run in runs]
        wish: FrameWish | None = None
        wanted: Iterator[int] = iter(())
        while left:
            latest = self._wishes[-1] if self._wishes else None
            if latest is not wish:
                wish, wanted = latest, iter(latest.order if latest else ())
            # Frames that were encoded before are in no run.
            coming = (index for index in wanted if index >= starts[0])
            found = (runs[bisect_right(starts, index) - 1] for index in coming)
            run = next((one for one in found if one in left), None) or next(iter(left))
            del left[run]
            yield run
