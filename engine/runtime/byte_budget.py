"""A budget of bytes: what is in flight never weighs more.

Backpressure for pipelines: whoever starts a piece of work takes its weight out of the budget
and puts it back when its result has left.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

__all__ = ["ByteBudget"]


class ByteBudget:
    """`limit_bytes` to share between tasks of one event loop, first come, first served.

    A piece heavier than the whole budget may pass when nothing else is in flight, so that one
    large frame is slow rather than impossible.
    """

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self.taken_bytes = 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    def try_take(self, weight_bytes: int) -> bool:
        """Take `weight_bytes` if they fit now and nobody waits; say whether they were taken."""
        if self._waiting or not self._fits(weight_bytes):
            return False
        self.taken_bytes += weight_bytes
        return True

    async def take(self, weight_bytes: int) -> None:
        """Wait until `weight_bytes` fit, and take them. Cancellation takes nothing."""
        if self.try_take(weight_bytes):
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append((weight_bytes, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():
                self.give_back(weight_bytes)  # it was taken for us while we were cancelled
            elif (weight_bytes, turn) in self._waiting:
                self._waiting.remove((weight_bytes, turn))
                self._admit()
            raise

    def give_back(self, weight_bytes: int) -> None:
        """Return what was taken."""
        self.taken_bytes -= weight_bytes
        assert self.taken_bytes >= 0, "more was given back than taken"
        self._admit()

    @asynccontextmanager
    async def hold(self, weight_bytes: int) -> AsyncIterator[None]:
        """Hold `weight_bytes` for the length of a block."""
        await self.take(weight_bytes)
        try:
            yield
        finally:
            self.give_back(weight_bytes)

    def _fits(self, weight_bytes: int) -> bool:
        return self.taken_bytes == 0 or self.taken_bytes + weight_bytes <= self.limit_bytes

    def _admit(self) -> None:
        while self._waiting and self._fits(self._waiting[0][0]):
            weight_bytes, turn = self._waiting.popleft()
            if not turn.cancelled():
                self.taken_bytes += weight_bytes
                turn.set_result(None)
