"""Instances from any DICOMweb server: a search for what there is, then each by itself.

What is there under its name is whole and does not come again. An instance that breaks off goes
on by Range where the server gives strong entity tags and takes ranges, else it begins anew.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp

from ...codecs.errors import FormatError, MerseyError, TransferError
from ..archive.indexed_file import index_file
from ..transfer.multipart_reader import End, MultipartReader, PartBegin, PartData, PartEnd
from .address import Address
from .connections import Connections, is_final, tried_again
from .publishing import publish, target_of
from .pull_values import PullFailure, PullSettings, PullSummary
from .rates import RateLimit
from .remote import RefusedByPeerError, Remote

__all__ = ["PlainPull"]

_PAGE = 1000
_MOST_INSTANCES = 1_000_000
_SINGLE = "application/dicom; transfer-syntax=*"
_MULTIPART = 'multipart/related; type="application/dicom"; transfer-syntax=*'
_SOP, _SERIES = "00080018", "0020000E"


class PlainPull:
    """One pull of what `address` names into `folder`. For one event loop."""

    def __init__(
        self,
        remote: Remote,
        address: Address,
        folder: Path,
        *,
        hidden: Path,
        settings: PullSettings,
        connections: Connections,
        limit: RateLimit,
        summary: PullSummary,
        on_total: Callable[[int, int], None],
        on_bytes: Callable[[int, float], None],
        on_items: Callable[[int, int], None],
    ) -> None:
        self._remote, self._address, self._folder = remote, address, folder
        self._hidden, self._settings = hidden, settings
        self._connections, self._limit, self._summary = connections, limit, summary
        self._on_total, self._on_bytes, self._on_items = on_total, on_bytes, on_items
        self._accept = _SINGLE

    async def run(self) -> None:
        """Pull them all; those that cannot be had are in the summary."""
        found = await self._instances()
        self._on_total(len(found), 0)
        await self._connections.carry(self._missing(found), self._take)

    async def _instances(self) -> list[tuple[str, str]]:
        """Series and SOP Instance UID of all that is there (PS3.18 §10.6)."""
        address = self._address
        if address.instance:
            return [(address.series, address.instance)]
        of = f"/series/{address.series}" if address.series else ""
        url = f"{address.base}/studies/{address.study}{of}/instances"
        fields = {"Accept": "application/dicom+json"}
        found: dict[str, str] = {}
        while len(found) < _MOST_INSTANCES:
            page = f"{url}?limit={_PAGE}&offset={len(found)}"
            rows = await tried_again(
                lambda page=page: self._remote.json(page, headers=fields),  # type: ignore[misc]
                backoff=self._settings.backoff,
            )
            before = len(found)
            for row in rows if isinstance(rows, list) else []:
                series = _uid(row, _SERIES) or address.series
                found.setdefault(_uid(row, _SOP), series)
            if len(found) == before or len(found) - before < len(rows or []):
                break
            if len(rows or []) < _PAGE and len(found) > _PAGE:
                break
        if not found:
            raise FormatError(f"{address}: the server has no such instances")
        return [(series, uid) for uid, series in found.items()]

    async def _missing(self, found: list[tuple[str, str]]) -> AsyncGenerator[tuple[str, str]]:
        for series, uid in found:
            target = target_of(self._folder, self._address.study, series, uid)
            if target.exists():
                self._summary.there += 1
                self._on_items(1, 0)
            else:
                yield series, uid

    async def _take(self, wanted: tuple[str, str]) -> None:
        series, uid = wanted
        part = self._hidden / f"{uid}.part"
        try:
            await self._bring(series, uid, part)
            target = target_of(self._folder, self._address.study, series, uid)
            await asyncio.to_thread(_require, part, (self._address.study, series, uid))
            await asyncio.to_thread(publish, [(part, target)])
        except RefusedByPeerError as error:
            if not is_final(error) or error.status in (401, 403, 407):
                raise
            self._fail(uid, error)
        except FormatError as error:
            part.unlink(missing_ok=True)
            self._fail(uid, error)
        else:
            part.with_suffix(".json").unlink(missing_ok=True)
            self._summary.pulled += 1
            self._on_items(1, 0)

    def _fail(self, uid: str, error: MerseyError) -> None:
        self._summary.failures.append(PullFailure(uid, str(error), type(error).__name__))

    async def _bring(self, series: str, uid: str, part: Path) -> None:
        url = f"{self._address.base}/studies/{self._address.study}/series/{series}/instances/{uid}"
        note = part.with_suffix(".json")
        have, etag = await asyncio.to_thread(_begun, part, note)
        accept = self._accept
        fields = {"Accept": accept}
        if have:
            fields |= {"Range": f"bytes={have}-", "If-Range": etag}
        try:
            async with self._remote.request(
                "GET", url, headers=fields, may_answer=frozenset({200, 206})
            ) as response:
                await self._read(response, part, note, have)
        except RefusedByPeerError as error:
            if error.status in (400, 406, 415) and accept == _SINGLE:
                self._accept = _MULTIPART  # others may have asked as we did, and ask again, too
                return await self._bring(series, uid, part)
            if error.status == 416:
                part.unlink(missing_ok=True)
            raise
        except TransferError as error:
            with suppress(OSError):
                error.resume_from = part.stat().st_size
            raise

    async def _read(
        self, response: aiohttp.ClientResponse, part: Path, note: Path, have: int
    ) -> None:
        content_type = response.headers.get("Content-Type", "")
        etag = response.headers.get("ETag", "")
        is_part = response.status == 206
        if is_part and not response.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
            raise TransferError("the server sent another range than was asked for")
        is_multipart = content_type.lower().startswith("multipart/related")
        resumable = etag.startswith('"') and not is_multipart
        kept = json.dumps({"etag": etag}) if resumable else "{}"
        await asyncio.to_thread(note.write_text, kept)
        reader = _only_part(content_type) if is_multipart else None
        with part.open("ab" if is_part else "wb") as file:
            async for data in response.content.iter_any():
                await self._limit.take(len(data))
                self._connections.moved(len(data))
                self._summary.wire_bytes += len(data)
                self._on_bytes(len(data), len(data))
                pieces = [data] if reader is None else reader(data)
                await asyncio.to_thread(file.writelines, pieces)
        expected = _repr_digest(response.headers.get("Repr-Digest", ""))
        if expected and not is_multipart:
            found = await asyncio.to_thread(_digest, part)
            if found != expected:
                part.unlink(missing_ok=True)
                raise TransferError("an instance did not arrive with the digest that was told")


def _only_part(content_type: str) -> Callable[[bytes], list[bytes]]:
    """Gives the bytes of the first part of a multipart answer."""
    found = re.search(r'boundary="?([^";]+)"?', content_type)
    if found is None:
        raise FormatError("a multipart answer without a boundary")
    reader = MultipartReader(found[1])
    parts = 0

    def feed(data: bytes) -> list[bytes]:
        nonlocal parts
        pieces: list[bytes] = []
        for event in reader.feed(data):
            match event:
                case PartBegin():
                    parts += 1
                case PartData(piece) if parts == 1:
                    pieces.append(bytes(piece))
                case PartEnd(error) | End(error) if error is not None:
                    raise error
        return pieces

    return feed


def _uid(row: Any, tag: str) -> str:
    match row:
        case dict() if isinstance(row.get(tag), dict):
            value = row[tag].get("Value")
            if isinstance(value, list) and value and isinstance(value[0], str):
                return value[0]
    return ""


def _begun(part: Path, note: Path) -> tuple[int, str]:
    """How many bytes of an instance are there, and of which version."""
    try:
        etag = json.loads(note.read_text()).get("etag", "")
        return (part.stat().st_size, etag) if isinstance(etag, str) and etag else (0, "")
    except (OSError, ValueError, AttributeError):
        return 0, ""


def _require(part: Path, uids: tuple[str, str, str]) -> None:
    """FormatError where the file is not the whole instance that was asked for."""
    found = index_file(str(part.parent), part.name)
    instance = None if found is None else found.instance
    if instance is None:
        raise FormatError("what the server sent is no whole DICOM file")
    have = (instance.study_instance_uid, instance.series_instance_uid, instance.sop_instance_uid)
    if have != uids:
        raise FormatError("the server sent another instance than was asked for")


def _repr_digest(field: str) -> str:
    """SHA-256 in base64 from Repr-Digest (RFC 9530), "" where there is none."""
    found = re.search(r"sha-256=:([A-Za-z0-9+/=]{44}):", field)
    return "" if found is None else found[1]


def _digest(path: Path) -> str:
    import base64

    with path.open("rb") as file:
        return base64.b64encode(hashlib.file_digest(file, "sha256").digest()).decode()
