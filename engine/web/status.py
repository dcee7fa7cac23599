"""Errors as answers: the one table that knows HTTP's status codes.

Messages go out as JSON; they hold no patient values, because no error does. Answers to
requests for frames have no body: viewers append whatever comes.
"""

from __future__ import annotations

from enum import Enum

from starlette.responses import JSONResponse, Response

from ...codecs.errors import (
    FormatError,
    IntegrityError,
    MerseyError,
    ResourceError,
    TransferError,
    UnsupportedError,
    UsageError,
)
from ..archive.receiving import no_space
from ..archive.upload_plan import Fault, UploadError

__all__ = [
    "Reason",
    "RefusedError",
    "commitment_status",
    "error_response",
    "ietf_upload_status",
    "status_of",
    "store_status",
    "tus_result_status",
    "tus_status",
]


class Reason(Enum):
    """Why a request is refused that is no mistake in form."""

    NOT_FOUND = "not found"
    GONE = "gone"
    NOT_ACCEPTABLE = "not acceptable"
    CHANGED = "changed"
    PRECONDITION_FAILED = "precondition failed"
    STALLED = "stalled"
    TOO_LARGE = "too large"
    UNSUPPORTED_MEDIA = "unsupported media type"
    FULL = "full"
    FORBIDDEN = "forbidden"
    METHOD_NOT_ALLOWED = "method not allowed"
    OUTSIDE = "outside"
    INCOMPLETE = "incomplete"


class RefusedError(UsageError):
    """A request that cannot be answered as asked."""

    def __init__(self, message: str, *, reason: Reason) -> None:
        super().__init__(message)
        self.reason = reason


_REFUSALS = {
    Reason.NOT_FOUND: 404,
    Reason.GONE: 410,
    Reason.NOT_ACCEPTABLE: 406,
    Reason.CHANGED: 503,
    Reason.PRECONDITION_FAILED: 412,
    Reason.STALLED: 408,
    Reason.TOO_LARGE: 413,
    Reason.UNSUPPORTED_MEDIA: 415,
    Reason.FULL: 507,
    Reason.FORBIDDEN: 403,
    Reason.METHOD_NOT_ALLOWED: 405,
    Reason.OUTSIDE: 416,
    Reason.INCOMPLETE: 409,
}

_STATUS: tuple[tuple[type[MerseyError], int], ...] = (
    (UnsupportedError, 406),
    (UsageError, 400),
    (FormatError, 500),
    (IntegrityError, 500),
    (ResourceError, 503),
    (TransferError, 502),
    (MerseyError, 500),
)


def status_of(error: MerseyError) -> int:
    """The status code that answers `error`."""
    if isinstance(error, RefusedError):
        return _REFUSALS[error.reason]
    return next(status for kind, status in _STATUS if isinstance(error, kind))


_UPLOAD_FAULTS: dict[Fault, int] = {
    "unknown": 404,
    "gone": 410,
    "busy": 423,
    "complete": 409,
    "offset": 409,
    "length": 400,
    "excess": 413,
    "size": 413,
    "digest": 460,
}


def tus_status(error: MerseyError) -> int:
    """The status code that answers `error` in tus (460 is its own)."""
    if isinstance(error, UploadError):
        return _UPLOAD_FAULTS[error.fault]
    return _upload_failure_status(error)


def tus_result_status(status: int) -> int:
    """What tells in tus that a complete upload was answered with `status`.

    Its clients try again on 409, and then take an upload for stored that has all its bytes.
    """
    return 422 if status == 409 else status


def ietf_upload_status(error: MerseyError) -> int:
    """The status code that answers `error` in resumable uploads of the IETF."""
    if isinstance(error, UploadError):
        return {"busy": 409, "excess": 400, "digest": 400}.get(
            error.fault, _UPLOAD_FAULTS[error.fault]
        )
    return _upload_failure_status(error)


def _upload_failure_status(error: MerseyError) -> int:
    if isinstance(error, TransferError):
        return 408
    return 507 if no_space(error) else status_of(error)


def store_status(*, stored: int, failed: int, warned: bool, full: bool) -> int:
    """The status code of a store request that could be read (PS3.18 §10.5.3.1).

    `full` says that everything that failed did so for want of space or of a working store.
    """
    if not failed:
        return 202 if warned else 200
    if stored:
        return 202
    return 507 if full else 409


def commitment_status(*, committed: bool, failed: bool) -> int:
    """The status code of a commitment request that could be looked up (PS3.18 §13)."""
    if not failed:
        return 200
    return 202 if committed else 409


def error_response(error: MerseyError, *, with_body: bool = True) -> Response:
    """The answer that tells `error`."""
    status = status_of(error)
    headers = {"Retry-After": "1"} if status == 503 else None
    if not with_body:
        return Response(status_code=status, headers=headers)
    content = {"error": type(error).__name__, "message": str(error)}
    return JSONResponse(content, status_code=status, headers=headers)
