"""A parcel to a Mersey: its manifest, the bytes that are missing there, and what became of it."""

from __future__ import annotations

import asyncio
import hashlib
import json
import secrets
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from io import BytesIO
from typing import Any

from ...codecs.errors import FormatError, TransferError
from ..archive.entry import Entry
from ..transfer.digest_fields import digest_field
from ..transfer.ranges import ByteRange
from .chunking import plan_chunks
from .connections import Connections
from .push_parcels import OutgoingParcel
from .push_report import PushReport
from .rates import RateLimit
from .remote import RefusedByPeerError, Remote, read_bounded
from .store_answer import StoreAnswer

__all__ = ["ParcelSender"]

_ANSWER_BYTES = 64 << 20
_PIECE_BYTES = 256 << 10
_MOST_ROUNDS = 8
_MOST_LOST = 5
_MOST_REFUSED = 3
_FIRST_PROBE, _SECOND_PROBE = 1_000, 18_000
_SOON_S = 0.2


class ParcelSender:
    """Sends parcels to `remote`. `on_moved` is told of bytes as they leave."""

    def __init__(
        self,
        remote: Remote,
        connections: Connections,
        rate: RateLimit,
        report: PushReport,
        on_moved: Callable[[int], None],
    ) -> None:
        self._remote = remote
        self._connections = connections
        self._rate = rate
        self._report = report
        self._on_moved = on_moved
        self._root = f"{remote.address.mersey}/inbound"

    async def known(self, entries: Sequence[Entry]) -> set[str]:
        """The UIDs of those that the other end has, byte for byte.

        Raises
        ------
        TransferError
            The other end cannot be reached, or failed for too long.
        FormatError
            It answers what was not asked.
        """
        pairs = [(entry.uids[2], entry.sha256) for entry in entries]
        found = await self._json("POST", f"{self._root}/known", json.dumps(pairs).encode())
        try:
            return {pairs[int(index)][0] for index in found["known"]}
        except (TypeError, LookupError, ValueError) as error:
            raise FormatError("the other end tells what nobody asked for") from error

    async def measure_link(self) -> float:
        """About how many bytes a second the link takes; costs a round trip or two, and 1.5 MB.

        Errors are those of :meth:`known`.
        """
        await self.known([])
        begun_s = time.monotonic()
        await self.known([])
        round_trip_s = time.monotonic() - begun_s
        rate = 0.0
        for count in (_FIRST_PROBE, _SECOND_PROBE):
            pairs = [("1.2", secrets.token_hex(32)) for _ in range(count)]
            data = json.dumps(pairs).encode()
            begun_s = time.monotonic()
            await self._json("POST", f"{self._root}/known", data)
            passed_s = time.monotonic() - begun_s
            rate = len(data) / max(passed_s - round_trip_s, 1e-4)
            if passed_s > _SOON_S:
                break
        return rate

    async def send(self, parcel: OutgoingParcel) -> str:
        """Send what is missing of a parcel; its id at the other end.

        Raises
        ------
        TransferError
            The other end cannot be reached, or failed for too long.
        MerseyError
            A file has changed meanwhile.
        """
        state = await self._begin(parcel)
        await self._send_missing(parcel, state)
        self._report.carried_bytes += parcel.manifest.size_bytes
        self._report.travelled_bytes += parcel.manifest.length_bytes
        return str(state["id"])

    async def finish(self, parcel: OutgoingParcel, parcel_id: str) -> list[Entry]:
        """Wait until all of it is stored; those that came out wrong.

        Raises
        ------
        TransferError
            The other end cannot be reached, or never had all of it.
        """
        for _ in range(_MOST_ROUNDS):
            answer = await self._finished(parcel_id)
            state = await self._begin(parcel)
            if answer is not None and state["id"] == parcel_id:
                damaged = {
                    parcel.manifest.items[index].sop_instance_uid for index in state["damaged"]
                }
                self._count(parcel, answer, state, damaged)
                if not any(answer.may_pass(uid) for uid in answer.failed.keys() - damaged):
                    await self._forget(parcel_id)
                return [entry for entry in parcel.entries if entry.uids[2] in damaged]
            await self._send_missing(parcel, state)
        raise TransferError("what was sent was missing again, time after time")

    async def _forget(self, parcel_id: str) -> None:
        """Not to be waited for, nor to fail a push that is done: it expires there."""
        with suppress(TransferError):
            await self._remote.read(
                "DELETE",
                f"{self._root}/{parcel_id}",
                most_bytes=_PIECE_BYTES,
                may_answer=frozenset({204, 404}),
            )

    def _count(
        self, parcel: OutgoingParcel, answer: StoreAnswer, state: dict[str, Any], damaged: set[str]
    ) -> None:
        outcomes = state["outcomes"]
        report = self._report
        report.same += outcomes.get("same", 0)
        report.kept += outcomes.get("kept", 0)
        report.new += outcomes.get("new", 0) + outcomes.get("replaced", 0)
        report.arrived.update(answer.stored)
        for uid in answer.failed:
            if uid not in damaged:
                report.failed[uid] = answer.why(uid)
        told = answer.stored.keys() | answer.failed.keys() | damaged
        for entry in parcel.entries:
            if entry.uids[2] not in told:
                report.failed[entry.uids[2]] = "the other end cannot read it"

    async def _begin(self, parcel: OutgoingParcel) -> dict[str, Any]:
        manifest = parcel.manifest.to_json()
        own = hashlib.sha256(manifest).hexdigest()
        state = await self._json("POST", self._root, manifest, is_right=lambda it: it["id"] == own)
        try:
            length = parcel.manifest.length_bytes
            missing = [ByteRange(int(start), int(stop)) for start, stop in state["missing"]]
            if not all(0 <= one.start < one.stop <= length for one in missing):
                raise FormatError("the other end misses what there is not")
            return {
                "id": own,
                "missing": missing,
                "outcomes": {str(kind): int(n) for kind, n in state["outcomes"].items()},
                "damaged": [int(one) for one in state["damaged"] if 0 <= one < len(parcel.entries)],
            }
        except (TypeError, LookupError, ValueError, AttributeError) as error:
            raise FormatError("the other end does not say what it misses") from error

    async def _send_missing(self, parcel: OutgoingParcel, state: dict[str, Any]) -> None:
        lost = 0
        while state["missing"]:
            url = f"{self._root}/{state['id']}"
            try:
                await self._connections.carry(
                    _each(plan_chunks(parcel.manifest, state["missing"])),
                    lambda chunk, url=url: self._put(parcel, url, chunk),  # type: ignore[misc]
                )
            except RefusedByPeerError as error:
                lost += 1
                if error.status not in (404, 410) or lost > _MOST_LOST:
                    raise
            state = await self._begin(parcel)

    async def _put(self, parcel: OutgoingParcel, url: str, chunk: ByteRange) -> None:
        data = await asyncio.to_thread(parcel.read, chunk.start, chunk.stop)
        digest = await asyncio.to_thread(lambda: hashlib.sha256(data).digest())
        fields = {
            "Content-Range": f"bytes {chunk.start}-{chunk.stop - 1}/{parcel.manifest.length_bytes}",
            "Content-Digest": digest_field(digest),
            "Content-Length": str(len(data)),
            "Content-Type": "application/vnd.mersey.parcel",
        }
        try:
            await self._remote.read(
                "PUT",
                url,
                headers=fields,
                data=self._pieces(data),
                most_bytes=_PIECE_BYTES,
                may_answer=frozenset({204}),
            )
        except RefusedByPeerError as error:
            if error.status == 400:  # the wire changed something: a digest, or a field
                raise TransferError(error.message) from error
            raise

    async def _pieces(self, data: bytearray) -> AsyncIterator[memoryview]:
        view = memoryview(data)
        for start in range(0, len(view), _PIECE_BYTES):
            piece = view[start : start + _PIECE_BYTES]
            await self._rate.take(len(piece))
            yield piece
            self._connections.moved(len(piece))
            self._on_moved(len(piece))

    async def _finished(self, parcel_id: str) -> StoreAnswer | None:
        """What became of the items; None where bytes are missing, or all is gone."""

        async def ask() -> StoreAnswer | None:
            async with self._remote.request(
                "POST",
                f"{self._root}/{parcel_id}/finish",
                may_answer=frozenset({200, 202, 404, 409, 507}),
            ) as response:
                data = await read_bounded(response, _ANSWER_BYTES)
                if response.content_type == "application/dicom+json":
                    return StoreAnswer.parse(data)
                if response.status == 507:
                    raise TransferError("the archive is full")
                return None

        return await self._connections.tried(ask)

    async def _json(
        self,
        method: str,
        url: str,
        data: bytes,
        *,
        is_right: Callable[[Any], bool] = lambda _: True,
    ) -> Any:
        """The answer, where it `is_right`. A question that the wire changed is asked again."""
        refused = 0

        async def ask() -> Any:
            nonlocal refused
            try:
                answer = await self._remote.read(
                    method,
                    url,
                    headers={"Content-Type": "application/json"},
                    data=BytesIO(data),
                    most_bytes=_ANSWER_BYTES,
                    may_answer=frozenset({200, 201}),
                )
                found = json.loads(answer)
                if not is_right(found):
                    raise TransferError("the other end understood another question")
                return found
            except RefusedByPeerError as error:
                refused += error.status == 400
                if error.status == 400 and refused < _MOST_REFUSED:
                    raise TransferError(error.message) from error
                raise
            except (ValueError, LookupError, TypeError) as error:
                raise TransferError("an answer of the other end is no JSON") from error

        return await self._connections.tried(ask)


async def _each(chunks: Any) -> AsyncIterator[ByteRange]:
    for chunk in chunks:
        yield chunk
