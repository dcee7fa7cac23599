"""What another engine pulls: parcels of a study, a series or an instance (`/mersey`).

Each parcel is one Body with a strong entity tag: Range, If-Range and If-Match say on which bytes
a client may go on. Where the study has changed meanwhile the tag is another.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from importlib.metadata import version

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ...codecs.errors import UsageError
from ..archive.blobs import BlobStore
from ..transfer.manifest import WireForm
from .file_reading import pieces
from .parcels import Parcel, ParcelSource, Scope
from .requests import query_pairs
from .responses import BodyResponse

__all__ = [
    "MERSEY_ROOT",
    "answer_digests",
    "answer_manifest",
    "answer_parcel",
    "answer_parcels",
    "describe_engine",
]

MERSEY_ROOT = "/mersey"
_PROTOCOL = 1
_PARCEL = "application/vnd.mersey.parcel"
_FORMS: dict[str, WireForm] = {"as-stored": "stored", "zstd": "zstd", "htj2k": "htj2k"}
_STRETCH_BYTES = 8 << 20
_PRIVATE = {"Cache-Control": "private, no-cache"}


def describe_engine() -> Response:
    """What a client finds out first: that this is Mersey, and in which forms it sends."""
    return JSONResponse({"mersey": version("mersey"), "protocol": _PROTOCOL, "forms": list(_FORMS)})


async def answer_parcels(request: Request, *, source: ParcelSource) -> Response:
    """How many parcels there are, and how long their originals; errors of `ParcelSource`."""
    found = await source.listing(_scope(request))
    parcels = [
        {"number": number, "items": items, "bytes": size_bytes}
        for number, (items, size_bytes) in enumerate(found)
    ]
    whole = sum(size_bytes for _, size_bytes in found)
    return JSONResponse({"parcels": parcels, "bytes": whole}, headers=_PRIVATE)


async def answer_manifest(request: Request, *, source: ParcelSource) -> Response:
    """The manifest of one parcel, which is made for it where need be.

    Raises
    ------
    UsageError
        Its number or its form is none.
    MerseyError
        There is no such parcel, or a file of it cannot be read.
    """
    parcel = await _asked(request, source)
    return Response(
        parcel.manifest.to_json(), media_type="application/json", headers=dict(_PRIVATE)
    )


async def answer_parcel(request: Request, *, source: ParcelSource) -> BodyResponse:
    """The bytes of one parcel; errors as of :func:`answer_manifest`."""
    parcel = await _asked(request, source)
    return BodyResponse(parcel.body, content_type=_PARCEL, headers=_PRIVATE, is_verified=True)


async def answer_digests(
    request: Request, *, source: ParcelSource, blobs: BlobStore | None
) -> Response:
    """The SHA-256 of every 8 MiB of one item of a parcel, to find which of them is damaged.

    Errors as of :func:`answer_manifest`; UsageError also where ``item`` names none.
    """
    parcel = await _asked(request, source)
    wanted = dict(query_pairs(request)).get("item", "")
    items = parcel.manifest.items
    if not re.fullmatch(r"[0-9]{1,6}", wanted) or int(wanted) >= len(items):
        raise UsageError("no number of an item of the parcel")
    item = items[int(wanted)]
    found = []
    for start in range(item.offset_bytes, item.end_bytes, _STRETCH_BYTES):
        stretch = parcel.body.slice(start, min(start + _STRETCH_BYTES, item.end_bytes))
        digest = hashlib.sha256()
        async for piece in pieces(stretch, blobs=blobs):
            await asyncio.to_thread(digest.update, piece)
        found.append(digest.hexdigest())
    content = {"etag": parcel.manifest.etag, "bytes": _STRETCH_BYTES, "sha256": found}
    return JSONResponse(content, headers=_PRIVATE)


async def _asked(request: Request, source: ParcelSource) -> Parcel:
    wire = dict(query_pairs(request)).get("wire", "as-stored")
    if wire not in _FORMS:
        raise UsageError(f"a parcel travels as one of {', '.join(_FORMS)}")
    number = request.path_params["number"]
    if not re.fullmatch(r"[0-9]{1,9}", number):
        raise UsageError("no number of a parcel")
    return await source.parcel(_scope(request), int(number), _FORMS[wire])


def _scope(request: Request) -> Scope:
    path = request.path_params
    return Scope(path["study"], path.get("series"), path.get("instance"))
