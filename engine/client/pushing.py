"""Pushing instances to another archive, resumably: to a Mersey in parcels, to others by STOW.

A parcel is packed while the one before it travels. What the other end has already is not sent:
it says so by SHA-256 before anything is packed, and its journal tells which bytes of a parcel it
holds. So a push that was broken off is begun again with the same call.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import ExitStack, aclosing
from pathlib import Path

from ...codecs.errors import UnsupportedError, UsageError
from ..archive.entry import Entry
from ..runtime.byte_budget import ByteBudget
from ..runtime.worker_pool import WorkerPool
from ..transfer.manifest import WireForm, cut_into_parcels
from .address import Address
from .committing import commit
from .connections import Connections
from .parcel_sending import ParcelSender
from .push_parcels import OutgoingParcel, pack_parcel, with_digests
from .push_report import PushProgress, PushReport
from .push_settings import PushSettings
from .push_sources import PushSources, find_instances, with_files
from .rates import RateLimit
from .remote import Remote
from .scratch_folder import scratch_folder
from .store_sending import StoreSender
from .stored_studies import StoredStudies, open_stored
from .wire_choice import WireChoice

__all__ = ["push"]

_BUDGET_BYTES = 64 << 20
_FORMS: dict[str, WireForm] = {"as-stored": "stored", "zstd": "zstd", "htj2k": "htj2k"}


async def push(
    sources: Sequence[Path | str] | StoredStudies,
    url: str,
    *,
    settings: PushSettings | None = None,
    on_progress: Callable[[PushProgress], None] = lambda _: None,
) -> PushReport:
    """Push every instance in files and folders, or in a store, to the archive at `url`.

    Parameters
    ----------
    sources
        Files and folders, which are only read; or studies that an archive here holds.
    url
        ``http://host:8042/dicom-web``.
    on_progress
        Called as it goes on, often.

    Returns
    -------
    PushReport
        What became of the instances; failed ones are in it, and raise nothing.

    Raises
    ------
    UsageError
        A source does not exist, `url` is none, or `wire` is none.
    TransferError
        The archive cannot be reached, or failed for too long. What arrived counts: the same call
        goes on from there. So it does after cancellation.
    ResourceError
        There is no room for what is packed.

    Examples
    --------
    >>> def send(folder, url):
    ...     def tell(progress):
    ...         print(f"{progress.done_bytes} of {progress.total_bytes} bytes are there")
    ...
    ...     report = run_sync(push([folder], url, on_progress=tell))
    ...     return report.new, report.failed

    >>> def send_on(store, study, url):
    ...     return run_sync(push(StoredStudies(store, (study,)), url)).arrived
    """
    settings = settings or PushSettings()
    if settings.wire not in (*_FORMS, "auto"):
        raise UsageError(f"{settings.wire!r} is no form to travel in: {', '.join(_FORMS)} or auto")
    address = Address.parse(url)
    if address.series:
        raise UsageError("the URL to push to names a series: name the service, or a study")
    with ExitStack() as stack:
        pool = stack.enter_context(WorkerPool(jobs=settings.jobs))
        stack.callback(pool.shutdown, wait=False, cancel_futures=True)
        scratch = stack.enter_context(scratch_folder("mersey-push-", parent=settings.scratch))
        locate: Callable[[Entry], Entry] = _as_it_is
        if isinstance(sources, StoredStudies):
            opening = open_stored(sources)
            found, locate = await asyncio.to_thread(opening.__enter__)
            stack.push(opening.__exit__)
        else:
            found = await find_instances([Path(source) for source in sources], executor=pool)
        if address.study and any(study[0].uids[0] != address.study for study in found.studies):
            raise UsageError("there are instances of another study than the URL names")
        async with Remote(address, settings=settings.remote) as remote:
            work = _Push(remote, found, locate, settings, pool, scratch, on_progress)
            return await work.run()


class _Push:
    def __init__(
        self,
        remote: Remote,
        sources: PushSources,
        locate: Callable[[Entry], Entry],
        settings: PushSettings,
        pool: WorkerPool,
        scratch: Path,
        on_progress: Callable[[PushProgress], None],
    ) -> None:
        self._remote = remote
        self._sources = sources
        self._locate = locate
        self._settings = settings
        self._pool = pool
        self._scratch = scratch
        self._on_progress = on_progress
        self._budget = ByteBudget(_BUDGET_BYTES)
        self._connections = Connections(most=settings.connections, backoff=settings.backoff)
        self._rate = RateLimit(settings.limit_bytes_per_s)
        self._begun_s = time.monotonic()
        self._progress = PushProgress(total_bytes=sources.size_bytes)
        self._report = PushReport(
            instances=sources.count,
            other=sources.other,
            duplicates=sources.duplicates,
            failed=dict(sources.broken),
            size_bytes=sources.size_bytes,
        )
        self._number = 0

    async def run(self) -> PushReport:
        report = self._report
        if self._sources.studies:
            peer = await self._remote.probe()
            report.peer = peer.version and f"mersey {peer.version}"
            if peer.is_mersey:
                await self._to_mersey(peer.forms)
            else:
                report.wire = "as-stored"
                sender = StoreSender(
                    self._remote,
                    self._connections,
                    self._rate,
                    report,
                    self._moved,
                    self._done,
                    locate=self._locate,
                )
                entries = [one for study in self._sources.studies for one in study]
                if self._settings.send_all:
                    await sender.send(entries)
                else:
                    await sender.send_missing(entries)
            if self._settings.commitment and report.arrived:
                classes = {
                    one.uids[2]: one.instance.sop_class_uid
                    for study in self._sources.studies
                    for one in study
                    if one.uids[2] in report.arrived
                }
                report.commitment = await commit(
                    self._remote, self._connections, classes, report.failed
                )
        report.seconds = time.monotonic() - self._begun_s
        report.sent_bytes = self._progress.sent_bytes
        report.tries_again = self._connections.failures
        return report

    async def _to_mersey(self, forms: Sequence[str]) -> None:
        sender = ParcelSender(
            self._remote, self._connections, self._rate, self._report, self._moved
        )
        wire = self._settings.wire
        if wire == "auto":
            wire = await self._chosen(sender, forms)
        elif wire not in forms:
            raise UnsupportedError(f"the other end does not take the form {wire}", feature=wire)
        self._report.wire = wire
        damaged: list[Entry] = []
        async with aclosing(self._packed(sender, _FORMS[wire])) as parcels:
            await self._send(sender, parcels, damaged)
        if damaged:
            # What did not come out right in that form is sent once more, as it is.
            parcel = await self._pack(damaged, "stored")
            again: list[Entry] = []
            if parcel is not None:
                await self._send(sender, _alone(parcel), again)
            for entry in again:
                self._report.failed[entry.uids[2]] = "it did not arrive with its SHA-256"

    async def _send(
        self, sender: ParcelSender, parcels: AsyncIterator[OutgoingParcel], damaged: list[Entry]
    ) -> None:
        """Send parcels one after the other; the end of one is waited for while the next travels."""
        finishing: asyncio.Task[None] | None = None

        async def finish(parcel: OutgoingParcel, parcel_id: str) -> None:
            try:
                damaged.extend(await sender.finish(parcel, parcel_id))
            finally:
                await asyncio.to_thread(parcel.discard)
            self._done(sum(entry.stamp.size_bytes for entry in parcel.entries))

        try:
            async for parcel in parcels:
                parcel_id = await sender.send(parcel)
                if finishing is not None:
                    await finishing
                finishing = asyncio.create_task(finish(parcel, parcel_id))
            if finishing is not None:
                await finishing
        finally:
            if finishing is not None and not finishing.done():
                finishing.cancel()
                await asyncio.wait([finishing])

    async def _packed(self, sender: ParcelSender, form: WireForm) -> AsyncGenerator[OutgoingParcel]:
        """Every parcel that is not there already, the next one made while this one travels."""
        todo = [
            study[cut.start : cut.stop]
            for study in self._sources.studies
            for cut in cut_into_parcels([entry.stamp.size_bytes for entry in study])
        ]

        async def make(entries: Sequence[Entry]) -> OutgoingParcel | None:
            found = await with_digests(entries, executor=self._pool)
            for entry in found:
                if not entry.sha256:
                    self._report.failed[entry.path] = "it cannot be read"
            readable = [entry for entry in found if entry.sha256]
            known = await sender.known(readable)
            if len(known) == len(readable):
                self._report.settle_same(readable)
                self._done(sum(entry.stamp.size_bytes for entry in entries))
                return None
            return await self._pack(readable, form)

        following: asyncio.Task[OutgoingParcel | None] | None = None
        try:
            for entries in todo:
                made, following = following, asyncio.create_task(make(entries))
                if made is not None and (parcel := await made) is not None:
                    yield parcel
            if following is not None and (parcel := await following) is not None:
                yield parcel
        finally:
            if following is not None and not following.done():
                following.cancel()
                await asyncio.wait([following])

    async def _pack(self, entries: Sequence[Entry], form: WireForm) -> OutgoingParcel | None:
        """A parcel of what of them can be read; None where nothing can."""
        located = await with_files(
            entries, locate=self._locate, report=self._report, on_done=self._done
        )
        if not located:
            return None
        self._number += 1
        return await pack_parcel(
            located,
            form,
            scratch=self._scratch / str(self._number),
            executor=self._pool,
            budget=self._budget,
            jobs=self._pool.jobs,
        )

    async def _chosen(self, sender: ParcelSender, forms: Sequence[str]) -> str:
        choice = WireChoice(cores=self._pool.jobs, offered=tuple(forms))
        rate = await sender.measure_link()
        limit = self._settings.limit_bytes_per_s
        choice.measured_link(min(rate, limit) if limit else rate)
        return choice.choose()

    def _moved(self, length_bytes: int) -> None:
        self._progress.sent_bytes += length_bytes
        self._on_progress(self._progress)

    def _done(self, size_bytes: int) -> None:
        self._progress.done_bytes += size_bytes
        self._on_progress(self._progress)


def _as_it_is(entry: Entry) -> Entry:
    return entry


async def _alone(parcel: OutgoingParcel) -> AsyncIterator[OutgoingParcel]:
    yield parcel
