"""Pieces of parcels over connections: what comes is put where it belongs, and counted.

What came before a connection broke is kept; the next try asks for what is missing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import aiohttp

from ...codecs.errors import IntegrityError, TransferError
from ..transfer.ranges import ByteRange
from .arriving import ArrivingParcel
from .chunking import plan_chunks
from .connections import Connections
from .page_buffer import PageBuffer
from .pull_values import ChangedError
from .range_connection import RangeConnection, UnexpectedAnswerError
from .range_reading import RangeReader
from .rates import RateLimit
from .remote import RefusedByPeerError, Remote
from .wire_choice import WireChoice

__all__ = ["Piece", "PieceMover"]

_SPAN_BYTES = 2 << 20
_ALONE_BYTES = 128 << 10
_LIMITED_BYTES = 64 << 10
_MEASURE_S = 1.0
_TELL_S = 0.1


@dataclass(slots=True, eq=False)
class Piece:
    """Bytes of a parcel that one connection brings; `start` moves on as they come."""

    number: int
    parcel: ArrivingParcel
    start: int
    stop: int


class PieceMover:
    """Brings pieces of the parcels below `url`. For one event loop.

    `on_taken` is told of each piece that has moved on: by how many bytes, and which items are
    whole now.
    """

    def __init__(
        self,
        remote: Remote,
        url: str,
        *,
        connections: Connections,
        limit: RateLimit,
        choice: WireChoice,
        on_taken: Callable[[Piece, int, list[int]], None],
    ) -> None:
        self._remote = remote
        self._url = url
        self._connections = connections
        self._limit = limit
        self._choice = choice
        self._on_taken = on_taken
        self._buffers: list[PageBuffer] = []
        self._come_bytes = 0
        self._measured = (0.0, 0, "")

    async def prepare(self) -> None:
        """Have the first connections made while it is asked what is to come over them."""
        count = self._connections.concurrency.limit
        await self._remote.ranges.prepare(self._url, count=count)

    async def move(self, piece: Piece) -> None:
        """Bring the bytes of a piece; what came before a failure is not asked for again.

        Raises
        ------
        ChangedError
            Something else is there by now.
        TransferError
            The connection broke; `resume_from` says where.
        """
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

    async def _receive(self, piece: Piece, reader: RangeReader) -> None:
        """Take in the answer, straight into buffers that are used over and over."""
        loop, connection = asyncio.get_running_loop(), reader.connection
        came = partial(self._came, piece.parcel.wire)
        connection.on_bytes = lambda count: _in_loop(loop, came, count)
        buffer = self._buffers.pop() if self._buffers else PageBuffer(_SPAN_BYTES)
        spans = self._spans(piece)
        if self._limit.bytes_per_s is None:

            def taken(count: int, items: list[int]) -> None:
                loop.call_soon_threadsafe(self._taken, piece, count, items)

            await reader.run(partial(_take, connection, piece.parcel, spans, buffer, taken))
        else:
            for span in spans:
                await self._fill_slowly(piece, reader, _placed(buffer, piece.parcel, span))
        self._buffers.append(buffer)

    def _spans(self, piece: Piece) -> list[ByteRange]:
        whole = ByteRange(piece.start, piece.stop)
        return list(
            plan_chunks(
                piece.parcel.manifest,
                (whole,),
                chunk_bytes=_SPAN_BYTES,
                alone_bytes=_ALONE_BYTES,
            )
        )

    async def _fill_slowly(self, piece: Piece, reader: RangeReader, view: memoryview) -> None:
        come = 0
        try:
            while come < len(view):
                step = min(_LIMITED_BYTES, len(view) - come)
                try:
                    await reader.fill(view[come : come + step])
                finally:
                    come += reader.connection.filled_bytes
                await self._limit.take(step)
        finally:
            if come:
                await asyncio.shield(self._store(piece, view[:come]))

    async def _read(self, piece: Piece, response: aiohttp.ClientResponse) -> None:
        """Take in the answer as it comes from a client for all kinds of answers."""
        held = bytearray()
        spans = iter(self._spans(piece))
        span = next(spans, None)
        try:
            async for data in response.content.iter_any():
                if piece.start + len(held) + len(data) > piece.stop:
                    raise IntegrityError("the server sent more bytes than were asked for")
                self._came(piece.parcel.wire, len(data))
                held += data
                await self._limit.take(len(data))
                while span is not None and piece.start + len(held) >= span.stop:
                    cut = span.stop - piece.start
                    taken, held = held[:cut], held[cut:]
                    span = next(spans, None)
                    await asyncio.shield(self._store(piece, memoryview(taken)))
        finally:
            if held:
                await asyncio.shield(self._store(piece, memoryview(held)))
        if piece.start != piece.stop:
            raise TransferError("the answer ended before its end")

    async def _store(self, piece: Piece, view: memoryview) -> None:
        """Write the next bytes of a piece."""
        items = await asyncio.to_thread(piece.parcel.take, piece.start, view)
        self._taken(piece, len(view), items)

    def _taken(self, piece: Piece, count: int, items: list[int]) -> None:
        if count:
            self._on_taken(piece, count, items)


def _in_loop(
    loop: asyncio.AbstractEventLoop, count: Callable[[int], None], length_bytes: int
) -> None:
    loop.call_soon_threadsafe(count, length_bytes)


def _placed(buffer: PageBuffer, parcel: ArrivingParcel, span: ByteRange) -> memoryview:
    """Where the bytes of a span lie in memory as they will in their file, if it is one."""
    return buffer.view(parcel.position(span.start), span.stop - span.start)


def _take(
    connection: RangeConnection,
    parcel: ArrivingParcel,
    spans: Sequence[ByteRange],
    buffer: PageBuffer,
    on_taken: Callable[[int, list[int]], None],
) -> None:
    """Receive spans and put them where they belong, as far as they come. Blocks.

    `on_taken` is told of some at once: of how many bytes, and which items are whole with them.
    """
    come, items, told_s = 0, list[int](), time.monotonic()
    try:
        for span in spans:
            view = _placed(buffer, parcel, span)
            try:
                connection.fill(view)
            finally:
                if filled := connection.filled_bytes:
                    items += parcel.take(span.start, view[:filled])
                    come += filled
            if come >= _SPAN_BYTES or time.monotonic() - told_s > _TELL_S:
                on_taken(come, items)
                come, items, told_s = 0, [], time.monotonic()
    finally:
        if come:
            on_taken(come, items)
