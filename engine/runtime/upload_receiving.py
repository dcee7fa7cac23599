"""The bytes of one append on their way to the disk, in order, in bounded memory.

Where they come fast they are written a MiB at a time, in a thread, while the next ones come; where
writing is slower, the client waits. They are made durable now and then, and at the end, however
that comes: what came in order is kept.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

from ...codecs.errors import MerseyError, TransferError
from ..archive.upload_file import UploadFile
from ..archive.upload_plan import UploadError

__all__ = ["Append", "Buffer", "Receiver", "in_thread", "to_its_end"]

type Buffer = bytes | bytearray | memoryview

_PIECE_BYTES = 1 << 20
_WAITING_BYTES = 4 << 20
_SYNC_EVERY_BYTES = 32 << 20
_SYNC_EVERY_S = 1.0
_AHEAD_BYTES = 256 << 20
"""So much may be written and not durable yet; then the client waits."""
_STALL_S = 60.0


class _Hasher(Protocol):
    def update(self, data: Buffer, /) -> None: ...
    def digest(self) -> bytes: ...


class _Crc32:
    def __init__(self) -> None:
        self._value = 0

    def update(self, data: Buffer, /) -> None:
        self._value = zlib.crc32(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(4, "big")


@dataclass(slots=True, eq=False)
class Append:
    """A request that appends to the upload `name`, or is about to; who wants the upload ends it."""

    name: str
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    _limit: asyncio.Timeout | None = None
    _stopped: bool = False

    def stop(self) -> None:
        """Have it end as soon as what is being written is written; `ended` tells."""
        self._stopped = True
        if self._limit is not None and not self._limit.expired():
            self._limit.reschedule(asyncio.get_running_loop().time())

    async def next(self, stream: AsyncIterator[Buffer]) -> Buffer | None:
        """The next piece; None after the last."""
        try:
            self._go_on()
            async with asyncio.timeout(_STALL_S) as self._limit:
                return await anext(stream)
        except StopAsyncIteration:
            return None
        except TimeoutError:
            self._go_on()
            raise TransferError(f"nothing came for {_STALL_S:g} s") from None
        finally:
            self._limit = None

    def _go_on(self) -> None:
        if self._stopped:
            raise UploadError("another request for this upload has come", fault="busy")


class Receiver:
    """Writes what a stream brings behind what an upload has."""

    def __init__(
        self, upload: UploadFile, append: Append, checksum: tuple[str, bytes] | None
    ) -> None:
        self._upload = upload
        self._append = append
        algorithm, self._digest = checksum or ("", b"")
        self._hasher = _hasher(algorithm) if algorithm else None
        self._synced_s = self._begun_s = time.monotonic()
        self._writing: asyncio.Future[None] | None = None
        self._syncing: asyncio.Future[int] | None = None
        self._pieces: list[Buffer] = []
        self._is_broken = False

    async def receive(self, stream: AsyncIterator[Buffer]) -> None:
        """Append all of it; see `Uploading.append` for what it raises."""
        try:
            await self._receive(stream)
        except BaseException:
            # All that came in order is kept, but what a checksum speaks for only as a whole.
            with suppress(MerseyError):
                await in_thread(self._end, keep=self._hasher is None)
            raise
        is_right = self._hasher is None or self._hasher.digest() == self._digest
        await in_thread(self._end, keep=is_right)
        if not is_right:
            raise UploadError("the bytes have another checksum than was said", fault="digest")

    async def _receive(self, stream: AsyncIterator[Buffer]) -> None:
        waiting = 0
        try:
            while (piece := await self._append.next(stream)) is not None:
                self._pieces.append(piece)
                waiting += len(piece)
                await self._keep_durable()
                if self._is_time(waiting):
                    await self._written()
                    self._begun_s = time.monotonic()
                    pieces, self._pieces, waiting = self._pieces, [], 0
                    self._writing = asyncio.ensure_future(asyncio.to_thread(self._write, pieces))
        finally:
            try:
                await self._written()  # where that fails, nothing may come behind it
            finally:
                await self._synced()
            pieces, self._pieces = self._pieces, []
            if pieces and not self._is_broken:
                await in_thread(self._write, pieces)

    def _is_time(self, waiting_bytes: int) -> bool:
        """Whether to write what waits: it is much, or has waited for long."""
        if self._writing is not None and not self._writing.done():
            return waiting_bytes >= _WAITING_BYTES
        return waiting_bytes >= _PIECE_BYTES or time.monotonic() - self._begun_s >= _SYNC_EVERY_S

    async def _written(self) -> None:
        writing, self._writing = self._writing, None
        if writing is not None:
            await to_its_end(writing)

    def _write(self, pieces: list[Buffer]) -> None:
        try:
            self._append_pieces(pieces)
        except BaseException:
            self._is_broken = True
            raise

    def _append_pieces(self, pieces: list[Buffer]) -> None:
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        if self._hasher is not None:
            self._hasher.update(data)
        self._upload.write(data)

    async def _keep_durable(self) -> None:
        """Now and then have what is written made durable, while more is written."""
        if self._hasher is not None:
            return
        ahead_bytes = self._upload.position - self._upload.offset_bytes
        if (self._syncing is not None and self._syncing.done()) or ahead_bytes >= _AHEAD_BYTES:
            await self._synced()
        now = time.monotonic()
        is_due = ahead_bytes >= _SYNC_EVERY_BYTES or now - self._synced_s >= _SYNC_EVERY_S
        if self._syncing is None and ahead_bytes and is_due:
            self._synced_s = now
            self._syncing = asyncio.ensure_future(asyncio.to_thread(self._upload.sync))

    async def _synced(self) -> None:
        syncing, self._syncing = self._syncing, None
        if syncing is not None:
            await to_its_end(syncing)

    def _end(self, *, keep: bool) -> None:
        if keep:
            self._upload.sync()
        else:
            self._upload.rewind()


def _hasher(algorithm: str) -> _Hasher:
    return _Crc32() if algorithm == "crc32" else hashlib.new(algorithm)


async def in_thread[**P, T](call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """`call` in a thread, to its end even where this is cancelled."""
    return await to_its_end(asyncio.ensure_future(asyncio.to_thread(call, *args, **kwargs)))


async def to_its_end[T](future: asyncio.Future[T]) -> T:
    """Await `future`; where that is cancelled, only after it has ended."""
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        await asyncio.wait([future])
        raise
