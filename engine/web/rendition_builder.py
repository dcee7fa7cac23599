"""Builds renditions in the background: those asked for, one instance at a time.

What is asked for waits in a bounded queue, first come first served; when it is full the
oldest order is dropped, and given again with the next request. What cannot be built is
remembered and not tried again. Cancellation leaves part files, which the next build of the
same rendition goes on from.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections import OrderedDict
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Never

from ...codecs.errors import MerseyError, ResourceError, UnsupportedError
from ..archive.entry import Entry
from ..archive.renditions import RenditionStore
from ..runtime.byte_budget import ByteBudget
from ..runtime.plan import Job
from ..runtime.rearranging import PROGRESSIVE
from ..runtime.transcode import transcode_file
from ..runtime.worker_pool import WorkerPool
from .holdings import require_current

__all__ = ["RenditionBuilder"]

_MAX_WAITING = 1024
_MAX_FAILED = 4096
_NICENESS = 10
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Order:
    entry: Entry
    key: str
    target_uid: str
    done: asyncio.Future[None] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


class RenditionBuilder:
    """The queue of renditions to be built, and the task that builds them."""

    def __init__(
        self, renditions: RenditionStore, *, executor: Executor, budget: ByteBudget, jobs: int
    ) -> None:
        self._renditions = renditions
        self._executor = executor
        self._budget = budget
        self._jobs = jobs
        self._waiting: OrderedDict[str, _Order] = OrderedDict()
        self._failed: OrderedDict[str, MerseyError] = OrderedDict()
        self._current: _Order | None = None
        self._something = asyncio.Event()

    def ask(self, entry: Entry, key: str, *, target_uid: str) -> None:
        """Have the rendition `key` of `entry` built, when its turn comes."""
        self._order(entry, key, target_uid)

    async def build(self, entry: Entry, key: str, *, target_uid: str) -> None:
        """Have it built, and wait for it.

        Raises
        ------
        MerseyError
            It cannot be built.
        """
        order = self._order(entry, key, target_uid)
        if order is None:
            raise self._failed[key]
        await asyncio.shield(order.done)

    async def run(self) -> Never:
        """Build what is asked for, until cancelled."""
        while True:
            while not self._waiting:
                self._something.clear()
                await self._something.wait()
            _, order = self._waiting.popitem(last=False)
            self._current = order
            try:
                await self._build(order)
            finally:
                self._current = None
                if not order.done.done():
                    order.done.cancel()

    def _order(self, entry: Entry, key: str, target_uid: str) -> _Order | None:
        if key in self._failed:
            return None
        if self._current is not None and self._current.key == key:
            return self._current
        order = self._waiting.get(key)
        if order is None:
            order = self._waiting[key] = _Order(entry, key, target_uid)
            self._something.set()
            if len(self._waiting) > _MAX_WAITING:
                _, dropped = self._waiting.popitem(last=False)
                self._end(dropped, ResourceError("too many renditions are waiting to be built"))
        return order

    async def _build(self, order: _Order) -> None:
        try:
            if self._renditions.find(order.key) is None:
                await self._transcode(order)
        except (MerseyError, OSError) as error:
            _log.warning(
                "no rendition of instance %s in %s: %s",
                order.entry.instance.sop_instance_uid,
                order.target_uid,
                error,
            )
            self._fail(order, error)
        else:
            self._end(order, None)

    async def _transcode(self, order: _Order) -> None:
        target = self._renditions.path_of(order.key)
        self._yield_to_requests()
        require_current(order.entry)
        outcome = await transcode_file(
            _job(order, str(target)),
            executor=self._executor,
            budget=self._budget,
            jobs=self._jobs,
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

    def _fail(self, order: _Order, error: MerseyError | OSError) -> None:
        if isinstance(error, OSError):
            error = ResourceError(f"the rendition cannot be written: {error.strerror}")
        elif not isinstance(error, ResourceError):
            # The source is at fault: with a source that changed, the key is another.
            self._failed[order.key] = error
            if len(self._failed) > _MAX_FAILED:
                self._failed.popitem(last=False)
        self._end(order, error)

    @staticmethod
    def _end(order: _Order, error: MerseyError | None) -> None:
        if order.done.done():
            return
        if error is None:
            order.done.set_result(None)
        else:
            order.done.set_exception(error)
            order.done.exception()  # it was logged; nobody need be waiting for it

    def _yield_to_requests(self) -> None:
        """Let the workers that answer requests go before those that build."""
        if isinstance(self._executor, WorkerPool):
            for process_id in self._executor.process_ids:
                with suppress(OSError):
                    os.setpriority(os.PRIO_PROCESS, process_id, _NICENESS)


def _job(order: _Order, target: str) -> Job:
    entry, target_uid = order.entry, order.target_uid
    is_rearranged = target_uid == PROGRESSIVE
    if is_rearranged:
        # Of the same name, whatever rules it meets: that is how its frames are labelled.
        target_uid = entry.instance.transfer_syntax_uid
    return Job(entry.path, target, target_uid, "independent", digests=True, rearrange=is_rearranged)
