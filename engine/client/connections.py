"""Many connections to one server: how many is found out, what fails is tried again.

`Concurrency` and `Backoff` are values that decide; `Connections` carries pieces of work by what
they decide. More connections are taken while that makes a transfer faster, fewer when they fail.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from ...codecs.errors import TransferError

__all__ = [
    "Backoff",
    "Concurrency",
    "Connections",
    "first_error",
    "is_final",
    "tried_again",
]

_WORTH = 1.08
_MEASURE_S = 1.0
_CALM_STEPS = 8


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long to wait before the next try, and after how many tries without progress to stop.

    The time doubles from `first_s` to `longest_s`; a random part of it is waited, so that many
    clients of a server that was away do not come back as one (full jitter).
    """

    first_s: float = 0.25
    longest_s: float = 20.0
    most_tries: int = 10
    longest_retry_after_s: float = 120.0

    def delay_s(self, tries: int, *, chance: float, retry_after_s: float | None = None) -> float:
        """The time before the next try after `tries` failed ones; `chance` is of [0, 1)."""
        highest = min(self.longest_s, self.first_s * 2.0 ** min(max(tries - 1, 0), 30))
        delay = highest * (0.5 + 0.5 * chance)
        if retry_after_s is not None:
            # What the server asks for, and a little more, each another little.
            delay = min(retry_after_s, self.longest_retry_after_s) + 0.2 * delay
        return delay


def is_final(error: TransferError) -> bool:
    """Whether trying again is of no use: the server understood, and does not want to."""
    return not getattr(error, "is_passing", True)


class Concurrency:
    """How many connections to use, by what they brought so far. Decides, measures nothing.

    One more is tried for as long as the last one made all together faster by some hundredths;
    one that did not is given up again, and tried anew after a while. A failure halves them.
    """

    def __init__(self, *, most: int, start: int = 2) -> None:
        self.most = most
        self.limit = max(1, min(start, most))
        self._best = 0.0
        self._before = 0
        self._calm = 0

    def measured(self, bytes_per_s: float) -> None:
        """All connections together moved that much for a while."""
        if self._before and self.limit > self._before and bytes_per_s < self._best * _WORTH:
            self.limit, self._before, self._calm = self._before, 0, _CALM_STEPS
            self._best = max(self._best, bytes_per_s)
            return
        self._best = bytes_per_s
        if self._calm:
            self._calm -= 1
            self._before = 0
        elif self.limit < self.most:
            self._before, self.limit = self.limit, min(self.most, self.limit + 1)

    def failed(self) -> None:
        """A connection failed."""
        self.limit = max(1, self.limit // 2)
        self._before, self._calm, self._best = 0, _CALM_STEPS // 2, 0.0


class _Chance(Protocol):
    def random(self) -> float: ...


class Connections:
    """Pieces of work over up to `most` connections. For one event loop."""

    def __init__(
        self,
        *,
        most: int = 8,
        start: int = 2,
        backoff: Backoff | None = None,
        chance: _Chance | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        on_failure: Callable[[TransferError], None] = lambda _: None,
    ) -> None:
        self.concurrency = Concurrency(most=most, start=start)
        self.failures = 0
        self._backoff = backoff or Backoff()
        self._chance = chance or random.Random()
        self._clock = clock
        self._sleep = sleep
        self._on_failure = on_failure
        self._changed = asyncio.Event()
        self._moved_bytes = 0
        self._since_s = clock()
        self._since_bytes = 0

    def moved(self, length_bytes: int) -> None:
        """Count bytes that went over a connection just now: that is what decides how many."""
        self._moved_bytes += length_bytes
        now = self._clock()
        passed_s = now - self._since_s
        if passed_s < _MEASURE_S:
            return
        self.concurrency.measured((self._moved_bytes - self._since_bytes) / passed_s)
        self._since_s, self._since_bytes = now, self._moved_bytes
        self._changed.set()

    async def carry[T](self, work: AsyncIterator[T], move: Callable[[T], Awaitable[None]]) -> None:
        """Move every piece of `work`, several at once; what fails is tried again.

        `move` is called again with the same piece after a failure that may pass. Where its
        TransferError tells a `resume_from` further on than before, the tries begin anew.

        Raises
        ------
        MerseyError
            One failed for good; the others are abandoned.
        """
        taking = asyncio.Lock()
        over = asyncio.Event()

        async def take() -> tuple[T] | None:
            async with taking:
                if not over.is_set():
                    async for piece in work:
                        return (piece,)
            over.set()
            self._changed.set()
            return None

        async def connection(number: int) -> None:
            while not over.is_set():
                if number >= self.concurrency.limit:
                    self._changed.clear()
                    await self._changed.wait()
                elif (taken := await take()) is not None:
                    await self.again(move, taken[0])

        self._since_s, self._since_bytes = self._clock(), self._moved_bytes
        try:
            async with asyncio.TaskGroup() as group:
                for number in range(self.concurrency.most):
                    group.create_task(connection(number))
        except BaseExceptionGroup as errors:
            raise first_error(errors) from None

    async def again[T](self, move: Callable[[T], Awaitable[None]], piece: T) -> None:
        """Call ``move(piece)`` until it succeeds, or fails for good."""

        def failed(error: TransferError) -> None:
            self.concurrency.failed()
            self._failed(error)

        await self.tried(lambda: move(piece), on_failure=failed)

    async def tried[T](
        self,
        call: Callable[[], Awaitable[T]],
        *,
        on_failure: Callable[[TransferError], None] | None = None,
    ) -> T:
        """The result of `call`, tried as all here is; for what says nothing of the speed."""
        return await tried_again(
            call,
            backoff=self._backoff,
            chance=self._chance,
            sleep=self._sleep,
            on_failure=on_failure or self._failed,
        )

    def _failed(self, error: TransferError) -> None:
        self.failures += 1
        self._on_failure(error)


async def tried_again[T](
    call: Callable[[], Awaitable[T]],
    *,
    backoff: Backoff | None = None,
    chance: _Chance | None = None,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    on_failure: Callable[[TransferError], None] = lambda _: None,
) -> T:
    """The result of `call`, which is called again after a failure that may pass.

    Raises
    ------
    MerseyError
        It failed for good, or too often without getting further.
    """
    backoff = backoff or Backoff()
    chance = chance or random.Random()
    tries, furthest = 0, -1
    while True:
        try:
            return await call()
        except TransferError as error:
            on_failure(error)
            if error.resume_from is not None and error.resume_from > furthest:
                tries = 0 if furthest >= 0 else tries
                furthest = error.resume_from
            tries += 1
            if is_final(error) or tries >= backoff.most_tries:
                raise
            retry_after_s = getattr(error, "retry_after_s", None)
            delay_s = backoff.delay_s(tries, chance=chance.random(), retry_after_s=retry_after_s)
        await sleep(delay_s)


def first_error(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    """The error that ended a group, rather than those that it caused."""
    found: BaseException = errors
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    return found
