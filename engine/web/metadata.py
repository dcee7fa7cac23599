"""Metadata (PS3.18 §10.4.1.1.5): the data sets of a study, series or instance as DICOM JSON.

Each instance's is made once, at ingest or by a worker when first asked for, and kept in the
catalogue; after that an answer is one statement and a concatenation. Bulk data is referred to at
this server's address, as the client knows it.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from typing import NamedTuple

from starlette.requests import Request

from ...codecs.errors import IntegrityError, MerseyError
from ..archive.attributes import json_attributes
from ..archive.catalogue import Catalogue
from ..archive.entry import Entry
from ..archive.kept_metadata import find_kept_metadata
from ..archive.metadata import BULK_PREFIX, make_metadata_of, unpack_all, unpack_metadata
from ..transfer.body import Body, FileStamp
from .holdings import Holdings, is_current, require_uid
from .requests import accepted, base_url
from .responses import BodyResponse
from .status import Reason, RefusedError

__all__ = ["DICOM_JSON", "Described", "MetadataSource", "answer_metadata", "require_json"]

DICOM_JSON = "application/dicom+json"
_JSON_TYPES = frozenset({DICOM_JSON, "application/json", "application/*", "*/*"})
_BATCH = 16
_SEGMENT_BYTES = 1 << 20
# A quote inside a JSON string is escaped: no value can look like this key.
_KEY = b'"BulkDataURI":"'
_log = logging.getLogger(__name__)


class Described(NamedTuple):
    """Study, Series and SOP Instance UID, and the JSON object, bulk data under `BULK_PREFIX`."""

    uids: tuple[str, str, str]
    data: bytes


class MetadataSource:
    """Metadata from the catalogue, or made now and put there."""

    def __init__(
        self,
        catalogue: Catalogue,
        *,
        executor: Executor,
        locate: Callable[[Entry], Entry] = lambda entry: entry,
    ) -> None:
        """`locate` gives an entry a local file; it blocks, and is called in threads."""
        self._locate = locate
        self._catalogue = catalogue
        self._executor = executor

    def kept(
        self, study_uid: str, series_uid: str | None, instance_uid: str | None
    ) -> list[Described]:
        """Of all instances that the UIDs name, in order. Blocks.

        None at all where one lacks metadata, or where its file has changed.
        """
        rows = find_kept_metadata(self._catalogue.database, study_uid, series_uid, instance_uid)
        if any(row.packed is None for row in rows) or not all(row.is_current for row in rows):
            return []
        try:
            objects = unpack_all(row.packed or b"" for row in rows)
        except IntegrityError:
            _log.warning("study %s: damaged metadata in the catalogue is made anew", study_uid)
            return []
        return [Described(row.uids, data) for row, data in zip(rows, objects, strict=True)]

    async def objects(self, entries: Sequence[Entry]) -> list[Described]:
        """That of each entry, made where there is none.

        Raises
        ------
        RefusedError
            A file changed while it was read.
        """
        uids = [entry.instance.sop_instance_uid for entry in entries]
        packed = await asyncio.to_thread(self._catalogue.metadata, uids)
        found = {uid: data for uid, held in packed.items() if (data := _unpacked(held))}
        missing = [entry for entry in entries if entry.instance.sop_instance_uid not in found]
        batches = [missing[start : start + _BATCH] for start in range(0, len(missing), _BATCH)]
        made = await asyncio.gather(*(self._make(batch) for batch in batches))
        fresh: dict[str, tuple[FileStamp, bytes]] = {}
        for batch, results in zip(batches, made, strict=True):
            for entry, result in zip(batch, results, strict=True):
                uid = entry.instance.sop_instance_uid
                if isinstance(result, MerseyError):
                    _log.warning("instance %s: metadata from its headers alone: %s", uid, result)
                    found[uid] = _from_headers(entry)
                elif is_current(entry):
                    fresh[uid] = (entry.stamp, result)
                    found[uid] = unpack_metadata(result)
                else:
                    raise RefusedError("the file changed while read", reason=Reason.CHANGED)
        if fresh:
            await asyncio.to_thread(self._catalogue.keep_metadata, fresh)
        return [Described(entry.uids, found[entry.uids[2]]) for entry in entries]

    async def _make(self, batch: Sequence[Entry]) -> list[bytes | MerseyError]:
        def place() -> list[Entry | MerseyError]:
            return [entry if entry.path else self._placed(entry) for entry in batch]

        placed = await asyncio.to_thread(place)
        # One whose bytes are lost costs the others nothing.
        found = [entry for entry in placed if isinstance(entry, Entry)]
        sources = [(entry.path, entry.instance.layout) for entry in found]
        try:
            made = iter(await asyncio.wrap_future(self._executor.submit(make_metadata_of, sources)))
        except MerseyError as error:
            return [error] * len(batch)
        return [next(made) if isinstance(entry, Entry) else entry for entry in placed]

    def _placed(self, entry: Entry) -> Entry | MerseyError:
        try:
            return self._locate(entry)
        except MerseyError as error:
            return error


async def answer_metadata(
    request: Request, *, source: MetadataSource, holdings: Holdings
) -> BodyResponse:
    """Answer with the metadata of the instances that the path names, in order.

    Raises
    ------
    RefusedError
        The client takes no JSON, or there is no such instance.
    """
    require_json(request)
    base = base_url(request)
    path = request.path_params
    study, series, instance = path["study"], path.get("series"), path.get("instance")
    for uid in filter(None, (study, series, instance)):
        require_uid(uid)

    def from_kept() -> Body | None:
        described = source.kept(study, series, instance)
        return _body(described, base) if described else None

    body = await asyncio.to_thread(from_kept)
    if body is None:
        if series is not None and instance is not None:
            entries = [await holdings.entry(study, series, instance)]
        else:
            entries = await holdings.entries(study, series, lost="listed")
        body = await asyncio.to_thread(_body, await source.objects(entries), base)
    headers = {"Vary": "Accept", "Cache-Control": "private"}
    return BodyResponse(body, content_type=DICOM_JSON, headers=headers)


def require_json(request: Request) -> None:
    """Refuse a request that takes no JSON: XML is not offered (PS3.18 §8.7.3); RefusedError."""
    if not any(media.media_type in _JSON_TYPES for wanted in accepted(request) for media in wanted):
        raise RefusedError(f"only {DICOM_JSON} is offered", reason=Reason.NOT_ACCEPTABLE)


def _body(described: Sequence[Described], base: str) -> Body:
    """A JSON array; its entity tag depends on what it holds, and on nothing else."""
    digest = hashlib.sha256(f"metadata 1 {base}\n".encode())
    for one in described:
        digest.update(one.data)
    return Body.of(_segments(described, base), etag=f'"{digest.hexdigest()[:40]}"')


def _segments(described: Sequence[Described], base: str) -> Iterator[bytes]:
    """The array in pieces that are worth a send."""
    pieces: list[bytes] = []
    size = 0
    for number, one in enumerate(described):
        pieces += (b"," if number else b"[", _with_addresses(one, base))
        size += len(pieces[-1])
        if size > _SEGMENT_BYTES:
            yield b"".join(pieces)
            pieces, size = [], 0
    yield b"".join((*pieces, b"]" if described else b"[]"))


def _with_addresses(described: Described, base: str) -> bytes:
    study, series, instance = described.uids
    place = f"{base}/studies/{study}/series/{series}/instances/{instance}/bulkdata/"
    return described.data.replace(_KEY + BULK_PREFIX.encode(), _KEY + place.encode())


def _unpacked(packed: bytes) -> bytes:
    """The JSON object; nothing of what is damaged."""
    try:
        return unpack_metadata(packed)
    except IntegrityError:
        return b""


def _from_headers(entry: Entry) -> bytes:
    attributes = json_attributes(entry.instance)
    pixel_tag = entry.instance.layout.pixel_tag
    if pixel_tag is not None:
        name = f"{pixel_tag:08X}"
        attributes[name] = {"vr": "OW", "BulkDataURI": BULK_PREFIX + name}
    return json.dumps(attributes, separators=(",", ":"), ensure_ascii=False).encode()
