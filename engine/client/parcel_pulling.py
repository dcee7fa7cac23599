"""A study, a series or an instance from another Mersey, parcel by parcel.

The next parcel is asked for while one comes, and what has come is verified, restored and
published meanwhile. Cancelled, or killed at any moment, it leaves a journal beside what has
come, and the next pull goes on from there.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp

from ...codecs.errors import FormatError, IntegrityError, MerseyError, TransferError
from ...codecs.pixels import Buffer
from ..archive.inbound import Inbound
from ..runtime.byte_budget import ByteBudget
from ..transfer.manifest import MAX_MANIFEST_BYTES, Item, Manifest
from ..transfer.ranges import ByteRange
from .address import Address
from .arriving import ArrivingParcel
from .chunking import plan_chunks
from .connections import Connections, tried_again
from .publishing import has_bytes, require_room, target_of
from .pull_values import PullFailure, PullSettings, PullSummary
from .range_reading import RangeReader, UnexpectedAnswerError
from .rates import RateLimit
from .remote import RefusedByPeerError, Remote
from .wire_choice import WireChoice

__all__ = ["ChangedError", "ParcelPull", "failure_of"]

_PIECE_BYTES = 2 << 20
_LIMITED_BYTES = 64 << 10
_BUDGET_BYTES = 128 << 20
_MOST_OPEN = 3
_PROBE_BYTES = 2 << 20
_PROBE_S = 0.2
_MEASURE_S = 1.0
_MOST_PARCELS = 1 << 20


class ChangedError(TransferError):
    """What is pulled became another meanwhile: begin anew with what is there."""

    is_passing = False


@dataclass(slots=True, eq=False)
class _Piece:
    """Bytes of a parcel that one connection brings; `start` moves on as they come."""

    number: int
    parcel: ArrivingParcel
    start: int
    stop: int


class ParcelPull:
    """One pull of what `address` names into `folder`. For one event loop."""

    def __init__(
        self,
        remote: Remote,
        address: Address,
        folder: Path,
        *,
        hidden: Path,
        settings: PullSettings,
        connections: Connections,
        limit: RateLimit,
        choice: WireChoice,
        executor: Executor,
        jobs: int,
        summary: PullSummary,
        on_bytes: Callable[[int, float], None],
        on_items: Callable[[int, int], None],
    ) -> None:
        self._remote = remote
        self._url = address.mersey + address.resource
        self._address = address
        self._folder = folder
        self._hidden = hidden
        self._settings = settings
        self._connections = connections
        self._limit = limit
        self._choice = choice
        self._executor = executor
        self._jobs = jobs
        self._budget = ByteBudget(_BUDGET_BYTES)
        self._buffers: list[bytearray] = []
        self._summary = summary
        self._on_bytes = on_bytes
        self._on_items = on_items
        self._pieces: deque[_Piece] = deque()
        self._open = 0
        self._come_bytes = 0
        self._measured = (0.0, 0, "")
        self._changed = asyncio.Event()
        self._group: asyncio.TaskGroup | None = None
        self._finishing: set[ArrivingParcel] = set()
        self.refused: list[tuple[Item, MerseyError]] = []

    async def listing(self) -> list[tuple[int, int]]:
        """How many instances each parcel has, and how many bytes.

        Raises
        ------
        FormatError
            The server tells what cannot be.
        """
        return _listing(await self._again(lambda: self._remote.json(f"{self._url}/parcels")))

    async def run(self, parcels: Sequence[tuple[int, int]]) -> None:
        """Pull them all.

        Raises
        ------
        ChangedError
            Something else is there by now.
        MerseyError
            It failed for good; what is there stays.
        """
        work = self._work(len(parcels))
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                await self._connections.carry(work, self._move)
        except BaseExceptionGroup as errors:
            found: BaseException = errors
            while isinstance(found, BaseExceptionGroup):
                found = found.exceptions[0]
            raise found from None
        finally:
            await work.aclose()

    async def _work(self, count: int) -> AsyncGenerator[_Piece]:
        """The pieces of all parcels in order, with those that have to come again first."""
        ahead = asyncio.ensure_future(self._prepare(0))
        number = 0
        opened: list[ArrivingParcel] = []
        try:
            while True:
                if self._pieces:
                    yield self._pieces.popleft()
                elif number < count and self._open < _MOST_OPEN:
                    parcel = await ahead
                    if parcel is not None:
                        opened.append(parcel)
                        self._begin(number, parcel)
                    number += 1
                    if number < count:
                        ahead = asyncio.ensure_future(self._prepare(number))
                elif number >= count and not self._open:
                    return
                else:
                    self._changed.clear()
                    await self._changed.wait()
        finally:
            if not ahead.done():
                ahead.cancel()
            elif not ahead.cancelled() and ahead.exception() is None and ahead.result():
                opened.append(ahead.result())  # type: ignore[arg-type]
            for parcel in opened:
                parcel.inbound.close()

    def _begin(self, number: int, parcel: ArrivingParcel) -> None:
        self._open += 1
        for chunk in parcel.chunks():
            self._pieces.append(_Piece(number, parcel, chunk.start, chunk.stop))
        for index in parcel.whole_items():
            self._start(self._verify(number, parcel, index))
        self._look(parcel)

    async def _prepare(self, number: int) -> ArrivingParcel | None:
        """A parcel to go on with; None where everything of it is there."""
        kept = sorted(self._hidden.glob(f"{number}-*"))
        wire = kept[0].name.partition("-")[2] if kept else ""
        there: dict[str, str] = {}
        if not kept and (self._folder / self._address.study).exists():
            plain = await self._manifest(number, "as-stored")
            there = await asyncio.to_thread(self._there, plain)
            if len(there) == len(plain.items):
                self._count_there(plain.items)
                return None
        if wire not in ("as-stored", "htj2k", "zstd"):
            wire = await self._choose(number)
        begun_s = time.monotonic()
        manifest = await self._manifest(number, wire)
        if manifest.size_bytes and wire != "as-stored":
            self._choice.measured_ratio(
                wire, length_bytes=manifest.length_bytes, size_bytes=manifest.size_bytes
            )
            made_s = time.monotonic() - begun_s
            if made_s > 0.2:  # else it was there
                self._choice.measured_work(wire, manifest.size_bytes / made_s)
        if not there:
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
            target_of(self._folder, *uids)
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
        self._summary.there += len(items)
        self._on_items(len(items), sum(item.size_bytes for item in items))

    async def _choose(self, number: int) -> str:
        if self._settings.wire != "auto":
            return self._settings.wire
        if self._choice.link_bytes_per_s is None:
            await self._probe(number)
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

    async def _move(self, piece: _Piece) -> None:
        """Bring the bytes of a piece; what came before a failure is not asked for again."""
        manifest = piece.parcel.manifest
        url = f"{self._url}/parcels/{piece.number}?wire={piece.parcel.wire}"
        fields = {"Range": f"bytes={piece.start}-{piece.stop - 1}", "If-Match": manifest.etag}
        expected = f"bytes {piece.start}-{piece.stop - 1}/{manifest.length_bytes}"
        try:
            try:
                async with self._remote.ranges.read(
                    url,
                    piece.start,
                    piece.stop,
                    etag=manifest.etag,
                    whole_bytes=manifest.length_bytes,
                ) as reader:
                    await self._receive(piece, reader)
                return
            except UnexpectedAnswerError:
                pass  # the one who knows all of HTTP asks again, and judges
            async with self._remote.request(
                "GET", url, headers=fields, may_answer=frozenset({206})
            ) as response:
                if response.headers.get("Content-Range") != expected:
                    raise IntegrityError("the server sent another range than was asked for")
                await self._read(piece, response)
        except RefusedByPeerError as error:
            if error.is_changed or error.is_missing:
                raise ChangedError(str(error)) from error
            raise
        except TransferError as error:
            error.resume_from = piece.start
            raise

    def _came(self, wire: str, length_bytes: int) -> None:
        """Count bytes off the wire; every second they say how fast the link is."""
        self._connections.moved(length_bytes)
        begun_s, before, form = self._measured
        now_s = time.monotonic()
        self._come_bytes += length_bytes
        if form != wire:
            self._measured = (now_s, self._come_bytes, wire)
        elif now_s - begun_s >= _MEASURE_S:
            self._choice.came(wire, (self._come_bytes - before) / (now_s - begun_s))
            self._measured = (now_s, self._come_bytes, wire)

    async def _receive(self, piece: _Piece, reader: RangeReader) -> None:
        """Take in the answer, straight into buffers that are used over and over."""
        reader.on_bytes = partial(self._came, piece.parcel.wire)
        is_limited = self._limit.bytes_per_s is not None
        whole = ByteRange(piece.start, piece.stop)
        spans = plan_chunks(piece.parcel.manifest, (whole,), chunk_bytes=_PIECE_BYTES)
        for span in spans:
            buffer = self._buffers.pop() if self._buffers else bytearray(_PIECE_BYTES)
            length = span.stop - span.start
            view = memoryview(buffer)[:length]
            step = _LIMITED_BYTES if is_limited else length
            come = 0
            try:
                while come < length:
                    try:
                        await reader.fill(view[come : come + step])
                    finally:
                        come += reader.filled_bytes
                    if is_limited:
                        await self._limit.take(step)
            finally:
                if come:
                    await asyncio.shield(self._store(piece, view[:come]))
            self._buffers.append(buffer)

    async def _read(self, piece: _Piece, response: aiohttp.ClientResponse) -> None:
        held: list[bytes] = []
        length = 0
        items = piece.parcel.manifest.items
        try:
            async for data in response.content.iter_any():
                length += len(data)
                if piece.start + length > piece.stop:
                    raise IntegrityError("the server sent more bytes than were asked for")
                self._came(piece.parcel.wire, len(data))
                held.append(data)
                if self._limit.bytes_per_s is not None:
                    await self._limit.take(len(data))
                if length >= _PIECE_BYTES:
                    last = items[
                        piece.parcel.inbound.items_of(
                            piece.start + length - 1, piece.start + length
                        )[0]
                    ]
                    cut = last.offset_bytes - piece.start
                    if last.length_bytes > _PIECE_BYTES or last.end_bytes == piece.start + length:
                        cut = length
                    if cut > 0:
                        held, length = await self._put(piece, held, length, cut)
        finally:
            if length:
                await asyncio.shield(self._put(piece, held, length, length))
        if piece.start != piece.stop:
            raise TransferError("the answer ended before its end")

    async def _put(
        self, piece: _Piece, held: list[bytes], length: int, cut: int
    ) -> tuple[list[bytes], int]:
        """Write the first `cut` bytes of what is held; the rest is given back."""
        rest: list[bytes] = []
        if cut < length:
            last = held.pop()
            over = length - cut
            while over > len(last):
                rest.insert(0, last)
                over -= len(last)
                last = held.pop()
            rest.insert(0, last[len(last) - over :])
            held.append(last[: len(last) - over])
        await self._store(piece, b"".join(held))
        return rest, length - cut

    async def _store(self, piece: _Piece, data: Buffer) -> None:
        """Write the next bytes of a piece, and look at the items that are whole with them."""
        parcel, start = piece.parcel, piece.start
        cut = memoryview(data).nbytes
        whole = await parcel.write(start, data)
        piece.start = start + cut
        manifest = parcel.manifest
        self._summary.wire_bytes += cut
        self._on_bytes(cut, cut * manifest.size_bytes / manifest.length_bytes)
        follows = parcel.follows(start)
        if follows is not None and follows not in whole:
            self._start(parcel.follow(follows))
        for index in whole:
            self._start(self._verify(piece.number, parcel, index))

    async def _verify(self, number: int, parcel: ArrivingParcel, index: int) -> None:
        again: list[ByteRange] = await parcel.verify(index)
        for chunk in again:
            self._summary.retries += 1
            self._pieces.appendleft(_Piece(number, parcel, chunk.start, chunk.stop))
        if again:
            self._changed.set()
        self._look(parcel)

    def _look(self, parcel: ArrivingParcel) -> None:
        if parcel.is_verified and parcel not in self._finishing:
            self._finishing.add(parcel)
            self._start(self._finish(parcel))

    async def _finish(self, parcel: ArrivingParcel) -> None:
        if parcel.work_s > 0:
            rate = parcel.work_bytes / parcel.work_s * self._jobs / 2
            self._choice.measured_work(parcel.wire, rate)
        for index, error in parcel.failed.items():
            self.refused.append((parcel.manifest.items[index], error))
        count = await parcel.publish()
        self._summary.pulled += count
        self._on_items(count, 0)
        self._finishing.discard(parcel)
        self._open -= 1
        self._changed.set()

    def _start(self, work: Any) -> None:
        assert self._group is not None
        try:
            self._group.create_task(work)
        except RuntimeError:  # the group is ending: the journal knows what is there
            work.close()

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


def failure_of(item: Item, error: MerseyError) -> PullFailure:
    """An item that did not come, for the summary."""
    return PullFailure(item.sop_instance_uid, str(error), type(error).__name__)
