"""What another engine pushes: manifests, and the bytes of parcels (`/mersey/inbound`).

    POST   /mersey/inbound           a manifest: 201 or 200, Location, what is missing
    POST   /mersey/inbound/known     which instances the archive has with these digests
    PUT    /mersey/inbound/{id}      bytes (Content-Range, Content-Digest): 204 once durable
    GET    /mersey/inbound/{id}      what is missing, what became of the items
    POST   /mersey/inbound/{id}/finish   waits; answers as a store request does
    DELETE /mersey/inbound/{id}

Every request may be repeated. Nothing counts before its digest is right: a piece that holds part
of an item needs a Content-Digest (RFC 9530); one of whole items is proved by theirs.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager, contextmanager, suppress
from shutil import disk_usage
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from ...codecs.errors import FormatError, ResourceError, UsageError
from ..archive.receiving import no_space
from ..runtime.arrivals import Arrivals
from ..runtime.arriving import Arriving
from ..runtime.byte_budget import ByteBudget
from ..transfer.digest_fields import sha256_of
from ..transfer.manifest import MAX_MANIFEST_BYTES, Manifest
from ..transfer.ranges import ByteRange
from .requests import base_url
from .status import Reason, RefusedError
from .store_response import store_response
from .stow import STALL_S, StoreReport

__all__ = ["Inbounds"]

_MAX_PIECE_BYTES = 16 << 20
_STEP_BYTES = 1 << 20
"""So many bytes of a body are held until they are written."""
_PIECES_BYTES = 64 << 20
_MAX_RANGES_TOLD = 10_000
_MAX_KNOWN = 20_000
_LEFT_FREE_BYTES = 64 << 20
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,16})-([0-9]{1,16})/([0-9]{1,16})", re.IGNORECASE)
_LENGTH = re.compile(r"[0-9]{1,16}")


class Inbounds:
    """Answers for `arrivals`; `root` is the path of these resources.

    What cannot be answered is raised: UsageError where the request is made wrongly, RefusedError
    where there is no such parcel, no space, or too much of something.
    """

    def __init__(self, arrivals: Arrivals, *, root: str) -> None:
        self._arrivals = arrivals
        self._root = root
        self._budget = ByteBudget(_PIECES_BYTES)

    async def begin(self, request: Request) -> Response:
        """``POST /mersey/inbound``."""
        try:
            manifest = Manifest.from_json(bytes(await _body(request, MAX_MANIFEST_BYTES)))
        except FormatError as error:
            raise UsageError(error.message) from error
        self._refuse_without_space(manifest)
        with _full_disk_told():
            async with self._arrivals.begin(manifest) as arriving:
                state = await _state(arriving)
        location = f"{self._root}/{arriving.id}"
        return JSONResponse(state, status_code=201, headers={"Location": location})

    async def known(self, request: Request) -> Response:
        """``POST /mersey/inbound/known``: pairs of SOP Instance UID and SHA-256."""
        pairs = _pairs(await _body(request, MAX_MANIFEST_BYTES))
        held = await self._arrivals.held([uid for uid, _ in pairs])
        known = [number for number, (uid, digest) in enumerate(pairs) if held.get(uid) == digest]
        return JSONResponse({"known": known})

    async def put(self, request: Request, parcel_id: str) -> Response:
        """``PUT /mersey/inbound/{id}``: bytes of the parcel."""
        async with self._found(parcel_id) as arriving:
            start, stop = _range(request, arriving)
            digest = _digest(request)
            if digest is None and _cuts_an_item(arriving, start, stop):
                raise UsageError("bytes of a part of an instance need a Content-Digest")
            with _full_disk_told():
                gaps = await arriving.gaps(start, stop)
                async with self._budget.hold(_STEP_BYTES):
                    found = await _placed(request, arriving, start, stop, gaps)
                if digest is not None and found != digest:
                    raise UsageError("the bytes do not have the SHA-256 of Content-Digest")
                if arriving.is_gone:
                    raise RefusedError("no such parcel", reason=Reason.NOT_FOUND)
                whole = await arriving.note(gaps)
                await arriving.flush()
            self._arrivals.take_up(arriving, whole)
        return Response(status_code=204)

    async def state(self, parcel_id: str) -> Response:
        """``GET /mersey/inbound/{id}``."""
        async with self._found(parcel_id) as arriving:
            return JSONResponse(await _state(arriving), headers={"Cache-Control": "no-store"})

    async def finish(self, request: Request, parcel_id: str) -> Response:
        """``POST /mersey/inbound/{id}/finish``: what became of the instances, once that is known.

        Where bytes are missing that is a conflict, and GET tells which.
        """
        async with self._found(parcel_id) as arriving:
            with _full_disk_told():
                results = await self._arrivals.finish(arriving)
            if results is None:
                raise RefusedError("bytes are missing", reason=Reason.INCOMPLETE)
        return store_response(StoreReport(results), base=base_url(request))

    async def discard(self, parcel_id: str) -> Response:
        """``DELETE /mersey/inbound/{id}``."""
        async with self._found(parcel_id) as arriving:
            await self._arrivals.discard(arriving)
        return Response(status_code=204)

    @asynccontextmanager
    async def _found(self, parcel_id: str) -> AsyncIterator[Arriving]:
        async with self._arrivals.find(parcel_id) as arriving:
            if arriving is None or arriving.is_gone:
                raise RefusedError("no such parcel", reason=Reason.NOT_FOUND)
            try:
                yield arriving
            except ResourceError as error:
                if arriving.is_gone:  # discarded by another server of the store
                    raise RefusedError("no such parcel", reason=Reason.NOT_FOUND) from error
                raise

    def _refuse_without_space(self, manifest: Manifest) -> None:
        with suppress(OSError):
            root = self._arrivals.store.root
            free = disk_usage(root if root.exists() else root.parent).free
            if manifest.length_bytes + _LEFT_FREE_BYTES > free:
                raise RefusedError("the store has no space for it", reason=Reason.FULL)


async def _state(arriving: Arriving) -> dict[str, Any]:
    missing = await arriving.missing()
    outcomes = arriving.outcomes()
    return {
        "id": arriving.id,
        "length": arriving.manifest.length_bytes,
        "missing_bytes": sum(one.stop - one.start for one in missing),
        "missing": [[one.start, one.stop] for one in missing[:_MAX_RANGES_TOLD]],
        "outcomes": Counter(outcome.kind for outcome in outcomes.values()),
        "damaged": [index for index, outcome in outcomes.items() if outcome.kind == "damaged"],
    }


async def _body(request: Request, most_bytes: int) -> bytearray:
    """The body, as it comes; refused where it is longer than `most_bytes`, or stalls."""
    data = bytearray()
    async for piece in _pieces(request, most_bytes):
        data += piece
    return data


async def _pieces(request: Request, most_bytes: int) -> AsyncGenerator[bytes]:
    stream = request.stream()
    came_bytes = 0
    try:
        while True:
            async with asyncio.timeout(STALL_S):
                piece = await anext(stream, None)
            if piece is None:
                return
            came_bytes += len(piece)
            if came_bytes > most_bytes:
                raise RefusedError(f"more than {most_bytes} bytes", reason=Reason.TOO_LARGE)
            yield piece
    except TimeoutError:
        message = f"nothing came for {STALL_S:g} s"
        raise RefusedError(message, reason=Reason.STALLED) from None
    except ClientDisconnect as error:
        raise UsageError("the client went away") from error  # nobody is there to read it


async def _placed(
    request: Request, arriving: Arriving, start: int, stop: int, gaps: Sequence[ByteRange]
) -> bytes:
    """Put the bytes where they belong while they come; their SHA-256. They do not count yet."""
    digest = hashlib.sha256()
    at = start

    def place(pieces: Sequence[bytes]) -> None:
        nonlocal at
        for piece in pieces:
            digest.update(piece)
            arriving.inbound.place(at, piece, gaps=gaps)
            at += len(piece)

    held: list[bytes] = []
    async with aclosing(_pieces(request, stop - start)) as pieces:
        async for piece in pieces:
            held.append(piece)
            if sum(map(len, held)) >= _STEP_BYTES:
                if arriving.is_gone:
                    raise RefusedError("no such parcel", reason=Reason.NOT_FOUND)
                await asyncio.to_thread(place, held)
                held = []
    await asyncio.to_thread(place, held)
    if at != stop:
        raise UsageError(f"{at - start} bytes came, Content-Range told {stop - start}")
    return digest.digest()


def _pairs(body: bytearray) -> list[tuple[str, str]]:
    try:
        rows = json.loads(body)
        pairs = [(uid, digest) for uid, digest in rows]
    except (ValueError, TypeError, RecursionError):
        raise UsageError("expected a list of pairs of UID and SHA-256") from None
    if len(pairs) > _MAX_KNOWN:
        raise UsageError(f"{len(pairs)} instances asked for, at most {_MAX_KNOWN}")
    if not all(isinstance(uid, str) and isinstance(digest, str) for uid, digest in pairs):
        raise UsageError("expected a list of pairs of UID and SHA-256")
    return pairs


def _range(request: Request, arriving: Arriving) -> tuple[int, int]:
    """Start and stop of the bytes that the request brings; nothing of it is read yet."""
    found = _CONTENT_RANGE.fullmatch(request.headers.get("content-range", ""))
    if found is None:
        raise UsageError("expected Content-Range: bytes FIRST-LAST/LENGTH")
    first, last, length = map(int, found.groups())
    if first > last:
        raise UsageError(f"Content-Range is inverted: {first} to {last}")
    if length != arriving.manifest.length_bytes or last >= length:
        message = f"the parcel has {arriving.manifest.length_bytes} bytes"
        raise RefusedError(message, reason=Reason.OUTSIDE)
    if last - first >= _MAX_PIECE_BYTES:
        message = f"at most {_MAX_PIECE_BYTES} bytes at once"
        raise RefusedError(message, reason=Reason.TOO_LARGE)
    told = request.headers.get("content-length")
    if told is not None and (not _LENGTH.fullmatch(told) or int(told) != last - first + 1):
        raise UsageError("Content-Length and Content-Range tell different lengths")
    return first, last + 1


def _digest(request: Request) -> bytes | None:
    try:
        return sha256_of(request.headers.get("content-digest"))
    except FormatError as error:
        raise UsageError(error.message) from error


def _cuts_an_item(arriving: Arriving, start: int, stop: int) -> bool:
    """Whether the range begins or ends within an item."""
    items = arriving.manifest.items
    touched = arriving.inbound.items_of(start, stop)
    return items[touched[0]].offset_bytes != start or items[touched[-1]].end_bytes != stop


@contextmanager
def _full_disk_told() -> Iterator[None]:
    try:
        yield
    except ResourceError as error:
        if no_space(error):
            raise RefusedError("the store is full", reason=Reason.FULL) from error
        raise
