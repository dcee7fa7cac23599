"""STOW-RS: what a request brings, taken in as it comes (PS3.18 §10.5).

Bodies are PS3.10 files as parts of multipart/related, one file alone, or metadata in JSON with
its bulk data. Nothing of a body is kept in memory but the piece that is being written. One part
that is no good spoils nothing but itself. Where the client goes away in the middle of a part,
that part leaves nothing behind; whole ones before it may be stored.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

from ...codecs.errors import FormatError, ResourceError, UsageError
from ..archive.examination import Refusal
from ..runtime.intake import Arrival, Intake, Result
from ..transfer.accept import MediaRange, parse_accept
from ..transfer.multipart_reader import End, MultipartReader, PartBegin, PartData, PartEnd
from .holdings import require_uid
from .metadata_upload import MetadataUpload
from .status import Reason, RefusedError

__all__ = ["STALL_S", "StoreReport", "receive_objects", "storable_type"]

STALL_S = 60.0
"""A client that sends nothing for so long is given up."""

_DICOM = "application/dicom"
_JSON = "application/dicom+json"
_MAX_PARTS = 200_000

type Buffer = bytes | bytearray | memoryview


@dataclass(frozen=True, slots=True)
class StoreReport:
    """What became of everything that a request brought, in its order."""

    results: tuple[Result, ...]
    study_uid: str | None = None


async def receive_objects(
    content_type: str,
    stream: AsyncIterator[Buffer],
    *,
    study_uid: str | None,
    intake: Intake,
) -> StoreReport:
    """Take in the body of a store request; everything reported stored is durable.

    Parameters
    ----------
    content_type
        The request's field. It is looked at before the first byte of `stream` is asked for.
    study_uid
        The study that the request names: what belongs to another fails.

    Raises
    ------
    RefusedError
        The media type is none that can be stored, the study is none, or the client stalled.
    UsageError
        The body is no multipart/related, or holds no part.
    """
    if study_uid is not None:
        require_uid(study_uid)
    media = storable_type(content_type)
    pieces = _watched(stream)
    if media.media_type == _DICOM:
        results = await _receive_one(pieces, study_uid, intake)
    else:
        results = await _receive_parts(media, pieces, study_uid, intake)
    return StoreReport(tuple(results), study_uid)


def storable_type(content_type: str) -> MediaRange:
    """The media type of the whole; RefusedError where it is none that can be stored (§10.5.1)."""
    found = parse_accept(content_type) if content_type.strip() else ()
    if len(found) == 1:
        media = found[0]
        kinds = {kind.lower() for kind in media.values("type")}
        if media.media_type == _DICOM:
            return media
        if media.media_type == "multipart/related" and kinds <= {_DICOM, _JSON}:
            return media
    raise RefusedError(
        f"expected {_DICOM}, or multipart/related of {_DICOM} or {_JSON}",
        reason=Reason.UNSUPPORTED_MEDIA,
    )


async def _watched(stream: AsyncIterator[Buffer]) -> AsyncIterator[Buffer]:
    try:
        while True:
            async with asyncio.timeout(STALL_S):
                piece = await anext(stream)
            yield piece
    except StopAsyncIteration:
        return
    except TimeoutError:
        message = f"nothing came for {STALL_S:g} s"
        raise RefusedError(message, reason=Reason.STALLED) from None


async def _receive_one(
    pieces: AsyncIterator[Buffer], study_uid: str | None, intake: Intake
) -> list[Result]:
    part = _ObjectPart(intake.begin(study_uid=study_uid))
    try:
        async for piece in pieces:
            await part.write(_unchanging(piece))
        if not part.arrival.size_bytes and part.refusal is None:
            raise UsageError("the body is empty")
        return [await part.end(None)]
    except BaseException:
        await part.arrival.abandon()
        raise


async def _receive_parts(
    media: MediaRange, pieces: AsyncIterator[Buffer], study_uid: str | None, intake: Intake
) -> list[Result]:
    reader = MultipartReader(next(iter(media.values("boundary")), ""))
    receiver = _Parts(intake, study_uid, kind=next(iter(media.values("type")), "").lower() or None)
    try:
        async for piece in pieces:
            for event in reader.feed(_unchanging(piece)):
                await receiver.take(event)
        for event in reader.finish():
            await receiver.take(event)
        return await receiver.results()
    finally:
        await receiver.abandon()


def _unchanging(piece: Buffer) -> bytes:
    return piece if isinstance(piece, bytes) else bytes(piece)


class _Parts:
    """Takes the events of a multipart body, and gathers what becomes of its parts."""

    def __init__(self, intake: Intake, study_uid: str | None, *, kind: str | None) -> None:
        self._intake = intake
        self._study_uid = study_uid
        self._kind = kind
        self._part: _ObjectPart | None = None
        self._upload: MetadataUpload | None = None
        self._pending: list[asyncio.Future[Result] | Refusal] = []
        self._broken: FormatError | None = None
        self._count = 0

    async def take(self, event: PartBegin | PartData | PartEnd | End) -> None:
        match event:
            case PartData(data):
                if self._upload is not None:
                    await self._upload.write(data)
                elif self._part is not None:
                    await self._part.write(data)
            case PartBegin(headers):
                self._begin(dict(headers))
            case PartEnd(error):
                await self._end(error)
            case End(error):
                self._broken = error

    async def results(self) -> list[Result]:
        """What became of all, once that is known."""
        if self._upload is not None:
            self._pending += await self._upload.store()
        results = [
            one if isinstance(one, Refusal) else await asyncio.shield(one) for one in self._pending
        ]
        if self._broken is not None and all(isinstance(one, Refusal) for one in results):
            raise UsageError(self._broken.message)
        if not results:
            raise UsageError("the multipart body holds no part")
        return results

    async def abandon(self) -> None:
        """Remove what is not handed over."""
        if self._part is not None:
            await self._part.arrival.abandon()
        if self._upload is not None:
            await self._upload.abandon()

    def _begin(self, headers: dict[str, str]) -> None:
        self._count += 1
        if self._count > _MAX_PARTS:
            raise RefusedError(f"more than {_MAX_PARTS} parts", reason=Reason.TOO_LARGE)
        if self._kind is None:
            self._kind = parse_accept(headers.get("content-type", _DICOM))[0].media_type
        if self._kind == _JSON:
            if self._upload is None:
                self._upload = MetadataUpload(self._intake, study_uid=self._study_uid)
            self._upload.begin(headers)
            return
        self._part = _ObjectPart(self._intake.begin(study_uid=self._study_uid))
        self._part.refusal = _refusal_of_header(headers)

    async def _end(self, error: FormatError | None) -> None:
        if self._upload is not None:
            await self._upload.end(error)
            return
        assert self._part is not None
        part, self._part = self._part, None
        try:
            self._pending.append(await part.hand_over(error))
        except BaseException:
            await part.arrival.abandon()
            raise


class _ObjectPart:
    """A PS3.10 file on its way in; with `refusal` set, what comes of it is passed over."""

    def __init__(self, arrival: Arrival) -> None:
        self.arrival = arrival
        self.refusal: Refusal | None = None

    async def write(self, data: bytes | memoryview) -> None:
        if self.refusal is not None:
            return
        try:
            await self.arrival.write(data)
        except ResourceError as error:
            self.refusal = Refusal("resources", error.message)

    async def hand_over(self, error: FormatError | None) -> asyncio.Future[Result] | Refusal:
        """All bytes came, or with `error` they are not to be used."""
        if error is not None and self.refusal is None:
            self.refusal = Refusal("unreadable", error.message)
        if self.refusal is None:
            try:
                return await self.arrival.finish()
            except ResourceError as failure:
                self.refusal = Refusal("resources", failure.message)
        await self.arrival.abandon()
        return self.refusal

    async def end(self, error: FormatError | None) -> Result:
        found = await self.hand_over(error)
        return found if isinstance(found, Refusal) else await asyncio.shield(found)


def _refusal_of_header(headers: dict[str, str]) -> Refusal | None:
    """Why a part cannot be taken, judging by its header alone."""
    media = parse_accept(headers.get("content-type", _DICOM)[:8192])
    name = media[0].media_type if media else ""
    if name not in (_DICOM, "application/octet-stream"):
        return Refusal("unreadable", f"a part of another media type than {_DICOM}")
    encoding = headers.get("content-transfer-encoding", "binary").lower()
    if encoding not in ("binary", "8bit", "7bit"):
        return Refusal("unreadable", "a part with a Content-Transfer-Encoding")
    return None
