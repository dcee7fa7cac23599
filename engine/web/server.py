"""The server as one process: workers, the scan of the folders, the builder, HTTP.

One TaskGroup owns every task. A first SIGTERM or SIGINT stops accepting and finishes what is
being sent, a second one cuts it short; either way the workers are gone before `serve`
returns, and what was being built goes on from its part file next time.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from contextlib import ExitStack, suppress

from ...codecs import kernels
from ...codecs.errors import MerseyError, UsageError
from ..archive.blob_stores import open_blobs
from ..archive.blobs import BlobStore
from ..archive.catalogue import Catalogue
from ..archive.catalogues import forget_other_folders, open_catalogue
from ..archive.folder_index import FolderIndex, ScanProgress
from ..archive.inbound_store import InboundStore
from ..archive.ingest import Ingest
from ..archive.local_copies import LocalCopies
from ..archive.locating import Locator
from ..archive.newest import newest_first
from ..archive.presence import Presence
from ..archive.rendition_cache import RenditionCache, default_cache_bytes
from ..archive.renditions import RenditionStore
from ..archive.store_folder import UPLOADS
from ..archive.stored import StoredInstance, entry_of
from ..archive.uploads import Uploads
from ..archive.watched_blobs import WatchedBlobs
from ..archive.wire_store import WireStore
from ..runtime.arrivals import Arrivals
from ..runtime.byte_budget import ByteBudget
from ..runtime.folder_watch import FolderWatch
from ..runtime.frame_run import warm
from ..runtime.intake import Intake
from ..runtime.nursery import Nursery
from ..runtime.preparation import KERNELS, LIBRARIES
from ..runtime.uploading import Uploading
from ..runtime.worker_pool import WorkerPool
from .app import build_app
from .commitment import Commitments
from .frame_source import FrameSource
from .holdings import Holdings
from .http_server import address_of, http_server, listen, stopped_by_signals
from .inbound import Inbounds
from .metadata import MetadataSource
from .parcels import ParcelSource
from .progressive_source import ProgressiveSource
from .rendition_builder import RenditionBuilder
from .resumable_upload import ResumableUploads
from .serve_settings import ServeSettings
from .served_digests import ServedDigests
from .service import Service
from .transfers import MERSEY_ROOT
from .tus import TusUploads
from .upload_storing import storing

__all__ = ["ServeSettings", "serve"]

_BUDGET_BYTES = 96 << 20
_RESTORE_BYTES = 32 << 20
_WIRE_BYTES = 8 << 30
_COLLECT_EVERY_S = 600.0
_QUIET_S = 2.0
_REBUILD = "`mersey store rebuild` makes it anew"
_log = logging.getLogger(__name__)


async def serve(
    settings: ServeSettings,
    *,
    on_listening: Callable[[str], None] = lambda _: None,
    on_scan: Callable[[ScanProgress], None] = lambda _: None,
) -> None:
    """Serve until a signal says to stop, or until cancelled.

    Parameters
    ----------
    on_listening
        Called with the address once connections are accepted.
    on_scan
        Called in another thread as the scan of the folders goes on.

    Raises
    ------
    UsageError
        A folder does not exist, or the URL of the catalogue is none.
    ResourceError
        The catalogue cannot be reached.
    OSError
        The address cannot be had, or the store not be written.
    """
    for folder in settings.folders:
        if not folder.is_dir():
            raise UsageError(f"{folder} is no folder")
    with ExitStack() as stack:
        listener = stack.enter_context(listen(settings.host, settings.port))
        nursery = stack.enter_context(Nursery())
        nursery.start()  # it imports while the catalogue is opened
        blobs = open_blobs(settings.blobs or settings.store, local=settings.store)
        catalogue = open_catalogue(settings.store, settings.catalogue, blobs=blobs)
        stack.callback(catalogue.close)
        if catalogue.needs_rebuild:
            _log.warning("blobs of the store may be unknown to the catalogue: %s", _REBUILD)
        forget_other_folders(catalogue, settings.folders)
        requests = stack.enter_context(WorkerPool(jobs=settings.jobs, nursery=nursery))
        builds = stack.enter_context(WorkerPool(jobs=max(1, requests.jobs - 1), nursery=nursery))
        stack.callback(builds.shutdown, cancel_futures=True)
        stack.callback(requests.shutdown, cancel_futures=True)
        await _run(
            settings,
            listener,
            catalogue,
            blobs,
            nursery,
            requests,
            builds,
            on_listening,
            on_scan,
        )


async def _run(
    settings: ServeSettings,
    listener: socket.socket,
    catalogue: Catalogue,
    blobs: BlobStore,
    nursery: Nursery,
    requests: WorkerPool,
    builds: WorkerPool,
    on_listening: Callable[[str], None],
    on_scan: Callable[[ScanProgress], None],
) -> None:
    index = FolderIndex(catalogue, settings.folders)
    presence = Presence(blobs)
    blobs = WatchedBlobs(blobs, on_lost=presence.forget)
    renditions = RenditionStore(settings.store / "renditions")
    locator = Locator(blobs, LocalCopies(settings.store / "copies", settings.copies_bytes))
    builder = RenditionBuilder(
        renditions,
        executor=builds,
        budget=ByteBudget(_BUDGET_BYTES),
        jobs=builds.jobs,
        cache=_cache(settings),
        locate=locator.local,
        every=(lambda: newest_first(catalogue)) if settings.prebuild else None,
        quiet_s=_QUIET_S,
    )
    folders = FolderWatch(
        index,
        executor=builds,
        follow=settings.watch,
        on_scan=on_scan,
        on_indexed=builder.look_again,
    )
    holdings = Holdings(
        catalogue, index, on_gone=folders.notice, locator=locator, presence=presence
    )

    def notice(stored: list[StoredInstance]) -> None:
        entries = [entry_of(one) for one in stored]
        for entry in entries:
            holdings.forget(entry.instance.sop_instance_uid)
        builder.received(entries)

    intake = Intake(
        Ingest(blobs, catalogue, on_conflict=settings.on_conflict),
        executor=requests,
        examiners=requests.jobs,
        on_stored=notice,
    )
    frames = FrameSource(
        renditions, executor=requests, builder=builder, blobs=blobs, locate=locator.local
    )
    arrivals = Arrivals(
        InboundStore(settings.store / "inbound"),
        intake=intake,
        catalogue=catalogue,
        executor=requests,
        budget=ByteBudget(_RESTORE_BYTES),
        jobs=requests.jobs,
    )
    uploads = Uploads(
        settings.store / UPLOADS,
        expiry_s=settings.upload_expiry_s,
        max_bytes=settings.max_upload_bytes,
    )
    uploading = Uploading(uploads, storing(intake))
    service = Service(
        holdings=holdings,
        frames=frames,
        progressive=ProgressiveSource(frames, renditions),
        served=ServedDigests(catalogue, executor=requests, blobs=blobs),
        metadata=MetadataSource(catalogue, executor=requests, locate=locator.local),
        executor=requests,
        intake=intake,
        inbounds=Inbounds(arrivals, root=f"{MERSEY_ROOT}/inbound") if settings.transfers else None,
        blobs=blobs,
        commitments=Commitments(catalogue, blobs),
        resumable=ResumableUploads(uploading),
        tus=TusUploads(uploading),
        parcels=_parcels(settings, holdings, frames, requests, blobs),
    )
    server = http_server(build_app(service, origins=settings.origins))
    with stopped_by_signals(server):
        async with asyncio.TaskGroup() as group:
            background = [
                group.create_task(builder.run()),
                group.create_task(folders.run()),
                group.create_task(intake.run()),
                group.create_task(uploading.run()),
                group.create_task(arrivals.run()),
                group.create_task(_collect(blobs)),
                group.create_task(_warm(nursery, requests)),
            ]
            on_listening(address_of(listener))
            try:
                await server.serve(sockets=[listener])
            finally:
                for task in background:
                    task.cancel()


def _parcels(
    settings: ServeSettings,
    holdings: Holdings,
    frames: FrameSource,
    requests: WorkerPool,
    blobs: BlobStore,
) -> ParcelSource | None:
    if not settings.transfers:
        return None
    wire = WireStore(settings.store / "wire", limit_bytes=_WIRE_BYTES)
    return ParcelSource(
        holdings, frames, executor=requests, wire=wire, blobs=blobs, jobs=requests.jobs
    )


def _cache(settings: ServeSettings) -> RenditionCache:
    root = settings.store / "renditions"
    root.mkdir(parents=True, exist_ok=True)
    limit_bytes = settings.cache_bytes
    if limit_bytes is None:
        limit_bytes = default_cache_bytes(root)
    return RenditionCache(root, limit_bytes=limit_bytes)


async def _collect(blobs: BlobStore) -> None:
    """Remove what processes that died left on its way into the store: now, and now and then."""
    while True:
        try:
            # No grace is needed: what somebody is receiving is locked.
            await asyncio.to_thread(blobs.collect, older_than_s=0)
        except MerseyError as error:
            _log.warning("what was left behind was not removed: %s", error)
        await asyncio.sleep(_COLLECT_EVERY_S)


async def _warm(nursery: Nursery, requests: WorkerPool) -> None:
    """Have the libraries of the first requests imported before they come, once for all workers.

    Compiled kernels come after them: a worker of its own fills their cache on disk, which takes
    seconds the first time; then the nursery reads it.
    """
    await asyncio.gather(asyncio.to_thread(warm), asyncio.to_thread(nursery.prepare, LIBRARIES))
    # Without warm kernels the first frame that needs them waits; nothing else is lost.
    with suppress(MerseyError):
        with WorkerPool(jobs=1, nursery=nursery) as compiling:
            await asyncio.wrap_future(compiling.submit(kernels.warm))
        await asyncio.to_thread(nursery.prepare, KERNELS)
    await asyncio.gather(
        *(asyncio.wrap_future(requests.submit(warm)) for _ in range(requests.jobs))
    )
