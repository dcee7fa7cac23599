"""Answering ``POST /studies``: when a request is refused unread, and what happens to its body.

A body that is refused is read to its end where it is short, so that the connection can go on
and the client sees the answer. Where the client waits for 100 Continue it never starts; where
it is long, the connection ends with the answer (RFC 9110 §10.1.1, RFC 9112 §9.3).
"""

from __future__ import annotations

import asyncio
import os
import re
from contextlib import suppress

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from ...codecs.errors import MerseyError
from ..runtime.intake import Intake
from .requests import base_url
from .status import Reason, RefusedError, error_response
from .store_response import store_response
from .stow import receive_objects
from .upload_request import require_plain_coding

__all__ = ["answer_store", "refused"]

_MAX_BODY_BYTES = 1 << 42
_READ_AWAY_BYTES = 16 << 20
_READ_AWAY_S = 2.0
_LENGTH = re.compile(r"[0-9]{1,18}")


async def answer_store(request: Request, *, study_uid: str | None, intake: Intake) -> Response:
    """Store what the request brings, and say what became of it; errors are answers, too."""
    try:
        _refuse_unread(request, intake)
        report = await receive_objects(
            request.headers.get("content-type", ""),
            request.stream(),
            study_uid=study_uid,
            intake=intake,
        )
    except MerseyError as error:
        return await refused(request, error_response(error))
    except ClientDisconnect:
        return Response(status_code=400)  # nobody is there to read it
    return store_response(report, base=base_url(request))


def _refuse_unread(request: Request, intake: Intake) -> None:
    """Refuse what its header fields alone rule out."""
    require_plain_coding(request)
    field = request.headers.get("content-length", "0")
    length_bytes = int(field) if _LENGTH.fullmatch(field) else _MAX_BODY_BYTES + 1
    if length_bytes > _MAX_BODY_BYTES:
        message = f"a body of more than {_MAX_BODY_BYTES} bytes"
        raise RefusedError(message, reason=Reason.TOO_LARGE)
    with suppress(OSError):
        space = os.statvfs(intake.ingest.blobs.incoming)
        if length_bytes > space.f_bavail * space.f_frsize:
            raise RefusedError("the store has no space for it", reason=Reason.FULL)


async def refused(request: Request, response: Response, *, read_away: bool = True) -> Response:
    """`response`, once it is safe to send it; without `read_away` it ends the connection."""
    if not (read_away and await _is_read_away(request)):
        response.headers["connection"] = "close"
    return response


async def _is_read_away(request: Request) -> bool:
    """Whether nothing of the body is left; reads the rest where that is little and on its way."""
    if "100-continue" in request.headers.get("expect", "").lower():
        return False
    if request._stream_consumed:
        return True  # nothing more would come, and waiting for it would not end
    left = _READ_AWAY_BYTES
    with suppress(TimeoutError):
        async with asyncio.timeout(_READ_AWAY_S):
            while left > 0:
                message = await request.receive()
                if message["type"] != "http.request" or not message.get("more_body", False):
                    return True
                left -= len(message.get("body", b""))
    return False
