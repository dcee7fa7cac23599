"""A series from a Mersey server as a volume that sharpens while it comes.

One request; the smallest image of every frame first. What arrives is decoded in threads, or in
an executor of the caller's, and never holds up the wire: of a frame that waits to be decoded,
only its sharpest image is. A connection that breaks is made again, and the answer goes on where
it stopped (Range, If-Range), so that no byte is sent twice that was read. What was damaged on
the way is noticed by its digest before it is decoded, and read again.

A server that still makes the renditions sends an answer without an entity tag, and from its
beginning to whoever comes again: what was read of it is passed over. Its boundary tells whether
it is the same answer.

Beside the volume this holds the codestreams of the frames that are not whole yet, so at most the
compressed size of the series.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field

import aiohttp
import numpy as np

from ...codecs.errors import (
    FormatError,
    IntegrityError,
    MerseyError,
    TransferError,
    UsageError,
)
from ...codecs.pixels import PixelArray
from ...codecs.registry import Registry
from ...codecs.syntaxes import HTJ2K_LOSSLESS_RPCL
from ..runtime.frame_decode import FrameDecode, decode_frame
from ..transfer.progressive_body import progressive_boundary
from ..transfer.progressive_reader import FrameArrived, ProgressiveReader, boundary_told
from ..transfer.resolution_order import FrameOrder
from .address import Address
from .connections import Backoff, tried_again
from .remote import RefusedByPeerError, Remote, RemoteSettings
from .sharpening import SharpeningSeries

__all__ = ["SeriesUpdate", "StreamSettings", "stream_series"]

_MOST_DECODERS = 8
_MOST_DAMAGED = 5
"""What is wrong so often in one place was not damaged on the way."""


@dataclass(frozen=True, slots=True)
class StreamSettings:
    """How to stream; `executor` decodes instead of threads, `most_bytes` bounds the volume.

    Threads decode in this process: foreign bytes that crash a codec end it. A `WorkerPool`
    as the executor keeps that away.
    """

    remote: RemoteSettings = field(default_factory=RemoteSettings)
    backoff: Backoff = field(default_factory=Backoff)
    executor: Executor | None = None
    decoders: int = 0
    most_bytes: int = 8 << 30


@dataclass(frozen=True, slots=True)
class SeriesUpdate:
    """What became sharper: the frames in `changed`, counted from 0.

    `reductions` has for each frame how often its image is still halved: 0 is full size, 3 an
    eighth, -1 that nothing of it is there. It is of this moment; `volume` and `frame` show the
    one set of arrays, which goes on sharpening. `left_out` has the frames that do not come, of
    instances that turned out to have no progressive form while they were streamed.
    `total_bytes` is not known while the server still makes it.
    """

    series: SharpeningSeries
    changed: tuple[int, ...]
    reductions: np.ndarray[tuple[int], np.dtype[np.int8]]
    received_bytes: int
    total_bytes: int | None
    is_complete: bool
    left_out: frozenset[int] = frozenset()

    @property
    def volume(self) -> PixelArray:
        """See :attr:`SharpeningSeries.volume`."""
        return self.series.volume

    def frame(self, index: int) -> PixelArray:
        """See :meth:`SharpeningSeries.frame`."""
        return self.series.frame(index)

    @property
    def reduction(self) -> int | None:
        """How often the least sharp frame is halved; None while one is not there at all."""
        coming = np.delete(self.reductions, list(self.left_out))
        if not len(coming) or coming.min() < 0:
            return None
        return int(coming.max())


async def stream_series(
    url: str,
    *,
    order: str = "middle-out",
    until: int = 0,
    reduced: bool = False,
    settings: StreamSettings | None = None,
) -> AsyncGenerator[SeriesUpdate]:
    """Stream a series, or one instance, as a volume that sharpens.

    Parameters
    ----------
    url
        ``http://host:8042/dicom-web/studies/…/series/…``, with ``/instances/…`` or without.
    order
        Which frame comes first within a resolution: ``middle-out``, ``in-order``, ``stride``.
    until
        The reduction to stop at; 3 for an eighth in each direction.
    reduced
        Make the volume as small as `until` leaves it, instead of full size in blocks.

    Yields
    ------
    SeriesUpdate
        When frames have become sharper, until none can.

    Raises
    ------
    UsageError
        `url` names no series, or `order` is none.
    TransferError
        The server refuses, is away for too long, or the series changed meanwhile.
    FormatError
        What it sends is not what it says.
    IntegrityError
        It was damaged on the way, over and over.
    ResourceError
        The volume would be larger than `settings` allow.

    Examples
    --------
    >>> async def first_view(url):
    ...     async for update in stream_series(url):
    ...         if update.reduction is not None and update.reduction <= 3:
    ...             return update.volume
    """
    settings = settings or StreamSettings()
    address = Address.parse(url)
    if not address.series:
        raise UsageError("the URL names no series, as in …/studies/1.2/series/1.2.3")
    FrameOrder(order)
    with ExitStack() as stack:
        decoders = settings.decoders or min(os.cpu_count() or 1, _MOST_DECODERS)
        executor = settings.executor
        if executor is None:
            executor = stack.enter_context(ThreadPoolExecutor(decoders, "mersey-decode"))
        stream = _Stream(address, order, until, reduced, settings, executor, decoders)
        running = asyncio.create_task(stream.run())
        try:
            while True:
                update = await stream.next_update()
                if update is None:
                    break
                yield update
            await running
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError, MerseyError):
                await running


class _Stream:
    """One answer on its way: what was received, what waits to be decoded, what changed."""

    def __init__(
        self,
        address: Address,
        order: str,
        until: int,
        reduced: bool,
        settings: StreamSettings,
        executor: Executor,
        decoders: int,
    ) -> None:
        self._address = address
        self._url = f"{address}/progressive?order={order}&until={until}"
        self._until = until
        self._reduce = until if reduced else 0
        self._settings = settings
        self._executor = executor
        self._decoders = decoders
        self._reader: ProgressiveReader | None = None
        self._series: SharpeningSeries | None = None
        self._etag = ""
        self._position = 0
        self._damaged = (0, 0)
        self._total: int | None = None
        self._waiting: dict[int, FrameArrived] = {}
        self._changed: dict[int, None] = {}
        self._something = asyncio.Event()
        self._news = asyncio.Event()
        self._received = False
        self._is_over = False
        self._told: SeriesUpdate | None = None

    async def run(self) -> None:
        """Receive and decode until all is there."""
        try:
            async with Remote(self._address, settings=self._settings.remote) as remote:
                try:
                    async with asyncio.TaskGroup() as group:
                        for _ in range(self._decoders):
                            group.create_task(self._decode())
                        group.create_task(self._receive(remote))
                        # The request is on its way meanwhile.
                        group.create_task(asyncio.to_thread(_warm))
                except BaseExceptionGroup as errors:
                    raise _first(errors) from None
        finally:
            self._is_over = True
            self._news.set()

    async def next_update(self) -> SeriesUpdate | None:
        """The next update, once something changed; None at the end, whatever ended it."""
        while not self._changed and not self._is_over:
            self._news.clear()
            await self._news.wait()
        if self._changed:
            return self._update()
        if self._received and self._told is not None and not self._told.is_complete:
            # What was still waited for does not come.
            return self._update()
        return None

    def _update(self) -> SeriesUpdate:
        assert self._series is not None
        assert self._reader is not None
        changed, self._changed = tuple(self._changed), {}
        reductions = self._series.reductions.copy()
        reductions.flags.writeable = False
        left_out = self._reader.frames_left_out
        coming = np.delete(reductions, list(left_out))
        self._told = SeriesUpdate(
            self._series,
            changed,
            reductions,
            self._position,
            self._total,
            is_complete=bool(((coming >= 0) & (coming <= self._until)).all()),
            left_out=left_out,
        )
        return self._told

    async def _receive(self, remote: Remote) -> None:
        await tried_again(lambda: self._receive_once(remote), backoff=self._settings.backoff)
        assert self._reader is not None
        missing = self._reader.missing(until=self._until)
        if missing:
            raise FormatError(f"the answer ended, {len(missing)} frames are not all there")
        self._received = True
        self._something.set()

    async def _receive_once(self, remote: Remote) -> None:
        """Read on from where the last connection broke, or what was read stopped being right."""
        if self._reader is None or not self._reader.verified_bytes:
            self._reader, self._position = None, 0
        fields = {}
        if self._position:
            fields["Range"] = f"bytes={self._position}-"
            if self._etag:
                fields["If-Range"] = self._etag
        try:
            async with remote.request(
                "GET", self._url, headers=fields, may_answer=frozenset({200, 206})
            ) as response:
                skipped = self._begin(response)
                async for piece in response.content.iter_any():
                    fresh = piece[skipped:]
                    skipped -= len(piece) - len(fresh)
                    if fresh:
                        self._take(fresh)
            if self._reader is None or not self._reader.is_finished:
                raise IntegrityError("the answer ended before its end")
        except IntegrityError as error:
            again = self._again(error)
            if again is error:
                raise
            raise again from error
        except TransferError as error:
            if error.resume_from is None:
                error.resume_from = self._position
            raise

    def _begin(self, response: aiohttp.ClientResponse) -> int:
        """Take up the answer; how many bytes of it are known already."""
        content_type = response.headers.get("Content-Type", "")
        etag, boundary = response.headers.get("ETag", ""), boundary_told(content_type)
        if etag.startswith('"') and boundary != progressive_boundary(etag):
            raise IntegrityError("the head of the answer is not what was sent")
        if self._reader is None:
            self._reader = ProgressiveReader(content_type)
            self._etag, self._total, self._position = etag, response.content_length, 0
            return 0
        if boundary != self._reader.boundary or (self._etag and etag != self._etag):
            # Trying again is of no use: what is there would be mixed with something else.
            raise RefusedByPeerError("the series changed while it was streamed", status=412)
        if etag and not self._etag and response.content_length is not None:
            # It is all made by now.
            self._etag, known = etag, self._position if response.status == 206 else 0
            self._total = known + response.content_length
        if response.status == 200:
            return self._position
        if not response.headers.get("Content-Range", "").startswith(f"bytes {self._position}-"):
            raise IntegrityError("the server sends another range than was asked for")
        return 0

    def _again(self, error: IntegrityError) -> MerseyError:
        """What to raise for `error`: something to be tried again, unless that was of no use."""
        if self._reader is None:
            return TransferError(error.message, resume_from=0)
        self._reader.rewind()
        self._position = place = self._reader.verified_bytes
        self._damaged = (place, self._damaged[1] + 1 if place == self._damaged[0] else 1)
        if self._damaged[1] >= _MOST_DAMAGED:
            return error
        return TransferError(error.message, resume_from=place)

    def _take(self, data: bytes) -> None:
        assert self._reader is not None
        self._position += len(data)
        for arrived in self._reader.feed(data):
            self._waiting[arrived.frame] = arrived
            self._something.set()
        if self._reader.is_finished:
            self._total = self._position

    async def _decode(self) -> None:
        """Decode what waits, the frame that waits longest first, until nothing comes any more."""
        loop = asyncio.get_running_loop()
        while True:
            while not self._waiting:
                if self._received:
                    return
                self._something.clear()
                await self._something.wait()
            arrived = self._waiting.pop(next(iter(self._waiting)))
            series, work = self._work(arrived)
            try:
                image = await loop.run_in_executor(self._executor, decode_frame, work)
            except MerseyError as error:
                error.at(frame=arrived.frame + 1)
                raise
            if series.place(arrived.frame, image, reduction=work.reduce):
                self._changed[arrived.frame] = None
                self._news.set()

    def _work(self, arrived: FrameArrived) -> tuple[SharpeningSeries, FrameDecode]:
        reader, series = self._reader, self._series
        assert reader is not None
        if series is None:
            assert reader.description is not None
            series = self._series = SharpeningSeries(
                reader.description, most_bytes=self._settings.most_bytes, reduce=self._reduce
            )
        instance = series.instance_of(arrived.frame)
        work = FrameDecode(
            reader.prefix(arrived.frame),
            instance.pixels,
            instance.transfer_syntax_uid,
            reduce=max(arrived.reduction, self._reduce),
        )
        if arrived.is_whole:
            reader.release(arrived.frame)
        return series, work


def _warm() -> None:
    """Import what decodes nearly every series: a quarter of a second, the first time."""
    Registry.default().decoder(HTJ2K_LOSSLESS_RPCL)


def _first(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    found: BaseException = errors
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    return found
