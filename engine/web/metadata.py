"""Metadata (PS3.18 §10.4.1.1.5): the data sets of a study, series or instance as DICOM JSON.

Each instance's is made once, by a worker, and kept in the catalogue; after that a series is
a concatenation. Bulk data is referred to at this server's address, as the client knows it.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor

from starlette.requests import Request

from ...codecs.errors import MerseyError
from ..archive.attributes import json_attributes
from ..archive.catalogue import Catalogue
from ..archive.entry import Entry
from ..archive.metadata import BULK_PREFIX, make_metadata_of, unpack_metadata
from ..transfer.body import Body, FileStamp
from .holdings import is_current
from .requests import accepted, base_url
from .responses import BodyResponse
from .status import Reason, RefusedError

__all__ = ["DICOM_JSON", "MetadataSource", "answer_metadata", "require_json"]

DICOM_JSON = "application/dicom+json"
_JSON_TYPES = frozenset({DICOM_JSON, "application/json", "application/*", "*/*"})
_BATCH = 16
_log = logging.getLogger(__name__)


class MetadataSource:
    """Metadata from the catalogue, or made now and put there."""

    def __init__(self, catalogue: Catalogue, *, executor: Executor) -> None:
        self._catalogue = catalogue
        self._executor = executor

    async def objects(self, entries: Sequence[Entry]) -> list[bytes]:
        """The JSON object of each entry, with bulk data under `BULK_PREFIX`."""
        uids = [entry.instance.sop_instance_uid for entry in entries]
        kept = await asyncio.to_thread(self._catalogue.metadata, uids)
        missing = [entry for entry in entries if entry.instance.sop_instance_uid not in kept]
        batches = [missing[start : start + _BATCH] for start in range(0, len(missing), _BATCH)]
        made = await asyncio.gather(*(self._make(batch) for batch in batches))
        fresh: dict[str, tuple[FileStamp, bytes]] = {}
        fallback: dict[str, bytes] = {}
        for batch, results in zip(batches, made, strict=True):
            for entry, result in zip(batch, results, strict=True):
                uid = entry.instance.sop_instance_uid
                if isinstance(result, MerseyError):
                    _log.warning("instance %s: metadata from its headers alone: %s", uid, result)
                    fallback[uid] = _from_headers(entry)
                elif is_current(entry):
                    fresh[uid] = (entry.stamp, result)
                else:
                    raise RefusedError("the file changed while read", reason=Reason.CHANGED)
        if fresh:
            await asyncio.to_thread(self._catalogue.keep_metadata, fresh)
        packed = kept | {uid: data for uid, (_, data) in fresh.items()}
        return [fallback[uid] if uid in fallback else unpack_metadata(packed[uid]) for uid in uids]

    async def _make(self, batch: Sequence[Entry]) -> list[bytes | MerseyError]:
        sources = [(entry.path, entry.instance.layout) for entry in batch]
        try:
            return await asyncio.wrap_future(self._executor.submit(make_metadata_of, sources))
        except MerseyError as error:
            return [error] * len(batch)


async def answer_metadata(
    request: Request, entries: Sequence[Entry], *, source: MetadataSource
) -> BodyResponse:
    """Answer with the metadata of `entries`, in order.

    Raises
    ------
    RefusedError
        The client takes no JSON.
    """
    require_json(request)
    base = base_url(request)
    objects = await source.objects(entries)
    digest = hashlib.sha256(f"metadata 1 {base}\n".encode())

    def segments() -> Iterator[bytes]:
        opening = b"["
        for entry, data in zip(entries, objects, strict=True):
            digest.update(data)
            yield opening + _with_addresses(data, entry, base)
            opening = b","
        yield b"]"

    parts = list(segments())
    etag = f'"{digest.hexdigest()[:40]}"'
    headers = {"Vary": "Accept", "Cache-Control": "private"}
    return BodyResponse(Body.of(parts, etag=etag), content_type=DICOM_JSON, headers=headers)


def require_json(request: Request) -> None:
    """Refuse a request that takes no JSON: XML is not offered."""
    if not any(media.media_type in _JSON_TYPES for wanted in accepted(request) for media in wanted):
        raise RefusedError(f"only {DICOM_JSON} is offered", reason=Reason.NOT_ACCEPTABLE)


def _with_addresses(data: bytes, entry: Entry, base: str) -> bytes:
    study, series, instance = entry.uids
    place = f"{base}/studies/{study}/series/{series}/instances/{instance}/bulkdata/"
    # A quote inside a JSON string is escaped: no value can look like this key.
    key = '"BulkDataURI":"'
    return data.replace(f"{key}{BULK_PREFIX}".encode(), f"{key}{place}".encode())


def _from_headers(entry: Entry) -> bytes:
    attributes = json_attributes(entry.instance)
    pixel_tag = entry.instance.layout.pixel_tag
    if pixel_tag is not None:
        name = f"{pixel_tag:08X}"
        attributes[name] = {"vr": "OW", "BulkDataURI": BULK_PREFIX + name}
    return json.dumps(attributes, separators=(",", ":"), ensure_ascii=False).encode()
