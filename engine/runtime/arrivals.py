"""Parcels that another engine pushes: opened, restored and stored while they arrive.

An item goes its way as soon as it is whole: what travelled becomes the original again, which is
proved by its SHA-256 and by its UIDs, and goes through the intake as everything does. An item
that fails that is missing again. How many are in the making is bounded; what waits, waits on
disk. Servers of one store may receive one parcel together; each item is restored by one of them.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor
from contextlib import asynccontextmanager, suppress

from ...codecs.errors import (
    FormatError,
    IntegrityError,
    MerseyError,
    ResourceError,
    UnsupportedError,
)
from ..archive.catalogue import Catalogue
from ..archive.examination import Refusal
from ..archive.inbound_store import InboundStore
from ..archive.indexed_file import index_files
from ..archive.presence import Presence
from ..archive.receiving import Receiving
from ..archive.stored import Settled
from ..transfer.manifest import Item, Manifest
from .arriving import Arriving, Outcome
from .byte_budget import ByteBudget
from .intake import Intake, Kept, Result
from .submission import submit
from .wire_restoring import restore

__all__ = ["Arrivals"]

_RESTORED_AT_ONCE = 16
_MOST_OPEN = 128
_ELSEWHERE_S = 0.1
_IDLE_S = 600.0
_TEND_EVERY_S = 60.0
_EXPIRES_S = 7 * 86400.0
_INDEX_LIMIT_S = 60.0
_log = logging.getLogger(__name__)


class Arrivals:
    """The parcels of `store` on their way into `intake`. For one event loop."""

    def __init__(
        self,
        store: InboundStore,
        *,
        intake: Intake,
        catalogue: Catalogue,
        executor: Executor,
        budget: ByteBudget,
        jobs: int = 2,
        expires_s: float = _EXPIRES_S,
    ) -> None:
        self.store = store
        self.intake = intake
        self.expires_s = expires_s
        self._catalogue = catalogue
        self._presence = Presence(intake.ingest.blobs)
        self._executor = executor
        self._budget = budget
        self._jobs = jobs
        self._open: dict[str, Arriving] = {}
        self._opening = asyncio.Lock()
        self._whole: asyncio.Queue[tuple[Arriving, int]] = asyncio.Queue()

    async def run(self) -> None:
        """Work until cancelled; what is not stored by then goes on at the parcel's next touch."""
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(_RESTORED_AT_ONCE):
                    group.create_task(self._restore())
                group.create_task(self._tend())
        finally:
            for arriving in self._open.values():
                arriving.inbound.close()
            self._open.clear()

    @asynccontextmanager
    async def begin(self, manifest: Manifest) -> AsyncIterator[Arriving]:
        """The parcel of `manifest`, new or known; what the archive has of it is settled.

        Raises
        ------
        ResourceError
            The disk is full or fails.
        """
        parcel_id = hashlib.sha256(manifest.to_json()).hexdigest()
        async with self._opening:
            arriving = await self._known(parcel_id)
            if arriving is None:
                _, inbound = await _finished(self.store.create, manifest)
                arriving = self._opened(Arriving(parcel_id, inbound))
            arriving.users += 1
        try:
            await self._settle_known(arriving)
            await self._queue_whole(arriving)
            yield arriving
        finally:
            self._used(arriving)

    @asynccontextmanager
    async def find(self, parcel_id: str) -> AsyncIterator[Arriving | None]:
        """The parcel of that id; None where there is none.

        Raises
        ------
        ResourceError
            The disk fails.
        """
        async with self._opening:
            arriving = await self._known(parcel_id)
            is_new = arriving is None
            if arriving is None:
                inbound = await _finished(self.store.find, parcel_id)
                if inbound is not None:
                    arriving = self._opened(Arriving(parcel_id, inbound))
            if arriving is not None:
                arriving.users += 1
        if arriving is None:
            yield None
            return
        try:
            if is_new:
                await self._queue_whole(arriving)
            yield arriving
        finally:
            self._used(arriving)

    def take_up(self, arriving: Arriving, whole: list[int]) -> None:
        """Items are whole: make of them what they are to be."""
        for index in whole:
            if index not in arriving.working:
                arriving.begin_work(index)
                self._whole.put_nowait((arriving, index))

    async def finish(self, arriving: Arriving) -> tuple[Result, ...] | None:
        """Wait for every item, and say what became of it; None where bytes are missing.

        What failed for want of space or of a working store is tried once more.
        """
        await self._queue_whole(arriving)
        await arriving.idle()
        while elsewhere := await self._worked_on_elsewhere(arriving):
            await asyncio.sleep(_ELSEWHERE_S)
            self.take_up(arriving, elsewhere)  # in case that it died
            await arriving.idle()
        outcomes = arriving.outcomes()
        indices = range(len(arriving.manifest.items))
        if any(index not in outcomes and index not in arriving.failed for index in indices):
            return None
        await arriving.flush()
        items = arriving.manifest.items
        uids = [items[index].sop_instance_uid for index in outcomes if outcomes[index].is_kept]
        references = await asyncio.to_thread(self._catalogue.references, uids)
        results: list[Result] = []
        for index in indices:
            outcome, uid = outcomes.get(index), items[index].sop_instance_uid
            reference = references.get(uid)
            if outcome is None:
                results.append(arriving.failed[index])
            elif not outcome.is_kept:
                results.append(outcome.refusal())
            elif reference is None:
                results.append(Refusal("failure", "it was removed again", "", uid))
            else:
                kind: str = outcome.kind
                settled = Settled(kind, message=outcome.message)  # type: ignore[arg-type]
                results.append(Kept(reference, settled))
        return tuple(results)

    async def held(self, sop_instance_uids: list[str]) -> dict[str, str]:
        """The SHA-256 of those of the instances that the archive has, by their UIDs.

        One whose blob is lost is not among them: to send it again mends it.
        """

        def look() -> dict[str, str]:
            kept = self._catalogue.kept_as(sop_instance_uids)
            lost = self._presence.lost(key for _, key in kept.values() if key)
            return {uid: sha256 for uid, (sha256, key) in kept.items() if key not in lost}

        return await asyncio.to_thread(look)

    async def discard(self, arriving: Arriving) -> None:
        """Forget a parcel, once nothing of it is in the making."""
        await arriving.discard()
        if self._open.get(arriving.id) is arriving:
            del self._open[arriving.id]
        await arriving.close()

    async def _known(self, parcel_id: str) -> Arriving | None:
        """The parcel, where it is open, and no other process has removed it."""
        arriving = self._open.get(parcel_id)
        if arriving is not None and arriving.is_gone:
            del self._open[parcel_id]
            await arriving.close()
            return None
        return arriving

    async def _worked_on_elsewhere(self, arriving: Arriving) -> list[int]:
        """Whole items that another process makes something of."""
        return [one for one in await arriving.whole_items() if one not in arriving.failed]

    def _opened(self, arriving: Arriving) -> Arriving:
        self._open[arriving.id] = arriving
        return arriving

    def _used(self, arriving: Arriving) -> None:
        arriving.users -= 1
        arriving.used_s = time.monotonic()

    async def _settle_known(self, arriving: Arriving) -> None:
        items = arriving.manifest.items
        busy = arriving.inbound.settled.keys() | arriving.working
        left = [index for index in range(len(items)) if index not in busy]
        uids = [items[index].sop_instance_uid for index in left]
        held = await self.held(uids)
        same = [
            index
            for index in left
            if index not in arriving.working
            and held.get(items[index].sop_instance_uid) == items[index].sha256
        ]
        if same:
            await arriving.settle(dict.fromkeys(same, Outcome("same")))

    async def _queue_whole(self, arriving: Arriving) -> None:
        self.take_up(arriving, await arriving.whole_items())

    async def _restore(self) -> None:
        while True:
            arriving, index = await self._whole.get()
            try:
                async with arriving.claimed(index) as is_ours:
                    if is_ours and not arriving.is_gone:
                        await self._restore_item(arriving, index)
            except MerseyError as error:  # the disk is full or fails
                arriving.failed[index] = _refusal(error)
            except Exception:  # noqa: BLE001  whatever it is, the others go on
                _log.exception("an item that was pushed could not be stored")
                arriving.failed[index] = Refusal("failure", "it could not be stored")
            finally:
                arriving.end_work(index)

    async def _restore_item(self, arriving: Arriving, index: int) -> None:
        item = arriving.manifest.items[index]
        whole = arriving.inbound.folder / f"{index}.whole"
        try:
            receiving = await self._restored(arriving, index)
            result = await self._stored(receiving, item)
        except (FormatError, IntegrityError, UnsupportedError) as error:
            await arriving.refuse(index, error.message)
            return
        finally:
            with suppress(OSError):
                whole.unlink(missing_ok=True)
        if isinstance(result, Refusal):
            if result.reason in ("resources", "failure"):
                arriving.failed[index] = result
                return
            outcome = Outcome(
                result.reason, result.message, result.sop_class_uid, result.sop_instance_uid
            )
        else:
            outcome = Outcome(result.settled.outcome, result.settled.message)
        await arriving.settle({index: outcome})

    async def _restored(self, arriving: Arriving, index: int) -> Receiving:
        """The original of an item, in a file of the store's; proved to be that."""
        item = arriving.manifest.items[index]
        path, incoming = arriving.inbound.path_of(index), self.intake.ingest.blobs.incoming
        if item.form != "stored":
            whole = arriving.inbound.folder / f"{index}.whole"
            await restore(
                path,
                item=item,
                target=whole,
                executor=self._executor,
                budget=self._budget,
                jobs=self._jobs,
            )
            path = whole
        receiving = await _finished(Receiving.adopt, path, incoming)
        found = receiving.finish()
        if found.sha256 != item.sha256 or found.size_bytes != item.size_bytes:
            receiving.abandon()
            raise IntegrityError("it did not arrive with the SHA-256 that was told")
        return receiving

    async def _stored(self, receiving: Receiving, item: Item) -> Result:
        """Through the intake, where the instance is the one that the manifest names."""
        try:
            folder, name = os.path.split(receiving.path)
            future = submit(self._executor, _INDEX_LIMIT_S, index_files, folder, [name])
            found = await asyncio.wrap_future(future)
            instance = found[0].instance if found else None
            if instance is not None:
                told = (item.study_instance_uid, item.series_instance_uid, item.sop_instance_uid)
                read = (
                    instance.study_instance_uid,
                    instance.series_instance_uid,
                    instance.sop_instance_uid,
                )
                if told != read:
                    receiving.abandon()
                    message = "it is another instance than the manifest names"
                    return Refusal("mismatch", message, instance.sop_class_uid, read[2])
            result = await self.intake.take(
                lambda _: None, size_bytes=item.size_bytes, receiving=receiving
            )
        except BaseException:
            receiving.abandon()
            raise
        return await asyncio.shield(result)

    async def _tend(self) -> None:
        """Close what nobody uses, remove what has expired: now, and now and then."""
        while True:
            await self._close_idle()
            with suppress(MerseyError):
                await asyncio.to_thread(self.store.collect, older_than_s=self.expires_s)
            await asyncio.sleep(_TEND_EVERY_S)

    async def _close_idle(self) -> None:
        async with self._opening:
            now = time.monotonic()
            idle = sorted(
                (one for one in self._open.values() if not one.users and not one.working),
                key=lambda one: one.used_s,
            )
            spare = len(self._open) - _MOST_OPEN
            for number, arriving in enumerate(idle):
                is_old = now - arriving.used_s > _IDLE_S
                if number < spare or is_old:
                    del self._open[arriving.id]
                    if is_old and arriving.inbound.is_done:
                        await arriving.discard()  # its client was killed before it did
                    await arriving.close()


def _refusal(error: MerseyError) -> Refusal:
    return Refusal("resources" if isinstance(error, ResourceError) else "failure", error.message)


async def _finished[**P, T](work: Callable[P, T], /, *arguments: P.args, **keywords: P.kwargs) -> T:
    """Call `work` in a thread; where the caller is cancelled, only after it has ended."""
    future = asyncio.ensure_future(asyncio.to_thread(work, *arguments, **keywords))
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        await asyncio.wait([future])
        raise
