"""Follows folders that are served in place: what changes in them is indexed soon after.

Begins with a scan of everything. Then paths that something happened to are looked at again
once they have been left alone for a moment, so that a file in the middle of being written waits
until it is whole; a crowd of changes, or a root that came back, leads to another scan, which
costs a stat a file. Never touches the files.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import os
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from threading import Event

from watchfiles import awatch

from ...codecs.errors import ResourceError
from ..archive.folder_index import FolderIndex, ScanProgress

__all__ = ["FolderWatch"]

_log = logging.getLogger(__name__)

_GROUP_MS = 400
_STEP_MS = 50
_LOOK_AT_ROOTS_MS = 500
_QUIET_S = 0.3
_LONGEST_WAIT_S = 3.0
"""Something that changes all the time is looked at after that long all the same."""
_SECOND_LOOK_S = 1.0
_MOST_PATHS = 8192
"""Half of what Linux queues by default (fs.inotify.max_queued_events): some may be lost."""
_RETRY_S = 5.0
_AGAIN_S = 2.0


class FolderWatch:
    """The one that keeps an index up to date. For one event loop; `run` it in a task.

    Parameters
    ----------
    follow
        Whether the file system is watched; otherwise only what is noticed is looked at.
    on_scan
        Called in another thread as the first scan goes on.
    on_indexed
        Called when the index has been brought up to date.
    """

    def __init__(
        self,
        index: FolderIndex,
        *,
        executor: Executor,
        follow: bool,
        on_scan: Callable[[ScanProgress], None] = lambda _: None,
        on_indexed: Callable[[], None] = lambda: None,
    ) -> None:
        self._index = index
        self._executor = executor
        self._follow = follow
        self._on_scan = on_scan
        self._on_indexed = on_indexed
        self._pending: dict[str, tuple[float, float]] = {}
        self._needs_scan = False
        self._woken = asyncio.Event()

    def notice(self, path: str) -> None:
        """Have `path` looked at again: a file, or a folder with all that is in it."""
        now = asyncio.get_running_loop().time()
        if len(self._pending) >= _MOST_PATHS:
            self._pending.clear()
            self._needs_scan = True
        if not self._needs_scan:
            first, last = self._pending.get(path, (now, now))
            self._pending[path] = first, max(now, last)
        self._woken.set()

    async def run(self) -> None:
        """Scan, then follow until cancelled: what was being indexed is then in the catalogue."""
        async with asyncio.TaskGroup() as group:
            if self._follow:
                # From before the scan: nothing that happens during it is missed.
                group.create_task(self._watch())
            await self._blocking(self._scan)
            self._on_indexed()
            while True:
                await self._woken.wait()
                self._woken.clear()
                await self._look()

    async def _look(self) -> None:
        """Look at all that is pending, as it becomes ripe."""
        loop = asyncio.get_running_loop()
        while self._pending or self._needs_scan:
            if self._needs_scan:
                await asyncio.sleep(_QUIET_S)
                self._needs_scan = False
                self._pending.clear()
                await self._blocking(self._scan_again)
                self._on_indexed()
                continue
            now = loop.time()
            ripe_at = {
                path: min(last + _QUIET_S, first + _LONGEST_WAIT_S)
                for path, (first, last) in self._pending.items()
            }
            ripe = [path for path, at in ripe_at.items() if at <= now]
            if not ripe:
                await asyncio.sleep(min(ripe_at.values()) - now)
                continue
            for path in ripe:
                del self._pending[path]
            look = functools.partial(self._look_at, tuple(ripe))
            # What was put into a new folder before it was watched told nobody.
            for folder in await self._blocking(look):
                loop.call_later(_SECOND_LOOK_S, self.notice, folder)
            self._on_indexed()

    def _look_at(self, paths: Sequence[str], stop: Event) -> list[str]:
        return self._index.look_again(paths, executor=self._executor, stop=stop)

    async def _blocking[T](self, call: Callable[[Event], T]) -> T:
        """A call of the index in a thread, again where the catalogue failed in between.

        A cancelled one stops after the batch it is at.
        """
        stop = Event()
        while True:
            thread = asyncio.ensure_future(asyncio.to_thread(call, stop))
            try:
                return await asyncio.shield(thread)
            except ResourceError as error:
                _log.warning("the folders are looked at again: %s", error)
                await asyncio.sleep(_AGAIN_S)
            except asyncio.CancelledError:
                stop.set()
                await asyncio.wait([thread])
                raise

    def _scan(self, stop: Event) -> None:
        self._index.scan(executor=self._executor, on_progress=self._on_scan, stop=stop)

    def _scan_again(self, stop: Event) -> None:
        self._index.scan(executor=self._executor, stop=stop)

    async def _watch(self) -> None:
        """Notice what the file system tells; begin again where a root is another folder by now."""
        while True:
            before = self._identities()
            try:
                await self._watch_roots(before)
            except (OSError, RuntimeError) as error:
                # No watches left, or a root that went while it was being watched.
                _log.warning("folders cannot be watched, they are scanned: %s", error)
                await asyncio.sleep(_RETRY_S)
            self._needs_scan = True
            self._woken.set()

    async def _watch_roots(self, identities: dict[str, tuple[int, int]]) -> None:
        if not identities:
            await asyncio.sleep(_LOOK_AT_ROOTS_MS / 1000)
        else:
            async for changes in awatch(
                *identities,
                watch_filter=None,
                debounce=_GROUP_MS,
                step=_STEP_MS,
                rust_timeout=_LOOK_AT_ROOTS_MS,
                yield_on_timeout=True,
                force_polling=False,
                ignore_permission_denied=True,
            ):
                if self._identities() != identities:
                    return
                for _, path in changes:
                    self.notice(path)

    def _identities(self) -> dict[str, tuple[int, int]]:
        """The roots that are there, and which folder each is."""
        found = {}
        for root in self._index.roots:
            try:
                status = os.stat(root)
            except OSError:
                continue
            found[str(root)] = status.st_dev, status.st_ino
        return found
