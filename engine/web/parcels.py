"""Parcels of the archive's instances, as they travel to another engine: made once, kept a while.

Which bytes a parcel has depends on the instances in it, the form, and the codecs' versions; its
entity tag is a digest of just that. What has to be made for it lies in a `WireStore`; where that
has gone, or a file has changed, the parcel is made anew before it is sent.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace

from ...codecs.errors import FormatError, MerseyError
from ...codecs.syntaxes import HTJ2K_LOSSLESS_RPCL
from ..archive.blobs import BlobStore, is_compressed
from ..archive.bounded_cache import BoundedCache
from ..archive.entry import Entry, stamp_of
from ..archive.hashing import digests_in_place
from ..archive.renditions import Rendition
from ..archive.wire_store import WireStore
from ..runtime.byte_budget import ByteBudget
from ..runtime.submission import submit
from ..runtime.wire_packing import Packed, pack, packs_as_codestreams
from ..transfer.body import BlobSlice, FileSlice, FileStamp
from ..transfer.manifest import WireForm, cut_into_parcels
from .frame_forms import library_for, rendition_key_for
from .frame_source import FrameSource
from .holdings import Holdings, reading
from .parcel import KeptParcel, Parcel, assemble
from .status import Reason, RefusedError

__all__ = ["Parcel", "ParcelSource", "Scope"]

_KEPT_BYTES = 24 << 20
_BUDGET_BYTES = 64 << 20
_FRESH_S = 1.0
_DIGESTS_KEPT = 100_000
_AT_ONCE = 4
_SLOWEST = 20e6


@dataclass(frozen=True, slots=True)
class Scope:
    """A study, one of its series, or one instance of that."""

    study: str
    series: str | None = None
    instance: str | None = None


@dataclass(frozen=True, slots=True)
class _Listing:
    """`names` has what tells the entries of a parcel from others, once it was asked for."""

    entries: tuple[Entry, ...]
    cuts: tuple[range, ...]
    until_s: float
    names: dict[int, str] = field(default_factory=dict)

    def of(self, number: int) -> list[Entry]:
        return [self.entries[at] for at in self.cuts[number]]

    def key(self, number: int, form: WireForm) -> str:
        names = self.names.get(number)
        if names is None:
            told = "\n".join(entry.fingerprint for entry in self.of(number))
            names = self.names[number] = hashlib.sha256(told.encode()).hexdigest()
        return f"{form} {names}"


class ParcelSource:
    """Makes parcels. For one event loop."""

    def __init__(
        self,
        holdings: Holdings,
        frames: FrameSource,
        *,
        executor: Executor,
        wire: WireStore,
        blobs: BlobStore | None = None,
        jobs: int = 2,
    ) -> None:
        self._holdings = holdings
        self._frames = frames
        self._executor = executor
        self._wire = wire
        self._blobs = blobs
        self._jobs = jobs
        self._budget = ByteBudget(_BUDGET_BYTES)
        self._listings: BoundedCache[Scope, _Listing] = BoundedCache(
            limit_bytes=50_000, weigh=lambda listing: 1 + len(listing.entries)
        )
        self._parcels: BoundedCache[str, KeptParcel] = BoundedCache(
            limit_bytes=_KEPT_BYTES, weigh=lambda kept: kept.weight_bytes
        )
        self._making: dict[str, asyncio.Task[Parcel]] = {}
        self._listing_now: dict[Scope, asyncio.Task[_Listing]] = {}
        self._digests: BoundedCache[str, str] = BoundedCache(
            limit_bytes=_DIGESTS_KEPT, weigh=lambda _: 1
        )

    async def listing(self, scope: Scope) -> list[tuple[int, int]]:
        """How many instances each parcel of `scope` has, and the length of their originals.

        Raises
        ------
        RefusedError
            There is no such study, series or instance.
        """
        listing = await self._listing(scope)
        return [
            (len(cut), sum(listing.entries[at].stamp.size_bytes for at in cut))
            for cut in listing.cuts
        ]

    async def parcel(self, scope: Scope, number: int, form: WireForm) -> Parcel:
        """One parcel of `scope`, made first where it is not kept.

        Raises
        ------
        RefusedError
            There is no such parcel.
        MerseyError
            A file of it cannot be read.
        """
        listing = await self._listing(scope)
        if number >= len(listing.cuts):
            raise RefusedError("there is no such parcel", reason=Reason.NOT_FOUND)
        key = listing.key(number, form)
        kept = self._parcels.get(key)
        if kept is not None and await self._is_fresh(kept, form):
            return kept.parcel
        self._parcels.drop(key)
        making = self._making.get(key)
        if making is None:
            making = asyncio.create_task(self._make(listing.of(number), form))
            self._making[key] = making
            making.add_done_callback(lambda done: self._made(key, done))
        # One client that goes away takes nothing from others that wait for this parcel.
        parcel = await asyncio.shield(making)
        self._parcels.put(key, KeptParcel.of(parcel))
        return parcel

    def _made(self, key: str, making: asyncio.Task[Parcel]) -> None:
        del self._making[key]
        if not making.cancelled():
            making.exception()  # nobody need be waiting for it

    async def _listing(self, scope: Scope) -> _Listing:
        """The instances of `scope`, looked up again when that was a while ago."""
        kept = self._listings.get(scope)
        if kept is not None and time.monotonic() < kept.until_s:
            return kept
        # Many connections ask at once, and a listing of thousands takes megabytes.
        listing = self._listing_now.get(scope)
        if listing is None:
            listing = asyncio.create_task(self._listed(scope))
            self._listing_now[scope] = listing
            listing.add_done_callback(lambda done: self._was_listed(scope, done))
        return await asyncio.shield(listing)

    def _was_listed(self, scope: Scope, listing: asyncio.Task[_Listing]) -> None:
        del self._listing_now[scope]
        if not listing.cancelled() and listing.exception() is None:
            self._listings.put(scope, listing.result())

    async def _listed(self, scope: Scope) -> _Listing:
        begun_s = time.monotonic()
        if scope.instance is not None:
            entries = [await self._holdings.entry(scope.study, scope.series or "", scope.instance)]
        else:
            entries = await self._holdings.entries(scope.study, scope.series, with_files=False)
        now_s = time.monotonic()
        cuts = cut_into_parcels([entry.stamp.size_bytes for entry in entries])
        fresh_s = max(_FRESH_S, 20 * (now_s - begun_s))
        return _Listing(tuple(entries), tuple(cuts), now_s + fresh_s)

    async def _is_fresh(self, kept: KeptParcel, form: WireForm) -> bool:
        """Whether its files are there as they were; of originals, whether they were a moment ago.

        Each is looked at again when it is sent: what changes within the moment is not sent as
        what it was. What was made to travel may be gone by then, and is made again before.
        """
        if form == "stored" and time.monotonic() < kept.until_s:
            return True
        if not await asyncio.to_thread(self._is_whole, kept.files):
            return False
        kept.until_s = time.monotonic() + _FRESH_S
        return True

    def _is_whole(self, files: Mapping[str, FileStamp | None]) -> bool:
        """Whether every one of them is still there as it was. Blocks."""
        try:
            for path, stamp in files.items():
                if stamp is not None and stamp_of(os.stat(path)) != stamp:
                    return False
        except (OSError, MerseyError):
            return False
        self._wire.used(files)
        return True

    async def _make(self, entries: Sequence[Entry], form: WireForm) -> Parcel:
        gate = asyncio.Semaphore(_AT_ONCE)
        renditions = await self._renditions(entries) if form == "htj2k" else {}

        async def one(entry: Entry) -> Packed:
            async with gate:
                return await self._pack(entry, form, renditions.get(entry.fingerprint))

        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(one(entry)) for entry in entries]
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None
        parcel = assemble(entries, [task.result() for task in tasks])
        made = [part.path for part in parcel.body.parts if isinstance(part, FileSlice)]
        await asyncio.to_thread(self._wire.trim, keep=made)
        return parcel

    async def _renditions(self, entries: Sequence[Entry]) -> dict[str, Rendition]:
        """The stored renditions of `entries` whose codestreams can travel."""
        wanted = [
            entry
            for entry in entries
            if packs_as_codestreams(entry.instance)
            and library_for(entry, HTJ2K_LOSSLESS_RPCL) is not None
        ]
        keys = [rendition_key_for(entry, HTJ2K_LOSSLESS_RPCL) for entry in wanted]
        found = await self._frames.stored(keys)
        return {
            entry.fingerprint: rendition
            for entry, rendition in zip(wanted, found, strict=True)
            if rendition is not None
        }

    async def _pack(self, entry: Entry, form: WireForm, rendition: Rendition | None) -> Packed:
        if entry.blob_key:
            as_kept = await self._as_kept(entry, form)
            if as_kept is not None:
                return as_kept
        entry = await self._holdings.with_file(entry)
        with reading(entry):
            if not entry.sha256:
                entry = await self._with_digest(entry)
            return await pack(
                entry,
                form,
                scratch=self._wire.folder,
                executor=self._executor,
                budget=self._budget,
                rendition=rendition,
                jobs=self._jobs,
            )

    async def _as_kept(self, entry: Entry, form: WireForm) -> Packed | None:
        """The blob as it lies in the store, where that is the form asked for."""
        size_bytes = entry.stamp.size_bytes
        if not is_compressed(entry.blob_key):
            if form != "stored" or entry.path:
                return None
            piece: FileSlice | BlobSlice = entry.slice(0, size_bytes)
            return Packed("stored", (piece,), size_bytes, entry.sha256)
        if self._blobs is None or form == "stored" or packs_as_codestreams(entry.instance):
            return None
        length_bytes = await asyncio.to_thread(self._blobs.size, entry.blob_key)
        if not length_bytes:
            raise FormatError("the blob of an instance is gone")
        return Packed(
            "zstd", (BlobSlice(entry.blob_key, 0, length_bytes),), size_bytes, entry.sha256
        )

    async def _with_digest(self, entry: Entry) -> Entry:
        """A file in place with its SHA-256, made once and kept."""
        known = self._digests.get(entry.fingerprint)
        if known is None:
            limit_s = 30 + entry.stamp.size_bytes / _SLOWEST
            has_preamble = entry.instance.layout.has_preamble
            future = submit(
                self._executor, limit_s, digests_in_place, entry.path, has_preamble=has_preamble
            )
            digests: tuple[str, str, int] = await asyncio.wrap_future(future)
            known, served, crc = digests
            self._digests.put(entry.fingerprint, known)
            await asyncio.to_thread(
                self._holdings.catalogue.keep_digests,
                entry.instance.sop_instance_uid,
                entry.stamp,
                sha256=known,
                served_sha256=served,
                served_crc32=crc,
            )
        return replace(entry, sha256=known)
