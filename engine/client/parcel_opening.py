"""Parcels that are pulled next: which there are, in which form each comes, what of it is there.

What a pull before this one left of a parcel is gone on with, in the form that it was begun in.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

from ...codecs.errors import FormatError, TransferError
from ..archive.inbound import Inbound
from ..runtime.byte_budget import ByteBudget
from ..transfer.manifest import MAX_MANIFEST_BYTES, Item, Manifest
from .address import Address
from .arriving import ArrivingParcel
from .connections import tried_again
from .publishing import has_bytes, require_room, require_uids, target_of
from .pull_values import ChangedError, PullSettings
from .rates import RateLimit
from .remote import RefusedByPeerError, Remote
from .wire_choice import WireChoice

__all__ = ["ParcelOpening"]

_BUDGET_BYTES = 128 << 20
_PROBE_BYTES = 2 << 20
_PROBE_S = 0.2
_MOST_PARCELS = 1 << 20


class ParcelOpening:
    """The parcels of what `address` names, on their way to `folder`. For one event loop.

    `on_there` is told how many instances need not travel, and how many bytes they have.
    """

    def __init__(
        self,
        remote: Remote,
        address: Address,
        folder: Path,
        *,
        hidden: Path,
        settings: PullSettings,
        limit: RateLimit,
        choice: WireChoice,
        executor: Executor,
        jobs: int,
        on_there: Callable[[int, int], None],
    ) -> None:
        self._remote = remote
        self._address = address
        self._folder = folder
        self._hidden = hidden
        self._settings = settings
        self._limit = limit
        self._choice = choice
        self._executor = executor
        self._jobs = jobs
        self._on_there = on_there
        self._is_warm = False
        self._told: list[tuple[int, int]] | None = None
        self._budget = ByteBudget(_BUDGET_BYTES)
        self._url = address.mersey + address.resource
        # What comes to be there later is what this pull brings.
        self._is_new = not (folder / address.study).exists()

    async def listing(self) -> list[tuple[int, int]]:
        """How many instances each parcel has, and how many bytes.

        Raises
        ------
        FormatError
            The server tells what cannot be.
        """
        told, self._told = self._told, None
        return told or await self._ask_listing()

    async def _ask_listing(self) -> list[tuple[int, int]]:
        return _listing(await self._again(lambda: self._remote.json(f"{self._url}/parcels")))

    async def open(self, number: int) -> ArrivingParcel | None:
        """A parcel to go on with; None where everything of it is there.

        Raises
        ------
        ChangedError
            Something else is there by now.
        MerseyError
            It cannot be had, or there is no room for it.
        """
        kept = sorted(self._hidden.glob(f"{number}-*"))
        wire = kept[0].name.partition("-")[2] if kept else ""
        plain: Manifest | None = None
        there: dict[str, str] = {}
        if not kept and not self._is_new:
            plain = await self._manifest(number, "as-stored")
            there = await asyncio.to_thread(self._there, plain)
            if len(there) == len(plain.items):
                self._count_there(plain.items)
                return None
        if wire not in ("as-stored", "htj2k", "zstd"):
            wire = await self._choose(number)
        if wire == "htj2k":
            self._warm()
        begun_s = time.monotonic()
        if plain is None or wire != "as-stored":
            manifest = await self._manifest(number, wire)
        else:
            manifest = plain
        if manifest.size_bytes and wire != "as-stored":
            self._choice.measured_ratio(
                wire, length_bytes=manifest.length_bytes, size_bytes=manifest.size_bytes
            )
            made_s = time.monotonic() - begun_s
            if made_s > 0.2:  # else it was there
                self._choice.measured_work(wire, manifest.size_bytes / made_s)
        if plain is None and not self._is_new:
            there = await asyncio.to_thread(self._there, manifest)
        for other in kept[1:]:
            await asyncio.to_thread(_remove, other)
        inbound = await asyncio.to_thread(Inbound.open, self._hidden / f"{number}-{wire}", manifest)
        try:
            return await self._opened(number, wire, inbound, there)
        except BaseException:
            inbound.close()
            raise

    async def _opened(
        self, number: int, wire: str, inbound: Inbound, there: dict[str, str]
    ) -> ArrivingParcel:
        items = inbound.manifest.items
        same = [
            index
            for index, item in enumerate(items)
            if index not in inbound.settled and there.get(item.sop_instance_uid) == item.sha256
        ]
        self._count_there([items[index] for index in (*same, *inbound.settled)])
        for index in same:
            inbound.settle(index, "there")
        left = [item for index, item in enumerate(items) if index not in inbound.settled]
        needed = sum(item.size_bytes for item in left)
        needed += sum(item.length_bytes for item in left if item.form != "stored")
        needed -= inbound.received_bytes - sum(items[i].length_bytes for i in inbound.settled)
        await asyncio.to_thread(require_room, self._folder, max(needed, 0))

        async def digests(index: int) -> tuple[int, Sequence[str]]:
            url = f"{self._url}/parcels/{number}/digests?wire={wire}&item={index}"
            return _digests(
                await self._again(lambda: self._remote.json(url)), inbound.manifest.etag
            )

        return ArrivingParcel(
            inbound,
            self._folder,
            wire=wire,
            executor=self._executor,
            budget=self._budget,
            jobs=self._jobs,
            ask_digests=digests,
        )

    def _warm(self) -> None:
        """Have the processes that decode begun before there is something to decode."""
        from ..runtime.frame_run import warm

        for _ in range(self._jobs if not self._is_warm else 0):
            self._executor.submit(warm)
        self._is_warm = True

    async def _manifest(self, number: int, wire: str) -> Manifest:
        url = f"{self._url}/parcels/{number}/manifest?wire={wire}"

        async def ask() -> bytes:
            try:
                return await self._remote.read("GET", url, most_bytes=MAX_MANIFEST_BYTES)
            except RefusedByPeerError as error:
                if error.is_missing:
                    raise ChangedError(str(error)) from error
                raise

        manifest = Manifest.from_json(await self._again(ask))
        wanted = (self._address.study, self._address.series, self._address.instance)
        for item in manifest.items:
            uids = (item.study_instance_uid, item.series_instance_uid, item.sop_instance_uid)
            if any(want and want != uid for want, uid in zip(wanted, uids, strict=True)):
                raise FormatError("the server sends an instance that was not asked for")
            require_uids(*uids)
        return manifest

    def _there(self, manifest: Manifest) -> dict[str, str]:
        """The instances that are there already, byte for byte. Blocks."""
        found = {}
        for item in manifest.items:
            uids = (item.study_instance_uid, item.series_instance_uid, item.sop_instance_uid)
            if has_bytes(target_of(self._folder, *uids), item):
                found[item.sop_instance_uid] = item.sha256
        return found

    def _count_there(self, items: Sequence[Item]) -> None:
        self._on_there(len(items), sum(item.size_bytes for item in items))

    async def _choose(self, number: int) -> str:
        if self._settings.wire != "auto":
            return self._settings.wire
        if self._choice.link_bytes_per_s is None:
            # The probe ends its connection; that of the listing has the manifest next.
            _, told = await asyncio.gather(
                self._probe(number), self._ask_listing(), return_exceptions=True
            )
            self._told = told if isinstance(told, list) else None  # else it is asked for again
        return self._choice.choose()

    async def _probe(self, number: int) -> None:
        """Read as much of a parcel as tells how fast the link is; the bytes are dropped."""
        url = f"{self._url}/parcels/{number}?wire=as-stored"
        held, begun_s = 0, 0.0
        try:
            fields = {"Range": f"bytes=0-{_PROBE_BYTES - 1}"}
            async with self._remote.request(
                "GET", url, headers=fields, may_answer=frozenset({206})
            ) as response:
                async for data in response.content.iter_any():
                    begun_s = begun_s or time.monotonic()
                    held += len(data)
                    await self._limit.take(len(data))
                    if time.monotonic() - begun_s > _PROBE_S:
                        break
        except TransferError:
            return
        passed_s = time.monotonic() - begun_s
        if held and passed_s > 0:
            self._choice.measured_link(held / passed_s)

    async def _again[T](self, call: Callable[[], Any]) -> Any:
        return await tried_again(call, backoff=self._settings.backoff)


def _listing(found: Any) -> list[tuple[int, int]]:
    match found:
        case {"parcels": [*parcels]} if len(parcels) <= _MOST_PARCELS:
            listed = []
            for number, parcel in enumerate(parcels):
                match parcel:
                    case {"number": int(told), "items": int(items), "bytes": int(size_bytes)} if (
                        told == number and items > 0 and size_bytes > 0
                    ):
                        listed.append((items, size_bytes))
            if len(listed) == len(parcels):
                return listed
    raise FormatError("the server's list of parcels cannot be read")


def _digests(found: Any, etag: str) -> tuple[int, Sequence[str]]:
    match found:
        case {"etag": str(told), "bytes": int(stretch), "sha256": [*digests]} if told == etag and (
            1 << 16
        ) <= stretch <= (1 << 30):
            if all(isinstance(one, str) and re.fullmatch("[0-9a-f]{64}", one) for one in digests):
                return stretch, digests
    raise ChangedError("the parcel is another by now")


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
