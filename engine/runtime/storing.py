"""The way of originals into the store, in threads: each *lands*, is *examined* and *committed*.

An original lands when its last bytes are written, which a few threads do; it is examined in a
worker process. The committer takes whatever waits when its last commit ends: the busier, the more
instances share one flush, with nothing to tune. No step waits for an event loop: that one hears
of the end alone.
"""

from __future__ import annotations

import math
import queue
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field

from ...codecs.errors import MerseyError, ResourceError
from ..archive.examination import Examined, Refusal, RefusedFor, examine_all
from ..archive.ingest import Ingest
from ..archive.receiving import Received, Receiving
from ..archive.stored import Settled
from .submission import submit

__all__ = ["STOPPED", "Item", "Storing"]

STOPPED = Refusal("failure", "the server stopped before it was stored")

_AT_ONCE = 16
_BYTES_AT_ONCE = 32 << 20
_TIME_LIMIT_S = 120.0
_TRIED_AGAIN_S = 1.0  # removing what others kept us from removing

type _Outcome = Settled | Refusal
type _Found = Sequence[Examined | Refusal]


@dataclass(slots=True, eq=False, kw_only=True)
class Item:
    """An original; `fill` writes what `receiving` misses of it, by default all."""

    fill: Callable[[Receiving], None] | None
    size_bytes: int
    study_uid: str | None
    receiving: Receiving | None
    received: Received | None = field(default=None, init=False)
    examined: Examined | None = field(default=None, init=False)


class Storing:
    """Takes items between `start` and `stop`. What it calls is called in its threads.

    Parameters
    ----------
    executor
        Where files are examined.
    examiners
        How many calls of `executor` may be open at once, and how many threads write.
    on_landed
        Called with items whose bytes are written.
    on_settled
        Called with items and what became of them, which is durable.
    on_failed
        Called with what should not have been raised; nothing goes on then.
    """

    def __init__(
        self,
        ingest: Ingest,
        *,
        executor: Executor,
        examiners: int,
        on_landed: Callable[[Sequence[Item]], None],
        on_settled: Callable[[Sequence[tuple[Item, _Outcome]]], None],
        on_failed: Callable[[Exception], None],
    ) -> None:
        self._ingest = ingest
        self._executor = executor
        self._examiners = examiners
        self._on_landed = on_landed
        self._on_settled = on_settled
        self._on_failed = on_failed
        self._changed = threading.Condition(threading.Lock())
        self._landing: deque[Item] = deque()
        self._landed: deque[Item] = deque()
        self._free = examiners
        self._stopped = False
        self._examined: queue.SimpleQueue[Item | None] = queue.SimpleQueue()
        self._threads = [
            threading.Thread(target=self._guarded, args=(work,), name="mersey-storing", daemon=True)
            for work in (*[self._land] * examiners, self._commit)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """A landing and a commit that have begun are finished; nothing else is waited for."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        self._examined.put(None)
        for thread in self._threads:
            thread.join()

    def put(self, item: Item) -> None:
        """Let `item` in; does not block."""
        with self._changed:
            self._landing.append(item)
            self._changed.notify()

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001  whoever started the threads is to know
            self._on_failed(error)

    def _land(self) -> None:
        while items := self._next_to_land():
            refused: list[tuple[Item, _Outcome]] = []
            landed = []
            for item in items:
                refusal = self._written(item)
                if refusal is None:
                    landed.append(item)
                else:
                    refused.append((item, refusal))
            if refused:
                self._on_settled(refused)
            self._on_landed(landed)
            with self._changed:
                self._landed += landed
            self._examine()

    def _next_to_land(self) -> list[Item]:
        """A fair share of what waits, once there is something; none when all is over."""
        with self._changed:
            self._changed.wait_for(lambda: self._landing or self._stopped)
            return [] if self._stopped else _taken(self._landing, share=self._examiners)

    def _written(self, item: Item) -> Refusal | None:
        fill, item.fill = item.fill, None  # what it holds goes with it
        try:
            if item.receiving is None:
                item.receiving = Receiving(self._ingest.blobs.incoming)
            if fill is not None:
                fill(item.receiving)
            item.received = item.receiving.finish()
        except MerseyError as error:
            reason: RefusedFor = "resources" if isinstance(error, ResourceError) else "failure"
            return Refusal(reason, error.message)
        return None

    def _examine(self) -> None:
        """Have examined what has landed, as far as examiners are free."""
        while True:
            with self._changed:
                if self._stopped or self._free <= 0 or not self._landed:
                    return
                items = _taken(self._landed, share=self._free)
                self._free -= 1
            self._begin(items)

    def _begin(self, items: list[Item]) -> None:
        received = [item.received for item in items if item.received is not None]
        limit_s = _TIME_LIMIT_S + sum(item.size_bytes for item in items) / 20e6
        call: Future[list[Examined | Refusal]]
        try:
            call = submit(
                self._executor, limit_s, examine_all, received, study_uid=items[0].study_uid
            )
        except (MerseyError, RuntimeError) as error:  # the executor was shut down
            call = Future()
            call.set_exception(error)
        call.add_done_callback(lambda done: self._found(items, done))

    def _found(self, items: list[Item], call: Future[list[Examined | Refusal]]) -> None:
        """Pass on what a call found; where one item took its worker down, the others go on."""
        error = None if call.cancelled() else call.exception()
        found: _Found = ()
        if call.cancelled():
            found = [STOPPED] * len(items)
        elif error is None:
            found = call.result()
        elif len(items) == 1:
            found = [Refusal("failure", f"it could not be examined: {error}")]
        refused = []
        for item, one in zip(items, found, strict=False):
            if isinstance(one, Refusal):
                refused.append((item, one))
            else:
                item.examined = one
                self._examined.put(item)
        if refused:
            self._on_settled(refused)
        with self._changed:
            # Each of them alone is another call, which nobody has to make room for.
            self._free += 1 - (0 if found else len(items))
        if not found:
            for item in items:
                self._begin([item])
        self._examine()

    def _commit(self) -> None:
        nothing_left = True
        while True:
            try:
                first = self._examined.get(timeout=None if nothing_left else _TRIED_AGAIN_S)
            except queue.Empty:
                nothing_left = self._ingest.remove_unneeded()
                continue
            items = [first, *_all_of(self._examined)]
            if self._stopped or None in items:
                return
            whole = [item for item in items if item is not None]
            outcomes = self._ingest.commit(
                [item.examined for item in whole if item.examined is not None]
            )
            for item in whole:
                if item.receiving is not None:
                    item.receiving.release()  # its name is gone
                    item.receiving = None
            self._on_settled(list(zip(whole, outcomes, strict=True)))
            nothing_left = False


def _taken(waiting: deque[Item], *, share: int) -> list[Item]:
    """The next of what waits, one of `share` parts; of one study that is addressed, or none."""
    count = min(_AT_ONCE, math.ceil(len(waiting) / share))
    items: list[Item] = []
    size_bytes = 0
    while waiting and len(items) < count and size_bytes < _BYTES_AT_ONCE:
        if items and waiting[0].study_uid != items[0].study_uid:
            break
        items.append(waiting.popleft())
        size_bytes += items[-1].size_bytes
    return items


def _all_of[T](waiting: queue.SimpleQueue[T]) -> list[T]:
    found = []
    while True:
        try:
            found.append(waiting.get_nowait())
        except queue.Empty:
            return found
