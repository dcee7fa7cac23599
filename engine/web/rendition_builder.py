"""Builds renditions in the background: those asked for, one instance at a time.

Orders wait in a bounded queue (`rendition_queue`): what a client waits for goes first, what was
asked for next, what was received last. A dropped order is given again with the next request.
With nothing to do the builder goes through the archive from the newest instance on, and builds
what viewers would ask for, as long as the cache has room: for that, nothing is evicted. What
cannot be built is remembered and not tried again. Cancellation leaves part files, which the next
build of the same rendition goes on from.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor
from contextlib import suppress
from typing import Never

from ...codecs.errors import MerseyError, ResourceError, UnsupportedError
from ..archive.entry import Entry
from ..archive.part_file import TakenError
from ..archive.rendition_cache import RenditionCache
from ..archive.renditions import RenditionStore
from ..runtime.byte_budget import ByteBudget
from ..runtime.frame_demand import FrameWish
from ..runtime.transcode import transcode_file
from ..runtime.worker_pool import WorkerPool
from .frame_forms import rendition_key_for
from .holdings import require_current
from .rendition_forms import progressive_target
from .rendition_order import RenditionOrder
from .rendition_queue import RenditionQueue, Urgency

__all__ = ["RenditionBuilder"]

_MAX_WAITING = 1024
_MAX_FAILED = 4096
_LOOK_AGAIN_S = 0.2
_NICENESS = 10
_log = logging.getLogger(__name__)


class RenditionBuilder:
    """The queue of renditions to be built, and the task that builds them."""

    def __init__(
        self,
        renditions: RenditionStore,
        *,
        executor: Executor,
        budget: ByteBudget,
        jobs: int,
        cache: RenditionCache | None = None,
        locate: Callable[[Entry], Entry] = lambda entry: entry,
        every: Callable[[], Iterable[Entry]] | None = None,
        quiet_s: float = 0.0,
    ) -> None:
        """`cache` bounds the renditions; `every` gives the instances to build unasked.

        Those wait until nothing has been received for `quiet_s`: storing goes first.

        `locate` gives an entry the local file that the bytes are read from. It and what `every`
        gives block, and are called in threads.
        """
        self._renditions = renditions
        self._executor = executor
        self._budget = budget
        self._jobs = jobs
        self._cache = cache
        self._locate = locate
        self._every = every
        self._prebuilds = every is not None
        self._rest: Iterator[Entry] | None = None
        self._waiting: RenditionQueue[RenditionOrder] = RenditionQueue(limit=_MAX_WAITING)
        self._failed: OrderedDict[str, MerseyError] = OrderedDict()
        self._current: RenditionOrder | None = None
        self._something = asyncio.Event()
        self._quiet_s = quiet_s
        self._quiet_from = 0.0

    def ask(self, entry: Entry, key: str, *, target_uid: str) -> None:
        """Have the rendition `key` of `entry` built, when its turn comes."""
        self._order(entry, key, target_uid, Urgency.ASKED)

    async def build(
        self, entry: Entry, key: str, *, target_uid: str, wish: FrameWish | None = None
    ) -> None:
        """Have it built before all others, and wait for it; `wish` is served meanwhile.

        Raises
        ------
        MerseyError
            It cannot be built.
        """
        order = self._order(entry, key, target_uid, Urgency.AWAITED)
        if order is None:
            raise self._failed[key]
        await order.wait(wish)

    def failure(self, key: str) -> MerseyError | None:
        """Why the rendition `key` cannot be built, where that is known."""
        return self._failed.get(key)

    def received(self, entries: Iterable[Entry]) -> None:
        """Have what viewers will ask for built of instances that came just now.

        They wait behind all that is asked for. Does nothing where nothing is built unasked.
        """
        if not self._prebuilds:
            return
        self._quiet_from = asyncio.get_running_loop().time() + self._quiet_s
        self._order_progressive(entries)

    def _order_progressive(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            target_uid = progressive_target(entry)
            if target_uid is not None:
                key = rendition_key_for(entry, target_uid)
                self._order(entry, key, target_uid, Urgency.RECEIVED)

    def look_again(self) -> None:
        """Go through the archive from the newest instance on, once more."""
        if self._every is not None:
            self._rest = iter(self._every())
            self._something.set()

    async def run(self) -> Never:
        """Build what is asked for, until cancelled."""
        self.look_again()
        while True:
            while not len(self._waiting) and not await self._order_unasked():
                self._something.clear()
                await self._something.wait()
            if self._waiting.urgency is Urgency.RECEIVED and not await self._is_quiet():
                continue
            order = self._waiting.pop()
            self._current = order
            try:
                await self._build(order)
            finally:
                self._current = None
                if not order.done.done() and self._waiting.get(order.key) is None:
                    order.done.cancel()

    async def _is_quiet(self) -> bool:
        """Whether nothing is being received; where it is, false after a while, or a new order."""
        left_s = self._quiet_from - asyncio.get_running_loop().time()
        if left_s <= 0:
            return True
        self._something.clear()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._something.wait(), left_s)
        return False

    async def _order_unasked(self) -> bool:
        """Order what is next without being asked for; False where there is no more to do.

        The cache is asked before each: with no room left, the rest waits for the next start.
        """
        while self._rest is not None and not len(self._waiting):
            rest = self._rest
            try:
                found = await asyncio.to_thread(self._next_unasked, rest)
            except (MerseyError, OSError) as error:
                _log.warning("renditions are not built ahead: %s", error)
                found = []
            if found:
                self._order_progressive(found)
            elif self._rest is rest:
                self._rest = None
        return len(self._waiting) > 0

    def _next_unasked(self, rest: Iterator[Entry]) -> list[Entry]:
        """The next instance that lacks its progressive rendition, if there is room for it."""
        for entry in rest:
            target_uid = progressive_target(entry)
            if target_uid is None:
                continue
            if self._cache is not None and not self._cache.has_room(entry.stamp.size_bytes):
                return []
            key = rendition_key_for(entry, target_uid)
            if key not in self._failed and not self._renditions.path_of(key).exists():
                return [entry]
        return []

    def _order(
        self, entry: Entry, key: str, target_uid: str, urgency: Urgency
    ) -> RenditionOrder | None:
        if key in self._failed:
            return None
        if self._current is not None and self._current.key == key:
            return self._current
        order = self._waiting.get(key)
        if order is not None:
            order.urgency = min(order.urgency, urgency)
            self._waiting.raise_to(key, urgency)
            return order
        order = RenditionOrder.of(entry, key, target_uid, urgency)
        self._something.set()
        dropped = self._waiting.put(key, order, urgency)
        if dropped is not None:
            dropped.end(ResourceError("too many renditions are waiting to be built"))
        return order

    async def _build(self, order: RenditionOrder) -> None:
        try:
            if self._renditions.find(order.key) is None and await self._has_room(order):
                await self._transcode(order)
        except TakenError:
            await self._leave_to_other(order)
        except (MerseyError, OSError) as error:
            _log.warning(
                "no rendition of instance %s in %s: %s",
                order.entry.instance.sop_instance_uid,
                order.target_uid,
                error,
            )
            self._fail(order, error)
        else:
            order.end()

    async def _leave_to_other(self, order: RenditionOrder) -> None:
        """Another server of the store builds it: look again in a while, if somebody wants it."""
        if order.urgency is Urgency.RECEIVED:
            order.end()
            return
        await asyncio.sleep(_LOOK_AGAIN_S)
        dropped = self._waiting.put(order.key, order, order.urgency)
        if dropped is not None:
            dropped.end(ResourceError("too many renditions are waiting to be built"))

    async def _transcode(self, order: RenditionOrder) -> None:
        target = self._renditions.path_of(order.key)
        self._yield_to_requests()
        order.entry = await asyncio.to_thread(self._locate, order.entry)
        require_current(order.entry)
        outcome = await transcode_file(
            order.job(str(target)),
            executor=self._executor,
            budget=self._budget,
            jobs=self._jobs,
            demand=order.demand,
        )
        if outcome.action in ("copied", "kept"):
            self._renditions.drop(order.key)
            raise UnsupportedError(
                f"the instance has no form in that transfer syntax: {outcome.reason}",
                feature=order.target_uid,
            )
        try:
            require_current(order.entry)
        except MerseyError:
            self._renditions.drop(order.key)
            raise
        if self._cache is not None:
            await asyncio.to_thread(self._cache.added, order.key)

    async def _has_room(self, order: RenditionOrder) -> bool:
        """What nobody asked for costs nobody else their rendition."""
        if order.urgency is not Urgency.RECEIVED or self._cache is None:
            return True
        return await asyncio.to_thread(self._cache.has_room, order.entry.stamp.size_bytes)

    def _fail(self, order: RenditionOrder, error: MerseyError | OSError) -> None:
        if isinstance(error, OSError):
            error = ResourceError(f"the rendition cannot be written: {error.strerror}")
        elif not isinstance(error, ResourceError):
            # The source is at fault: with a source that changed, the key is another.
            self._failed[order.key] = error
            if len(self._failed) > _MAX_FAILED:
                self._failed.popitem(last=False)
        order.end(error)

    def _yield_to_requests(self) -> None:
        """Let the workers that answer requests go before those that build."""
        if isinstance(self._executor, WorkerPool):
            for process_id in self._executor.process_ids:
                with suppress(OSError):
                    os.setpriority(os.PRIO_PROCESS, process_id, _NICENESS)
