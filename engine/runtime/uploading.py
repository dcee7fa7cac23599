"""Uploads under way: appended to by one client at a time, and stored once they are complete.

What a client sends goes to the disk as it comes, in threads. Where it breaks off, what came is
kept. A client that asks for the offset while an append goes on has lost that connection and does
not know of ours: the append is ended, so that the offset holds. It may go on in another process
that has the same store: whoever wants an upload says so in its folder, and is heeded.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from ...codecs.errors import MerseyError, ResourceError
from ..archive.upload_file import UploadFile
from ..archive.upload_plan import UploadError, UploadPlan, UploadResult, UploadState
from ..archive.uploads import Uploads
from .upload_receiving import Append, Buffer, Receiver, in_thread, to_its_end

__all__ = ["Finish", "Finished", "Uploading"]

_COLLECT_EVERY_S = 600.0
_HEED_EVERY_S = 0.5
_CLAIM_EVERY_S = 0.1
_CLAIMS = 100
"""Whoever has not ended by then is waiting for a disk: the offset may grow once more."""
_READ_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Finished:
    """What an upload came to; where it is not `final`, the same upload may be tried again."""

    result: UploadResult
    final: bool


type Finish = Callable[[UploadState, tuple[Path, ...]], Awaitable[Finished]]
"""Stores a complete upload, whose bytes are those of the files, one after the other."""


class Uploading:
    """What clients do with the uploads of a store. For one event loop; `run` does the rest."""

    def __init__(self, uploads: Uploads, finish: Finish) -> None:
        self.uploads = uploads
        self._finish = finish
        self._arrived: dict[str, set[Append]] = {}
        self._appending: set[str] = set()
        self._settling: dict[str, asyncio.Future[UploadResult]] = {}
        self._group: asyncio.TaskGroup | None = None

    async def run(self) -> None:
        """Store what was complete when a server ended, and remove what expires, until cancelled.

        Whichever of several servers of a store looks first takes it up.

        What is being stored then is stored again by the next one.
        """
        try:
            async with asyncio.TaskGroup() as self._group:
                self._group.create_task(self._heed_others())
                while True:
                    self._group.create_task(self._take_up())
                    with suppress(MerseyError, OSError):
                        await asyncio.to_thread(self.uploads.collect)
                    await asyncio.sleep(_COLLECT_EVERY_S)
        finally:
            self._group = None

    async def create(self, plan: UploadPlan, *, length_bytes: int | None = None) -> UploadState:
        """Begin an upload; see `Uploads.create`."""
        return await asyncio.to_thread(self.uploads.create, plan, length_bytes=length_bytes)

    async def state(self, name: str) -> UploadState:
        """How far an upload is; an append that goes on ends, and keeps what it has.

        Raises
        ------
        UploadError
            It is unknown or gone.
        """
        await self._end_append(name)
        return await asyncio.to_thread(self.uploads.state, name)

    async def peek(self, name: str) -> UploadState:
        """How far an upload is, whoever appends to it meanwhile; see `state`."""
        return await asyncio.to_thread(self.uploads.state, name)

    @contextmanager
    def arrival(self, name: str) -> Iterator[Append]:
        """A request that may append has come: from now on, and until it has, it can be ended."""
        append = Append(name)
        arrived = self._arrived.setdefault(name, set())
        arrived.add(append)
        try:
            yield append
        finally:
            arrived.discard(append)
            if not arrived:
                self._arrived.pop(name, None)
            append.ended.set()

    async def append(
        self,
        arrival: Append,
        stream: AsyncIterator[Buffer],
        *,
        offset_bytes: int,
        length_bytes: int | None = None,
        content_bytes: int | None = None,
        completes: bool | None = None,
        checksum: tuple[str, bytes] | None = None,
    ) -> UploadState:
        """Append what `stream` brings; what the state then tells is durable.

        Parameters
        ----------
        arrival
            The request, from before anything was asked about the upload.
        offset_bytes
            Where the client thinks that its bytes belong.
        length_bytes
            How long the upload will be, where the client says so.
        content_bytes
            How many bytes `stream` is said to bring: only to refuse early.
        completes
            Whether the upload is complete then; by default where it has its length.
        checksum
            The algorithm and the digest of what `stream` brings. With it, all or nothing.

        Raises
        ------
        UploadError
            It does not fit, or another request took the upload over, or it is not what the
            checksum says.
        TransferError
            The client stalled.
        ResourceError
            The disk is full, or fails.

        Whatever `stream` raises comes through, after what it brought is kept.
        """
        name = arrival.name
        state = await self.peek(name)
        if name in self._appending:
            raise UploadError("somebody else appends to this upload", fault="busy")
        _require_offset(offset_bytes, state.offset_bytes)
        self._appending.add(name)
        try:
            upload = await _opened(self.uploads, name)
            try:
                _require_offset(offset_bytes, upload.offset_bytes)
                if length_bytes is not None:
                    await in_thread(upload.declare_length, length_bytes)
                self._refuse_early(upload, content_bytes or 0)
                await Receiver(upload, arrival, checksum).receive(stream)
                if completes is None:
                    completes = upload.offset_bytes == upload.length_bytes
                if completes:
                    await in_thread(upload.complete)
            finally:
                await in_thread(upload.close)
        finally:
            self._appending.discard(name)
        return await self.peek(name)

    async def settle(self, name: str) -> UploadResult:
        """What a complete upload comes to: it is stored now, unless it was before.

        Whoever is cancelled here leaves that going on.

        Raises
        ------
        UploadError
            It is unknown, gone, not complete, or in the hands of another process.
        ResourceError
            The store failed, or ends.
        """
        future = self._settling.get(name)
        if future is None:
            if self._group is None:
                raise ResourceError("the server stops")
            future = asyncio.get_running_loop().create_future()
            future.add_done_callback(lambda done: done.cancelled() or done.exception())
            self._settling[name] = future
            self._group.create_task(self._settle_into(future, name))
        return await asyncio.shield(future)

    async def remove(self, name: str) -> None:
        """Remove an upload; an append that goes on ends first.

        Raises
        ------
        UploadError
            It is unknown or gone already.
        """
        await self._end_append(name)
        if name in self._settling:
            await asyncio.wait([self._settling[name]])
        await asyncio.to_thread(self.uploads.state, name)
        await asyncio.to_thread(self.uploads.remove, name)

    async def give_up(self, name: str) -> None:
        """Have an upload gone that was not appended to as its protocol wants."""
        with suppress(MerseyError):
            upload = await _opened(self.uploads, name)
            try:
                await in_thread(upload.void)
            finally:
                await in_thread(upload.close)

    async def _end_append(self, name: str) -> None:
        for append in list(self._arrived.get(name, ())):
            append.stop()
            await append.ended.wait()
        # The connection that the client lost may have been to another process.
        for _ in range(_CLAIMS):
            if await asyncio.to_thread(self.uploads.claim, name):
                return
            await asyncio.sleep(_CLAIM_EVERY_S)

    async def _heed_others(self) -> None:
        """End appends to what other processes want."""
        while True:
            await asyncio.sleep(_HEED_EVERY_S)
            for name in list(self._appending):
                if await asyncio.to_thread(self.uploads.is_wanted, name):
                    for append in self._arrived.get(name, ()):
                        append.stop()

    def _refuse_early(self, upload: UploadFile, content_bytes: int) -> None:
        end = upload.offset_bytes + content_bytes
        if content_bytes and upload.is_complete:
            raise UploadError("the upload is complete", fault="complete")
        if upload.length_bytes is not None and end > upload.length_bytes:
            message = f"{end} bytes, {upload.length_bytes} were said to come"
            raise UploadError(message, fault="excess")
        if end > self.uploads.max_bytes:
            message = f"{end} bytes, at most {self.uploads.max_bytes}"
            raise UploadError(message, fault="size")

    async def _take_up(self) -> None:
        for name in await asyncio.to_thread(self.uploads.unsettled):
            with suppress(MerseyError):
                await self.settle(name)

    async def _settle_into(self, future: asyncio.Future[UploadResult], name: str) -> None:
        try:
            future.set_result(await self._settle(name))
        except asyncio.CancelledError:
            future.set_exception(ResourceError("the server stops"))
            raise
        except Exception as error:  # noqa: BLE001  whoever waits for it is told
            future.set_exception(error)
        finally:
            del self._settling[name]

    async def _settle(self, name: str) -> UploadResult:
        upload = await _opened(self.uploads, name)
        try:
            state = await asyncio.to_thread(self.uploads.state, name)
            if state.result is not None:
                return state.result
            if not state.is_complete:
                raise UploadError("the upload is not complete", fault="length")
            sources = self.uploads.sources(state)
            if state.plan.sha256:
                found = await asyncio.to_thread(_sha256, sources)
                if found != state.plan.sha256:
                    await in_thread(upload.void)
                    message = "the upload has another SHA-256 than was said"
                    raise UploadError(message, fault="digest")
            finished = await self._finish(state, sources)
            if finished.final:
                await in_thread(upload.settle, finished.result)
                for part in set(state.plan.parts):
                    await asyncio.to_thread(self.uploads.remove, part)
            return finished.result
        finally:
            await in_thread(upload.close)


def _require_offset(told: int, found: int) -> None:
    if told != found:
        message = f"bytes from {told}, expected from {found}"
        raise UploadError(message, fault="offset", offset_bytes=found)


def _sha256(sources: tuple[Path, ...]) -> str:
    digest = hashlib.sha256()
    for path in sources:
        with open(path, "rb", buffering=0) as file:
            while piece := file.read(_READ_BYTES):
                digest.update(piece)
    return digest.hexdigest()


async def _opened(uploads: Uploads, name: str) -> UploadFile:
    """Open an upload; nothing stays open where this is cancelled meanwhile."""
    opening = asyncio.ensure_future(asyncio.to_thread(uploads.open, name))
    try:
        return await to_its_end(opening)
    except asyncio.CancelledError:
        if not opening.cancelled() and opening.exception() is None:
            opening.result().close()
        raise
