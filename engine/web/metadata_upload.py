"""A store request of metadata with bulk data: gathered, made into PS3.10 files, taken in.

Metadata is kept in memory, within bounds; bulk data goes to files. What becomes of an instance
is known when the whole body is there: a BulkDataURI may name any part of it.
"""

from __future__ import annotations

import asyncio
import json
import os
from contextlib import suppress
from dataclasses import dataclass

from ...codecs.errors import FormatError, MerseyError, ResourceError, UsageError
from ..archive.examination import Refusal
from ..archive.part10_assembly import BulkFile, assemble, syntax_of_media
from ..archive.receiving import Receiving
from ..runtime.intake import Intake, Result
from ..runtime.submission import submit
from ..transfer.accept import parse_accept
from .status import Reason, RefusedError

__all__ = ["MetadataUpload"]

_JSON = frozenset({"application/dicom+json", "application/json"})
_MAX_METADATA_BYTES = 32 << 20
_MAX_INSTANCES = 10_000
_PIECE_BYTES = 1 << 20
_TIME_LIMIT_S = 120.0
_MADE = ".made"


@dataclass(slots=True)
class _Bulk:
    location: str
    syntax_uid: str
    receiving: Receiving | None = None


class MetadataUpload:
    """The parts of one request; feed them, then `store`. End it with `abandon` either way."""

    def __init__(self, intake: Intake, *, study_uid: str | None) -> None:
        self._intake = intake
        self._study_uid = study_uid
        self._models: list[str] = []
        self._metadata_bytes = 0
        self._json: bytearray | None = None
        self._current: _Bulk | None = None
        self._bulk: dict[str, list[BulkFile]] = {}
        self._receivings: list[Receiving] = []
        self._failures: list[Refusal] = []
        self._waiting: list[bytes | memoryview] = []
        self._waiting_bytes = 0

    def begin(self, headers: dict[str, str]) -> None:
        """A part begins."""
        media = parse_accept(headers.get("content-type", "application/octet-stream")[:8192])[0]
        if media.media_type in _JSON:
            self._json = bytearray()
            return
        syntax = next(iter(media.values("transfer-syntax")), None)
        location = headers.get("content-location", "").strip()
        self._current = _Bulk(location, syntax_of_media(media.media_type, syntax))

    async def write(self, data: bytes | memoryview) -> None:
        """Take the next bytes of the part.

        Raises
        ------
        RefusedError
            It is more metadata than is taken, or the disk is full.
        """
        if self._json is not None:
            self._metadata_bytes += len(data)
            if self._metadata_bytes > _MAX_METADATA_BYTES:
                raise RefusedError(
                    f"more than {_MAX_METADATA_BYTES} bytes of metadata", reason=Reason.TOO_LARGE
                )
            self._json += data
            return
        self._waiting.append(data)
        self._waiting_bytes += len(data)
        if self._waiting_bytes >= _PIECE_BYTES:
            await self._spill()

    async def end(self, error: FormatError | None) -> None:
        """The part ends; with `error` it is not to be used.

        Raises
        ------
        UsageError
            It was to be metadata, and is no JSON.
        RefusedError
            It is of more instances than are taken, or the disk is full.
        """
        if self._json is not None:
            text, self._json = bytes(self._json), None
            if error is None:
                self._take_metadata(text)
            else:
                self._failures.append(Refusal("unreadable", error.message))
            return
        await self._spill()
        current, self._current = self._current, None
        assert current is not None
        if current.receiving is None:
            return
        if error is not None:
            self._failures.append(Refusal("unreadable", error.message))
            return
        received = current.receiving.finish()
        file = BulkFile(received.path, received.size_bytes, current.syntax_uid)
        self._bulk.setdefault(current.location, []).append(file)

    async def store(self) -> list[asyncio.Future[Result] | Refusal]:
        """Make files of what came, and hand them over; in each place what becomes of it.

        Raises
        ------
        UsageError
            No metadata of an instance came.
        """
        if not self._models and not self._failures:
            raise UsageError("the first part holds no metadata of an instance")
        return [*self._failures, *[await self._store(model) for model in self._models]]

    async def abandon(self) -> None:
        """Remove the files of the bulk data."""
        for receiving in self._receivings:
            receiving.abandon()

    def _take_metadata(self, text: bytes) -> None:
        try:
            models = json.loads(text)
        except (ValueError, RecursionError):
            raise UsageError("the metadata is no JSON") from None
        models = models if isinstance(models, list) else [models]
        if len(self._models) + len(models) > _MAX_INSTANCES:
            message = f"metadata of more than {_MAX_INSTANCES} instances"
            raise RefusedError(message, reason=Reason.TOO_LARGE)
        self._models += [json.dumps(model) for model in models]

    async def _spill(self) -> None:
        pieces, self._waiting = self._waiting, []
        self._waiting_bytes = 0
        assert self._current is not None
        current = self._current

        def write() -> None:
            if current.receiving is None:
                current.receiving = Receiving(self._intake.ingest.blobs.incoming)
                self._receivings.append(current.receiving)
            current.receiving.write(*pieces)

        try:
            await asyncio.to_thread(write)
        except ResourceError as error:
            raise RefusedError(error.message, reason=Reason.FULL) from error

    async def _store(self, model: str) -> asyncio.Future[Result] | Refusal:
        incoming = self._intake.ingest.blobs.incoming
        receiving = await asyncio.to_thread(Receiving, incoming)
        self._receivings.append(receiving)
        target = receiving.path + _MADE  # `collect` spares it for as long as the other is locked
        needed = {uri: files for uri, files in self._bulk.items() if json.dumps(uri) in model}
        call = submit(self._intake.executor, _TIME_LIMIT_S, assemble, model, needed, target)
        try:
            await asyncio.wrap_future(call)
        except MerseyError as error:
            resources = isinstance(error, ResourceError)
            return Refusal("resources" if resources else "unreadable", error.message)

        def fill(receiving: Receiving) -> None:
            try:
                with open(target, "rb", buffering=0) as file:
                    while piece := file.read(_PIECE_BYTES):
                        receiving.write(piece)
            except OSError as error:
                raise ResourceError(f"the file made of it is gone: {error.strerror}") from error
            finally:
                with suppress(FileNotFoundError):
                    os.unlink(target)

        size_bytes = os.stat(target).st_size
        future = await self._intake.take(
            fill,
            size_bytes=size_bytes,
            weight_bytes=_PIECE_BYTES,
            study_uid=self._study_uid,
            receiving=receiving,
        )
        self._receivings.remove(receiving)  # it is the intake's now
        return future
