"""An answer that is sent while it is made: of no known length, and so of no parts.

It has no Content-Length, no ETag and no ranges, so that nobody can go on from the middle of it
with something else. What follows when all of it is there is a `BodyResponse`. An error in the
middle cuts the connection short of the last chunk (RFC 9112 §8): whoever reads it knows.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from typing import Self

from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from ...codecs.errors import MerseyError
from ..archive.blobs import BlobStore
from ..transfer.body import Body, Segment
from ..transfer.conditions import Condition, evaluate
from .file_reading import pieces
from .responses import STALL_S
from .status import error_response

__all__ = ["StreamedResponse"]

type Segments = tuple[Segment, ...]

_log = logging.getLogger(__name__)


class StreamedResponse:
    """An ASGI application that answers one GET or HEAD with what `make` yields, as it comes.

    `etag` is that of the Body which this will be: preconditions are held to it.
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
        self._headers = {"content-type": content_type, "accept-ranges": "none", **headers}
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
            sending = group.create_task(self._send(scope, receive, send))
            gone = group.create_task(_wait_for_departure(receive))
            # Whichever ends first ends the other: nothing is built for a client that has gone.
            gone.add_done_callback(lambda _: sending.cancel())
            sending.add_done_callback(lambda _: gone.cancel())

    async def _send(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with aclosing(self._make()) as made:
            try:
                # What can go wrong mostly does so here, where another status can still be sent.
                segments = await anext(made)
            except MerseyError as error:
                await error_response(error)(scope, receive, send)
                return
            await _send_head(send, 200, self._headers, more=True)
            try:
                await self._send_segments(segments, send)
                async for segments in made:
                    await self._send_segments(segments, send)
            except MerseyError as error:
                _log.warning("an answer was cut short: %s", error)
                return
            except TimeoutError:
                _log.warning("a client took nothing for %g s; its answer was cut short", STALL_S)
                return
        await send({"type": "http.response.body", "body": b""})

    async def _send_segments(self, segments: Segments, send: Send) -> None:
        async with aclosing(pieces(Body.of(segments, etag=""), blobs=self._blobs)) as stream:
            async for piece in stream:
                async with asyncio.timeout(STALL_S):
                    await send({"type": "http.response.body", "body": piece, "more_body": True})


async def _send_head(
    send: Send, status: int, fields: Mapping[str, str], *, more: bool = False
) -> None:
    headers = [
        (name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in fields.items()
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    if not more:
        await send({"type": "http.response.body", "body": b""})


async def _wait_for_departure(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
