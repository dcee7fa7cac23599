"""Resumable uploads of the IETF: a store request that can go on after it broke.

    POST   /dicom-web/studies[/{study}]   Upload-Complete: ?1 all of it comes, ?0 more will
    HEAD   /dicom-web/uploads/{name}      how many bytes are durable
    PATCH  /dicom-web/uploads/{name}      the next bytes; with ?1 the last, answered as the POST
    GET    /dicom-web/uploads/{name}      what it came to
    DELETE /dicom-web/uploads/{name}

A client that has another interop version than ours, or none, gets no 104. Then it cannot learn
where to go on, so its ``?1`` is an ordinary store request; with ``?0`` it gets the place in the
answer. Offsets that a response tells are durable. An append that is overtaken by a HEAD ends, as
the draft recommends; of two appends at once, the second is refused.

References
----------
draft-ietf-httpbis-resumable-upload, the editors' text of 1 July 2026 (after -11), interop version 8
"""

from __future__ import annotations

import time

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from ...codecs.errors import FormatError, MerseyError, TransferError, UsageError
from ..archive.upload_plan import UploadError, UploadPlan, UploadResult, UploadState
from ..runtime.upload_receiving import Append
from ..runtime.uploading import Uploading
from ..transfer.digest_fields import sha256_of
from ..transfer.resumable_upload import (
    INCONSISTENT_LENGTH,
    INTEROP_VERSION,
    MISMATCHING_OFFSET,
    PARTIAL_UPLOAD,
    boolean_field,
    format_boolean,
    format_limits,
    integer_field,
)
from .interim import can_send_interim, send_interim
from .requests import base_url
from .status import Reason, RefusedError, ietf_upload_status
from .store_request import refused
from .upload_request import (
    content_length,
    has_content,
    is_busy,
    require_plain_coding,
    require_storable,
)

__all__ = ["ResumableUploads"]

_NO_STORE = {"Cache-Control": "no-store"}


class ResumableUploads:
    """Answers for the uploads of `uploading`."""

    def __init__(self, uploading: Uploading) -> None:
        self._uploading = uploading

    def takes(self, request: Request) -> bool:
        """Whether a store request is to become an upload that can go on."""
        complete = boolean_field(request.headers.get("upload-complete"))
        return complete is False or (complete is True and _knows_104(request))

    async def begin(self, request: Request, *, study_uid: str | None) -> Response:
        """Answer a store request that has Upload-Complete; errors are answers, too."""
        name = ""
        try:
            plan = _plan(request, study_uid)
            completes = boolean_field(request.headers.get("upload-complete")) is True
            length = _length(request, 0, completes=completes)
            state = await self._uploading.create(plan, length_bytes=length)
            name, location = state.name, f"{plan.base}/uploads/{state.name}"
            with self._uploading.arrival(name) as arrival:
                if _knows_104(request):
                    interim = self._limits(state) | {
                        "Location": location,
                        "Upload-Draft-Interop-Version": str(INTEROP_VERSION),
                    }
                    send_interim(request.scope, 104, interim)
                if has_content(request) or completes:
                    state = await self._append(request, arrival, 0, completes=completes)
            if completes:
                return await self._completed(state)
        except MerseyError as error:
            if name and _is_final(error):
                await self._uploading.give_up(name)  # its client is told why, not where
            return await refused(request, self._problem(error), read_away=not is_busy(error))
        except ClientDisconnect:
            return Response(status_code=400)  # nobody is there to read it
        fields = self._fields(state) | {"Location": location}
        return Response(status_code=201, headers=fields)

    async def answer(self, request: Request, name: str) -> Response:
        """Answer a request for an upload; errors are answers, too."""
        try:
            match request.method:
                case "PATCH":
                    return await self._patch(request, name)
                case "DELETE":
                    await self._found(name)
                    await self._uploading.remove(name)
                    return Response(status_code=204)
                case _:
                    state = await self._found(name)
                    if request.method == "GET" and state.result is not None:
                        return _told(state.result, self._fields(state))
                    return Response(status_code=204, headers=self._fields(state) | _NO_STORE)
        except MerseyError as error:
            problem = self._problem(error, provided=_offset(request))
            return await refused(request, problem, read_away=not is_busy(error))
        except ClientDisconnect:
            return Response(status_code=400)

    def describe(self) -> Response:
        """Answer OPTIONS: that store requests can go on, and within which limits."""
        limits = {
            "max-size": self._uploading.uploads.max_bytes,
            "max-age": int(self._uploading.uploads.expiry_s),
        }
        fields = {"Upload-Limit": format_limits(limits), "Allow": "GET, HEAD, POST, OPTIONS"}
        return Response(status_code=204, headers=fields)

    async def _patch(self, request: Request, name: str) -> Response:
        media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media != PARTIAL_UPLOAD:
            message = f"expected Content-Type: {PARTIAL_UPLOAD}"
            raise RefusedError(message, reason=Reason.UNSUPPORTED_MEDIA)
        offset = _offset(request)
        completes = boolean_field(request.headers.get("upload-complete"))
        if offset is None or completes is None:
            raise UsageError("a PATCH needs Upload-Offset, a number, and Upload-Complete, ?0 or ?1")
        with self._uploading.arrival(name) as arrival:
            state = await self._peek(name)
            is_whole = state.is_complete and completes and offset == state.offset_bytes
            if not is_whole or has_content(request):
                length = _length(request, offset, completes=completes)
                try:
                    state = await self._append(
                        request, arrival, offset, completes=completes, length=length
                    )
                except UploadError as error:
                    if error.fault in ("excess", "size"):
                        # The draft: reject any further interaction.
                        await self._uploading.give_up(name)
                    raise
        if completes:
            return await self._completed(state)
        return Response(status_code=204, headers=self._fields(state))

    async def _append(
        self,
        request: Request,
        arrival: Append,
        offset: int,
        *,
        completes: bool,
        length: int | None = None,
    ) -> UploadState:
        digest = _sha256(request, "content-digest")
        return await self._uploading.append(
            arrival,
            request.stream(),
            offset_bytes=offset,
            length_bytes=length,
            content_bytes=content_length(request),
            completes=completes,
            checksum=None if digest is None else ("sha256", digest),
        )

    async def _completed(self, state: UploadState) -> Response:
        result = await self._uploading.settle(state.name)
        is_final = result.status < 500
        fields = {
            "Upload-Complete": format_boolean(is_final),
            "Upload-Offset": str(state.offset_bytes),
        }
        return _told(result, fields)

    async def _found(self, name: str) -> UploadState:
        """An upload of this protocol, to which nobody appends now."""
        await self._peek(name)
        return await self._uploading.state(name)

    async def _peek(self, name: str) -> UploadState:
        state = await self._uploading.peek(name)
        if state.plan.protocol != "ietf":
            raise UploadError("no such upload", fault="unknown")
        return state

    def _fields(self, state: UploadState) -> dict[str, str]:
        fields = {
            "Upload-Offset": str(state.offset_bytes),
            "Upload-Complete": format_boolean(state.result is not None),
        }
        if state.length_bytes is not None:
            fields["Upload-Length"] = str(state.length_bytes)
        return fields | self._limits(state)

    def _limits(self, state: UploadState) -> dict[str, str]:
        left_s = max(0, int(state.expires_s - time.time()))
        limits = {"max-size": self._uploading.uploads.max_bytes, "max-age": left_s}
        return {"Upload-Limit": format_limits(limits)}

    def _problem(self, error: MerseyError, *, provided: int | None = None) -> Response:
        """The answer that tells `error` (RFC 9457)."""
        status = ietf_upload_status(error)
        content: dict[str, str | int] = {"title": error.message, "status": status}
        fields = {"Upload-Complete": "?0"}
        fault = error.fault if isinstance(error, UploadError) else ""
        if isinstance(error, UploadError) and fault == "offset":
            content["type"] = MISMATCHING_OFFSET
            content["expected-offset"] = error.offset_bytes
            content["provided-offset"] = provided or 0
            fields["Upload-Offset"] = str(error.offset_bytes)
        if fault in ("length", "excess"):
            content["type"] = INCONSISTENT_LENGTH
        if status == 413:
            limits = {"max-size": self._uploading.uploads.max_bytes}
            fields["Upload-Limit"] = format_limits(limits)
        if status == 415:
            fields["Accept-Patch"] = PARTIAL_UPLOAD
        if status in (409, 503) and fault != "offset":
            fields["Retry-After"] = "1"
        return JSONResponse(
            content, status_code=status, headers=fields, media_type="application/problem+json"
        )


def _plan(request: Request, study_uid: str | None) -> UploadPlan:
    require_plain_coding(request)
    digest = _sha256(request, "repr-digest")
    plan = UploadPlan(
        "ietf",
        content_type=request.headers.get("content-type", "application/dicom"),
        study_uid=study_uid,
        base=base_url(request),
        sha256="" if digest is None else digest.hex(),
    )
    require_storable(plan)
    return plan


def _knows_104(request: Request) -> bool:
    version = integer_field(request.headers.get("upload-draft-interop-version"))
    return version == INTEROP_VERSION and can_send_interim(request.scope)


def _offset(request: Request) -> int | None:
    return integer_field(request.headers.get("upload-offset"))


def _length(request: Request, offset: int, *, completes: bool) -> int | None:
    """How long the upload will be, by what this request says in either way."""
    said = integer_field(request.headers.get("upload-length"))
    content = content_length(request)
    if not completes or content is None:
        return said
    if said is not None and said != offset + content:
        message = f"Upload-Length {said}, but {offset} bytes and {content} more are the whole"
        raise UploadError(message, fault="length")
    return offset + content


def _is_final(error: MerseyError) -> bool:
    """Whether the same upload cannot go on after `error`."""
    return (
        not is_busy(error)
        and not isinstance(error, TransferError)
        and ietf_upload_status(error) < 500
    )


def _sha256(request: Request, field: str) -> bytes | None:
    try:
        return sha256_of(request.headers.get(field))
    except FormatError as error:
        raise UsageError(error.message) from error


def _told(result: UploadResult, fields: dict[str, str]) -> Response:
    return Response(
        result.body, status_code=result.status, headers=fields, media_type=result.content_type
    )
