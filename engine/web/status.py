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

__all__ = ["Reason", "RefusedError", "error_response", "status_of"]


class Reason(Enum):
    """Why a request is refused that is no mistake in form."""

    NOT_FOUND = "not found"
    GONE = "gone"
    NOT_ACCEPTABLE = "not acceptable"
    CHANGED = "changed"
    PRECONDITION_FAILED = "precondition failed"


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


def error_response(error: MerseyError, *, with_body: bool = True) -> Response:
    """The answer that tells `error`."""
    status = status_of(error)
    headers = {"Retry-After": "1"} if status == 503 else None
    if not with_body:
        return Response(status_code=status, headers=headers)
    content = {"error": type(error).__name__, "message": str(error)}
    return JSONResponse(content, status_code=status, headers=headers)
