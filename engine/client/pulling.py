"""Pull a study, a series or an instance from a server into a folder, resumably.

From another Mersey parcels come, in the form that is soonest there (`parcel_pulling`); from any
other DICOMweb server the instances, one by one (`plain_pulling`). Every file in the folder is
whole; what was begun lies in a hidden folder beside them until it is.
"""

from __future__ import annotations

import asyncio
import hashlib
import shutil
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from ...codecs.errors import MerseyError, ResourceError, UsageError
from ..runtime.worker_pool import WorkerPool
from ..transfer.manifest import Item
from .address import Address
from .connections import Connections, tried_again
from .parcel_pulling import ParcelPull, failure_of
from .pull_values import ChangedError, OnProgress, PullProgress, PullSettings, PullSummary
from .rates import Meter, RateLimit
from .remote import Peer, Remote
from .wire_choice import WireChoice

__all__ = ["pull"]

_MOST_CHANGES = 5


async def pull(
    url: str,
    folder: Path,
    *,
    settings: PullSettings | None = None,
    executor: Executor | None = None,
    on_progress: OnProgress = lambda _: None,
) -> PullSummary:
    """Pull what `url` names into ``folder/<study>/<series>/<instance>.dcm``.

    Instances that are there already, byte for byte, do not travel; others by their name are
    replaced. Cancelled or killed, it is begun again by the same call.

    Parameters
    ----------
    url
        ``http://host:port/dicom-web/studies/<study>[/series/<series>[/instances/<instance>]]``.
    executor
        Decodes what travels as codestreams; a `WorkerPool` of its own unless given.

    Returns
    -------
    PullSummary
        With a failure for each instance that could not be had; the others are there.

    Raises
    ------
    UsageError
        The URL names no study.
    TransferError
        The server cannot be reached, or failed for good.
    ResourceError
        The disk is full, or another process pulls the same.

    Examples
    --------
    >>> def fetch(url, folder):
    ...     def tell(progress):
    ...         print(f"{progress.size_bytes} of {progress.total_bytes} bytes are here")
    ...
    ...     summary = run_sync(pull(url, folder, on_progress=tell))
    ...     return summary.pulled, summary.failures
    """
    settings = settings or PullSettings()
    address = Address.parse(url)
    if not address.study:
        raise UsageError("the URL names no study, as in …/dicom-web/studies/1.2.3")
    begun_s = time.monotonic()
    with ExitStack() as stack:
        if executor is None:
            executor = stack.enter_context(WorkerPool(jobs=settings.jobs))
        async with Remote(address, settings=settings.remote) as remote:
            peer = await tried_again(remote.probe, backoff=settings.backoff)
            summary = await _Pull(
                remote, address, folder, peer, settings, executor, on_progress
            ).run()
    summary.seconds = time.monotonic() - begun_s
    return summary


class _Pull:
    def __init__(
        self,
        remote: Remote,
        address: Address,
        folder: Path,
        peer: Peer,
        settings: PullSettings,
        executor: Executor,
        on_progress: OnProgress,
    ) -> None:
        self._remote, self._address, self._folder = remote, address, folder
        self._peer, self._settings, self._executor = peer, settings, executor
        self._on_progress = on_progress
        self._summary = PullSummary(peer=f"mersey {peer.version}" if peer.is_mersey else "DICOMweb")
        self._connections = Connections(most=settings.connections, backoff=settings.backoff)
        self._limit = RateLimit(settings.limit_bytes_per_s)
        jobs = executor.jobs if isinstance(executor, WorkerPool) else settings.jobs or 2
        self._jobs = jobs
        self._choice = WireChoice(jobs, peer.forms)
        self._meter = Meter()
        self._total = (0, 0)
        self._done_bytes = 0.0
        self._instances = 0

    async def run(self) -> PullSummary:
        name = hashlib.sha256(f"{self._address}".encode()).hexdigest()[:24]
        hidden = self._folder / f".mersey-pull-{name}"
        try:
            hidden.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ResourceError(f"{self._folder} cannot be written: {error.strerror}") from error
        if self._peer.is_mersey:
            await self._until_unchanged(lambda: self._parcels(self._address, hidden))
        else:
            from .plain_pulling import PlainPull

            plain = PlainPull(
                self._remote,
                self._address,
                self._folder,
                hidden=hidden,
                settings=self._settings,
                connections=self._connections,
                limit=self._limit,
                summary=self._summary,
                on_total=self._set_total,
                on_bytes=self._count_bytes,
                on_items=self._count_items,
            )
            await plain.run()
        self._summary.retries += self._connections.failures
        if not self._summary.failures:
            await asyncio.to_thread(shutil.rmtree, hidden, ignore_errors=True)
        return self._summary

    async def _until_unchanged(self, call: Callable[[], Awaitable[None]]) -> None:
        """Begin anew where the study changed meanwhile: what is there does not come again."""
        for left in range(_MOST_CHANGES, -1, -1):
            try:
                await call()
            except ChangedError:
                if not left:
                    raise
            else:
                return

    async def _parcels(self, address: Address, hidden: Path) -> None:
        self._summary.there = 0
        self._instances, self._done_bytes = self._summary.pulled, 0.0
        pull = self._pull_of(address, hidden, self._settings)
        await pull.run(on_total=self._set_total)
        self._summary.there = max(self._summary.there, 0)
        for item, error in pull.refused:
            await self._once_more(item, error, hidden)

    async def _once_more(self, item: Item, error: MerseyError, hidden: Path) -> None:
        """What did not come out right by codestreams may do so as it is."""
        if item.form != "stored":
            address = replace(
                self._address,
                series=item.series_instance_uid,
                instance=item.sop_instance_uid,
            )
            settings = replace(self._settings, wire="as-stored")
            alone = self._pull_of(address, hidden / "alone", settings)
            await alone.run()
            if not alone.refused:
                return
            item, error = alone.refused[0]
        self._summary.failures.append(failure_of(item, error))

    def _pull_of(self, address: Address, hidden: Path, settings: PullSettings) -> ParcelPull:
        return ParcelPull(
            self._remote,
            address,
            self._folder,
            hidden=hidden,
            settings=settings,
            connections=self._connections,
            limit=self._limit,
            choice=self._choice,
            executor=self._executor,
            jobs=self._jobs,
            summary=self._summary,
            on_bytes=self._count_bytes,
            on_items=self._count_items,
        )

    def _set_total(self, instances: int, size_bytes: int) -> None:
        self._total = (instances, size_bytes)
        self._tell()

    def _count_bytes(self, _: int, size_bytes: float) -> None:
        self._done_bytes += size_bytes
        self._summary.size_bytes = int(self._done_bytes)
        self._meter.add(int(size_bytes))
        self._tell()

    def _count_items(self, count: int, size_bytes: int) -> None:
        self._instances += count
        self._done_bytes += size_bytes
        self._tell()

    def _tell(self) -> None:
        instances, total = self._total
        done = min(int(self._done_bytes), total) if total else int(self._done_bytes)
        self._on_progress(
            PullProgress(
                instances=self._instances,
                total_instances=instances,
                size_bytes=done,
                total_bytes=total,
                wire_bytes=self._summary.wire_bytes,
                bytes_per_s=self._meter.bytes_per_s,
                left_s=self._meter.left_s(max(total - done, 0)),
                connections=self._connections.concurrency.limit,
                wire=self._choice.current or self._settings.wire,
            )
        )
