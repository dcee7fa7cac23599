"""An answer that is sent while it is made: its entity tag is known, its length is not yet.

The bytes are those of the Body that it will be, a pure function of what its tag is made of:
whoever was cut off goes on with the same tag, from this answer, from another that is made anew,
from the Body, or from another server. What goes before is made again for that, or found made.

- All from some byte on, as it comes, is asked for by RFC 8673 (`live_range`).
- A range without an end, or with another, is answered when the length is known: all is made
  before the first byte of it is sent, and with it Content-Length and the whole length are told.

An error in the middle cuts the connection short of the last chunk (RFC 9112 §8): whoever reads
it knows. Nothing is ever sent under the tag in the place of what cannot be made.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Self

from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from ...codecs.errors import MerseyError
from ...codecs.pixels import Buffer
from ..archive.blobs import BlobStore
from ..transfer.body import Body, Segment
from ..transfer.conditions import Condition, evaluate, range_applies
from ..transfer.live_range import ends_with_all, live_content_range, live_start
from ..transfer.ranges import content_range, select_ranges, unsatisfied_range
from .departure import wait_for_departure
from .file_reading import pieces
from .responses import STALL_S
from .status import error_response

__all__ = ["StreamedResponse"]

type Segments = tuple[Segment, ...]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Part:
    """What is sent: bytes `start` to `stop`, to the end where that is None."""

    status: int = 200
    start: int = 0
    stop: int | None = None
    content_range: str = ""

    @property
    def fields(self) -> dict[str, str]:
        """What tells which part it is."""
        fields = {"content-range": self.content_range} if self.content_range else {}
        if self.stop is not None:
            fields["content-length"] = str(self.stop - self.start)
        return fields


class StreamedResponse:
    """An ASGI application that answers one GET or HEAD with what `make` yields, as it comes.

    `make` gives the same bytes whenever it is called; `etag` is the strong entity tag of them.
    """

    def __init__(
        self,
        make: Callable[[], AsyncGenerator[Segments]],
        *,
        etag: str,
        content_type: str,
        headers: Mapping[str, str],
    ) -> None:
        self._make = make
        self._etag = etag
        self._headers = {
            "etag": etag,
            "content-type": content_type,
            "accept-ranges": "bytes",
            **headers,
        }
        self._blobs: BlobStore | None = None

    def reading(self, blobs: BlobStore | None) -> Self:
        """This answer, with the store that the blobs of it are read from."""
        self._blobs = blobs
        return self

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = Headers(scope=scope)
        condition = evaluate(
            etag=self._etag,
            if_match=asked.get("if-match"),
            if_none_match=asked.get("if-none-match"),
        )
        if condition is Condition.NOT_MODIFIED:
            await _send_head(send, 304, {"etag": self._etag})
            return
        if condition is Condition.FAILED:
            await _send_head(send, 412, {"content-length": "0"})
            return
        if scope["method"] == "HEAD":
            await _send_head(send, 200, self._headers)
            return
        async with asyncio.TaskGroup() as group:
            sending = group.create_task(self._answer(asked, scope, receive, send))
            gone = group.create_task(wait_for_departure(receive))
            # Whichever ends first ends the other: nothing is built for a client that has gone.
            gone.add_done_callback(lambda _: sending.cancel())
            sending.add_done_callback(lambda _: gone.cancel())

    async def _answer(self, asked: Headers, scope: Scope, receive: Receive, send: Send) -> None:
        # What can go wrong mostly does so before a byte is sent, where a status can still tell it.
        try:
            part = await self._asked_for(asked)
            async with aclosing(self._bytes_of(part)) as stream:
                first = await anext(stream, None)
                if first is None:
                    await self._send_nothing(part, send)
                    return
                async with aclosing(pieces(first, blobs=self._blobs)) as begun:
                    piece = await anext(begun)
                    await _send_head(send, part.status, self._headers | part.fields, more=True)
                    await self._send(piece, begun, stream, send)
        except MerseyError as error:
            await error_response(error)(scope, receive, send)

    async def _asked_for(self, asked: Headers) -> _Part:
        field = asked.get("range")
        if field is None or not range_applies(asked.get("if-range"), etag=self._etag):
            return _Part()
        start = live_start(field)
        if start is not None:
            return _Part(206, start, None, live_content_range(start))
        if ends_with_all(field):
            return _Part()
        length_bytes = await self._length_bytes()
        ranges = select_ranges(field, length_bytes=length_bytes)
        if not ranges:
            return _Part(416, 0, 0, unsatisfied_range(length_bytes=length_bytes))
        (selected,) = ranges
        told = content_range(selected, length_bytes=length_bytes)
        return _Part(206, selected.start, selected.stop, told)

    async def _length_bytes(self) -> int:
        """Of all: it is made for that, and nothing of it is read."""
        async with aclosing(self._make()) as made:
            return sum([Body.of(segments, etag="").length_bytes async for segments in made])

    async def _bytes_of(self, part: _Part) -> AsyncGenerator[Body]:
        """What is made, without what goes before `part` and behind it."""
        at = 0
        async with aclosing(self._make()) as made:
            async for segments in made:
                if part.stop is not None and at >= part.stop:
                    return
                body = Body.of(segments, etag=self._etag)
                start = max(part.start - at, 0)
                stop = body.length_bytes if part.stop is None else part.stop - at
                at += body.length_bytes
                if start < min(stop, body.length_bytes):
                    yield body.slice(start, min(stop, body.length_bytes))

    async def _send(
        self,
        piece: Buffer,
        begun: AsyncGenerator[Buffer],
        stream: AsyncGenerator[Body],
        send: Send,
    ) -> None:
        """Send all that is left; too late for a status, what goes wrong cuts it short."""
        try:
            await _send_piece(send, piece)
            await _send_pieces(send, begun)
            async for body in stream:
                async with aclosing(pieces(body, blobs=self._blobs)) as read:
                    await _send_pieces(send, read)
        except MerseyError as error:
            _log.warning("an answer was cut short: %s", error)
            return
        except TimeoutError:
            _log.warning("a client took nothing for %g s; its answer was cut short", STALL_S)
            return
        await send({"type": "http.response.body", "body": b""})

    async def _send_nothing(self, part: _Part, send: Send) -> None:
        """All is made, and it ends before `part` begins."""
        told = part.content_range
        if part.status == 206:
            told = unsatisfied_range(length_bytes=await self._length_bytes())
        fields = self._headers | {"content-range": told, "content-length": "0"}
        await _send_head(send, 416, fields)


async def _send_head(
    send: Send, status: int, fields: Mapping[str, str], *, more: bool = False
) -> None:
    headers = [
        (name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in fields.items()
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    if not more:
        await send({"type": "http.response.body", "body": b""})


async def _send_pieces(send: Send, stream: AsyncGenerator[Buffer]) -> None:
    async for piece in stream:
        await _send_piece(send, piece)


async def _send_piece(send: Send, piece: Buffer) -> None:
    async with asyncio.timeout(STALL_S):
        await send({"type": "http.response.body", "body": piece, "more_body": True})
