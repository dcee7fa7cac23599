"""A Body as an answer: preconditions, Range, HEAD, and its bytes straight to ASGI's send.

RFC 9110 §13 and §14. The entity tag and the length are those of the whole Body whatever part
of it is sent. A client that goes away, or takes nothing for `STALL_S`, ends the answer.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import aclosing
from functools import partial
from typing import Self

from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from ...codecs.errors import MerseyError
from ...codecs.pixels import Buffer
from ..archive.blobs import BlobStore
from ..transfer.body import Body
from ..transfer.conditions import Condition, evaluate, range_applies
from ..transfer.digest_fields import digest_field, wants_sha256
from ..transfer.multipart import boundary_of
from ..transfer.ranges import byteranges, content_range, select_ranges, unsatisfied_range
from .body_digests import MAX_SENT_BYTES, BodyDigests, sha256_of_bytes
from .departure import wait_for_departure
from .file_reading import pieces, read_whole
from .file_run import FileRun, pieces_and_runs
from .status import error_response
from .zero_copy import can_send_runs
from .zero_copy import send_run as send_files

__all__ = ["STALL_S", "BodyResponse"]

STALL_S = 60.0
_WATCHED_BYTES = 4 << 20
_log = logging.getLogger(__name__)


class BodyResponse:
    """An ASGI application that answers one GET or HEAD with `body`."""

    def __init__(
        self,
        body: Body,
        *,
        content_type: str,
        headers: Mapping[str, str] | None = None,
        error_has_body: bool = True,
        sha256: str = "",
        is_verified: bool = False,
    ) -> None:
        """`sha256` (hexadecimal) is of the whole body, where that is known.

        `is_verified` says that whoever receives it looks at the digest of what is in it: then
        files may go straight from the page cache to the socket.
        """
        self.body = body
        self.content_type = content_type
        self.headers = dict(headers or {})
        self._error_has_body = error_has_body
        self._sha256 = bytes.fromhex(sha256)
        self._is_verified = is_verified
        self._blobs: BlobStore | None = None
        self._digests: BodyDigests | None = None

    def reading(self, blobs: BlobStore | None, *, digests: BodyDigests | None = None) -> Self:
        """This answer, with the store that the blobs of its body are read from.

        `digests` keeps those of whole bodies for the next who asks.
        """
        self._blobs = blobs
        self._digests = digests
        return self

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = Headers(scope=scope)
        condition = evaluate(
            etag=self.body.etag,
            if_match=asked.get("if-match"),
            if_none_match=asked.get("if-none-match"),
        )
        if condition is Condition.NOT_MODIFIED:
            await self._send_head(send, 304, {})
            return
        if condition is Condition.FAILED:
            await self._send_head(send, 412, {"content-length": "0"})
            return
        status, body, fields = self._selected(asked)
        fields["content-length"] = str(body.length_bytes)
        is_head = scope["method"] == "HEAD"
        data: bytes | None = None
        try:
            if status != 416 and wants_sha256(asked.get("want-repr-digest")):
                fields |= await self._repr_digest()
            if not is_head and body.length_bytes and wants_sha256(asked.get("want-content-digest")):
                if body.length_bytes <= MAX_SENT_BYTES:
                    data = await read_whole(body, blobs=self._blobs)
                    fields["content-digest"] = digest_field(await sha256_of_bytes(data))
                else:
                    fields |= await self._long_digest(body, is_whole=status == 200)
        except MerseyError as error:
            response = error_response(error, with_body=self._error_has_body)
            await response(scope, receive, send)
            return
        if is_head or not body.length_bytes:
            await self._send_head(send, status, fields)
            return
        if data is not None:
            await self._send_head(send, status, fields, more=True)
            await _pump(data, _nothing(), len(data), send)
            return
        await self._send_body(status, body, fields, scope, receive, send)

    async def _repr_digest(self) -> dict[str, str]:
        """The field that tells the digest of the whole, made where it is not known."""
        whole = await self._whole_digest()
        return {"repr-digest": digest_field(whole)} if whole else {}

    async def _long_digest(self, body: Body, *, is_whole: bool) -> dict[str, str]:
        """The field for what is sent, and is read once more for it, unless that is known."""
        if is_whole:
            found = await self._whole_digest()
        else:
            found = await BodyDigests().of(body, blobs=self._blobs)
        return {"content-digest": digest_field(found)} if found else {}

    async def _whole_digest(self) -> bytes | None:
        if self._sha256:
            return self._sha256
        digests = self._digests or BodyDigests()
        return await digests.of(self.body, blobs=self._blobs)

    def _selected(self, asked: Headers) -> tuple[int, Body, dict[str, str]]:
        """The status, what is to be sent, and the fields that say which part it is."""
        whole = self.body
        field = asked.get("range")
        fields = {"content-type": self.content_type}
        if field is None or not range_applies(asked.get("if-range"), etag=whole.etag):
            return 200, whole, fields
        ranges = select_ranges(field, length_bytes=whole.length_bytes)
        if ranges is None:
            return 200, whole, fields
        if not ranges:
            nothing = whole.slice(0, 0)
            return (
                416,
                nothing,
                {"content-range": unsatisfied_range(length_bytes=whole.length_bytes)},
            )
        if len(ranges) == 1:
            selected = ranges[0]
            fields["content-range"] = content_range(selected, length_bytes=whole.length_bytes)
            return 206, whole.slice(selected.start, selected.stop), fields
        boundary = boundary_of(whole.etag) + "-ranges"
        body = byteranges(whole, ranges, content_type=self.content_type, boundary=boundary)
        return 206, body, {"content-type": f"multipart/byteranges; boundary={boundary}"}

    async def _send_head(
        self, send: Send, status: int, fields: Mapping[str, str], *, more: bool = False
    ) -> None:
        fields = {"etag": self.body.etag, "accept-ranges": "bytes", **self.headers, **fields}
        await send(
            {"type": "http.response.start", "status": status, "headers": _encoded(fields.items())}
        )
        if not more:
            await send({"type": "http.response.body", "body": b""})

    async def _send_body(
        self,
        status: int,
        body: Body,
        fields: Mapping[str, str],
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        stream: AsyncGenerator[Buffer | FileRun]
        if self._is_verified and can_send_runs(scope):
            stream = pieces_and_runs(body, blobs=self._blobs)
        else:
            stream = pieces(body, blobs=self._blobs)
        try:
            # What can go wrong mostly does so here, where another status can still be sent.
            first = await anext(stream)
        except MerseyError as error:
            response = error_response(error, with_body=self._error_has_body)
            await response(scope, receive, send)
            return
        async with aclosing(stream):
            await self._send_head(send, status, fields, more=True)
            send_run = partial(send_files, scope, stall_s=STALL_S)
            if body.length_bytes < _WATCHED_BYTES:
                await _pump(first, stream, body.length_bytes, send, send_run)
                return
            async with asyncio.TaskGroup() as group:
                gone = group.create_task(wait_for_departure(receive))
                await _pump(first, stream, body.length_bytes, send, send_run, gone=gone)
                gone.cancel()


async def _pump(
    first: Buffer | FileRun,
    stream: AsyncIterator[Buffer | FileRun],
    length_bytes: int,
    send: Send,
    send_run: Callable[[FileRun], Awaitable[bool]] | None = None,
    *,
    gone: asyncio.Task[None] | None = None,
) -> None:
    """Send `first` and the rest of `stream`; ends early where there is no use going on.

    Too late for a status then: the connection is cut short of Content-Length.
    """
    left = length_bytes
    piece = first
    try:
        while True:
            left -= len(piece)  # type: ignore[arg-type]
            if isinstance(piece, FileRun):
                assert send_run is not None
                if not await send_run(piece):
                    return
            else:
                async with asyncio.timeout(STALL_S):
                    await send({"type": "http.response.body", "body": piece, "more_body": left > 0})
            if left == 0 or (gone is not None and gone.done()):
                return
            piece = await anext(stream)
    except MerseyError as error:
        _log.warning("an answer was cut short: %s", error)
    except TimeoutError:
        _log.warning("a client took nothing for %g s; its answer was cut short", STALL_S)


async def _nothing() -> AsyncIterator[Buffer]:
    none: tuple[Buffer, ...] = ()
    for piece in none:
        yield piece


def _encoded(fields: Iterable[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in fields]
