"""tus 1.0: uploads that tus clients resume.

    OPTIONS /uploads          what this server can do
    POST    /uploads          begin one (creation, creation-with-upload, concatenation)
    HEAD    /uploads/{name}   how many bytes are durable
    PATCH   /uploads/{name}   the next bytes (checksum); the last of them have it stored
    GET     /uploads/{name}   what it came to: the answer of a store request
    DELETE  /uploads/{name}   (termination)

Upload-Metadata may name the media type of the whole (``filetype`` or ``contentType``), one Part 10
file by default, and the study it must belong to (``StudyInstanceUID``). The last PATCH is answered
when all is stored: 204, or 200 with the store response where Accept has application/dicom+json.
What is refused then is an error that tus clients do not try again.

References
----------
https://tus.io/protocols/resumable-upload, version 1.0.0
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from email.utils import formatdate

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from ...codecs.errors import MerseyError, UsageError
from ..archive.upload_plan import UploadError, UploadPlan, UploadResult, UploadState
from ..runtime.upload_receiving import Append
from ..runtime.uploading import Uploading
from ..transfer.tus import (
    EXTENSIONS,
    OFFSET_MEDIA_TYPE,
    VERSION,
    Concat,
    format_algorithms,
    parse_checksum,
    parse_concat,
    parse_metadata,
    parse_number,
)
from .requests import base_url
from .status import Reason, RefusedError, tus_result_status, tus_status
from .store_request import refused
from .upload_request import (
    UPLOAD_STUDY_KEY,
    address,
    content_length,
    has_content,
    is_busy,
    require_plain_coding,
    require_storable,
)

__all__ = ["TUS_ROOT", "TusUploads"]

TUS_ROOT = "/uploads"

_DICOM = "application/dicom"
_TYPE_KEYS = ("contentType", "filetype", "type")
_UNKNOWN_TYPES = ("", "application/octet-stream")


class TusUploads:
    """Answers for the uploads of `uploading`."""

    def __init__(self, uploading: Uploading) -> None:
        self._uploading = uploading

    def describe(self, name: str) -> Response:
        """Answer OPTIONS."""
        fields = {
            "Allow": _allowed(name),
            "Tus-Resumable": VERSION,
            "Tus-Version": VERSION,
            "Tus-Extension": ",".join(EXTENSIONS),
            "Tus-Max-Size": str(self._uploading.uploads.max_bytes),
            "Tus-Checksum-Algorithm": format_algorithms(),
        }
        return Response(status_code=204, headers=fields)

    async def answer(self, request: Request, name: str) -> Response:
        """Answer a request for an upload, or with no name one that begins one; errors, too."""
        method = request.method
        override = request.headers.get("x-http-method-override", "").strip().upper()
        if method == "POST" and override:
            method = override
        try:
            if method != "GET" and request.headers.get("tus-resumable", "").strip() != VERSION:
                raise RefusedError(f"Tus-Resumable: {VERSION}", reason=Reason.PRECONDITION_FAILED)
            response = await self._answer(request, method, name)
        except MerseyError as error:
            response = await refused(request, _problem(error), read_away=not is_busy(error))
        except ClientDisconnect:
            return Response(status_code=400)  # nobody is there to read it
        response.headers["Tus-Resumable"] = VERSION
        if response.status_code == 405:
            response.headers["Allow"] = _allowed(name)
        if response.status_code == 412:
            response.headers["Tus-Version"] = VERSION
        return response

    async def _answer(self, request: Request, method: str, name: str) -> Response:
        match method, bool(name):
            case "POST", False:
                return await self._create(request)
            case "HEAD", True:
                return await self._head(request, name)
            case "PATCH", True:
                return await self._patch(request, name)
            case "DELETE", True:
                await self._peek(name)
                await self._uploading.remove(name)
                return Response(status_code=204)
            case "GET", True:
                state = await self._peek(name)
                if state.result is None:
                    return Response(status_code=204, headers=self._fields(state))
                return _told(state.result, state.result.status, self._fields(state))
        raise RefusedError("no such method here", reason=Reason.METHOD_NOT_ALLOWED)

    async def _create(self, request: Request) -> Response:
        plan, length = _plan(request), _declared_length(request, may_defer=True)
        if plan.concat == "final":
            if length is not None or "upload-defer-length" in request.headers:
                raise UsageError("Upload-Length of an upload that is made of others")
        elif (length is None) == ("upload-defer-length" not in request.headers):
            raise UsageError("expected Upload-Length, or Upload-Defer-Length: 1")
        state = await self._uploading.create(plan, length_bytes=length)
        location = f"{address(request)}{TUS_ROOT}/{state.name}"
        with_upload = plan.concat != "final" and _is_offset_stream(request)
        try:
            with self._uploading.arrival(state.name) as arrival:
                if with_upload and (has_content(request) or length == 0):
                    state = await self._append(request, arrival, 0, length=None)
                elif length == 0:
                    state = await self._uploading.append(arrival, _nothing(), offset_bytes=0)
        except UploadError as error:
            if not is_busy(error):
                await self._uploading.remove(state.name)  # its client does not learn of it
            raise
        fields = self._fields(state) | {"Location": location}
        if state.is_complete and plan.concat != "partial":
            return await self._completed(request, state, fields, status=201)
        return await refused(request, Response(status_code=201, headers=fields))

    async def _head(self, request: Request, name: str) -> Response:
        await self._peek(name)
        state = await self._uploading.state(name)
        fields = self._fields(state) | {"Cache-Control": "no-store"}
        if state.length_bytes is None:
            fields["Upload-Defer-Length"] = "1"
        if state.plan.metadata:
            fields["Upload-Metadata"] = state.plan.metadata
        if state.plan.concat:
            parts = (f"{address(request)}{TUS_ROOT}/{part}" for part in state.plan.parts)
            urls = " ".join(parts)
            fields["Upload-Concat"] = f"final;{urls}" if urls else "partial"
        if state.is_complete and state.plan.concat != "partial":
            # Its client takes an upload that has all its bytes for stored.
            result = await self._uploading.settle(name)
            if result.status >= 400:
                return Response(status_code=tus_result_status(result.status))
        return Response(status_code=200, headers=fields)

    async def _patch(self, request: Request, name: str) -> Response:
        if not _is_offset_stream(request):
            message = f"expected Content-Type: {OFFSET_MEDIA_TYPE}"
            raise RefusedError(message, reason=Reason.UNSUPPORTED_MEDIA)
        offset = parse_number(request.headers.get("upload-offset", ""), name="Upload-Offset")
        length = _declared_length(request, may_defer=False)
        with self._uploading.arrival(name) as arrival:
            state = await self._peek(name)
            if state.plan.concat == "final":
                message = "an upload that is made of others takes no bytes"
                raise RefusedError(message, reason=Reason.FORBIDDEN)
            is_whole = state.is_complete and offset == state.offset_bytes
            if not is_whole or has_content(request):
                state = await self._append(request, arrival, offset, length=length)
        if state.is_complete and state.plan.concat != "partial":
            return await self._completed(request, state, self._fields(state), status=204)
        return Response(status_code=204, headers=self._fields(state))

    async def _append(
        self, request: Request, arrival: Append, offset: int, *, length: int | None
    ) -> UploadState:
        require_plain_coding(request)
        field = request.headers.get("upload-checksum")
        checksum = None if field is None else parse_checksum(field)
        return await self._uploading.append(
            arrival,
            request.stream(),
            offset_bytes=offset,
            length_bytes=length,
            content_bytes=content_length(request),
            checksum=None if checksum is None else (checksum.algorithm, checksum.digest),
        )

    async def _completed(
        self, request: Request, state: UploadState, fields: dict[str, str], *, status: int
    ) -> Response:
        """The answer to the request that brought the last bytes, once they are stored."""
        result = await self._uploading.settle(state.name)
        if result.status >= 400:
            return _told(result, tus_result_status(result.status), fields)
        if status == 204:
            if "application/dicom+json" not in request.headers.get("accept", "").lower():
                return Response(status_code=204, headers=fields)
            status = 200
        return _told(result, status, fields)

    async def _peek(self, name: str) -> UploadState:
        state = await self._uploading.peek(name)
        if state.plan.protocol != "tus":
            raise UploadError("no such upload", fault="unknown")
        return state

    def _fields(self, state: UploadState) -> dict[str, str]:
        fields = {
            "Upload-Offset": str(state.offset_bytes),
            "Upload-Expires": formatdate(state.expires_s, usegmt=True),
        }
        if state.length_bytes is not None:
            fields["Upload-Length"] = str(state.length_bytes)
        return fields


def _allowed(name: str) -> str:
    """The methods of an upload, or with no name of where they begin."""
    return "GET, HEAD, POST, PATCH, DELETE, OPTIONS" if name else "POST, OPTIONS"


def _plan(request: Request) -> UploadPlan:
    metadata = request.headers.get("upload-metadata", "")
    told = parse_metadata(metadata)
    kinds = [told[key].strip() for key in _TYPE_KEYS if key in told]
    kind = next((kind for kind in kinds if kind.lower() not in _UNKNOWN_TYPES), _DICOM)
    field = request.headers.get("upload-concat")
    concat = None if field is None else parse_concat(field)
    plan = UploadPlan(
        "tus",
        content_type=kind,
        study_uid=told.get(UPLOAD_STUDY_KEY) or None,
        base=base_url(request),
        metadata=metadata,
        concat=concat.kind if concat is not None else "",
        parts=_part_names(concat),
    )
    if plan.concat != "partial":
        require_storable(plan)
    return plan


def _part_names(concat: Concat | None) -> tuple[str, ...]:
    """The names of uploads in URLs or paths; others than ours are unknown soon enough."""
    return tuple(url.rpartition("/")[2] for url in (concat.parts if concat is not None else ()))


def _declared_length(request: Request, *, may_defer: bool) -> int | None:
    deferred = request.headers.get("upload-defer-length")
    if deferred is not None and (deferred.strip() != "1" or not may_defer):
        raise UsageError("Upload-Defer-Length that is not 1, or not where an upload begins")
    field = request.headers.get("upload-length")
    return None if field is None else parse_number(field, name="Upload-Length")


def _is_offset_stream(request: Request) -> bool:
    media = request.headers.get("content-type", "").partition(";")[0]
    return media.strip().lower() == OFFSET_MEDIA_TYPE


async def _nothing() -> AsyncIterator[bytes]:
    pieces: tuple[bytes, ...] = ()
    for piece in pieces:
        yield piece


def _told(result: UploadResult, status: int, fields: dict[str, str]) -> Response:
    return Response(result.body, status_code=status, headers=fields, media_type=result.content_type)


def _problem(error: MerseyError) -> Response:
    status = tus_status(error)
    content = {"error": type(error).__name__, "message": error.message}
    headers = {"Retry-After": "1"} if status in (423, 503) else {}
    if isinstance(error, UploadError) and error.fault == "offset":
        headers["Upload-Offset"] = str(error.offset_bytes)
    return JSONResponse(content, status_code=status, headers=headers)
