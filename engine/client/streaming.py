"""A series from a Mersey server as a volume that sharpens while it comes.

One request; the smallest image of every frame first. What arrives is decoded in threads, or in
an executor of the caller's, and never holds up the wire: of a frame that waits to be decoded,
only its sharpest image is. What breaks on the way, or is damaged, is seen to by `ResumedAnswer`.

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

from ...codecs.errors import MerseyError, UsageError
from ...codecs.registry import Registry
from ...codecs.syntaxes import HTJ2K_LOSSLESS_RPCL
from ..runtime.frame_decode import FrameDecode, decode_frame
from ..transfer.progressive_reader import FrameArrived
from ..transfer.resolution_order import FrameOrder
from .address import Address
from .connections import Backoff, first_error
from .remote import Remote, RemoteSettings
from .resumed_answer import ResumedAnswer
from .series_update import SeriesUpdate
from .sharpening import SharpeningSeries

__all__ = ["StreamSettings", "stream_series"]

_MOST_DECODERS = 8


@dataclass(frozen=True, slots=True)
class StreamSettings:
    """How to stream; `executor` decodes instead of threads, `most_bytes` bounds the volume.

    `decoders` is how many frames are decoded at once; 0: one a core, at most 8.
    Threads decode in this process: foreign bytes that crash a codec end it. A `WorkerPool`
    as the executor keeps that away.
    """

    remote: RemoteSettings = field(default_factory=RemoteSettings)
    backoff: Backoff = field(default_factory=Backoff)
    executor: Executor | None = None
    decoders: int = 0
    most_bytes: int = 8 << 30


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
    UnsupportedError
        The server sends what cannot be decoded here.

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
    """One answer on its way: what waits to be decoded, what changed."""

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
        url = f"{address}/progressive?order={order}&until={until}"
        self._address = address
        self._answer = ResumedAnswer(url, on_arrived=self._arrived)
        self._until = until
        self._reduce = until if reduced else 0
        self._settings = settings
        self._executor = executor
        self._decoders = decoders
        self._series: SharpeningSeries | None = None
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
                    raise first_error(errors) from None
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
        changed, self._changed = tuple(self._changed), {}
        self._told = SeriesUpdate.now(
            self._series,
            changed,
            until=self._until,
            received_bytes=self._answer.received_bytes,
            total_bytes=self._answer.total_bytes,
            left_out=self._answer.reader.frames_left_out,
        )
        return self._told

    async def _receive(self, remote: Remote) -> None:
        await self._answer.receive(remote, backoff=self._settings.backoff, until=self._until)
        self._received = True
        self._something.set()

    def _arrived(self, arrived: FrameArrived) -> None:
        self._waiting[arrived.frame] = arrived
        self._something.set()

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
        reader, series = self._answer.reader, self._series
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
