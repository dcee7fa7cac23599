"""What requests that bring parts of an upload have in common, in either protocol."""

from __future__ import annotations

import re

from starlette.requests import Request

from ...codecs.errors import MerseyError, UsageError
from ..archive.upload_plan import UploadError, UploadPlan
from .holdings import require_uid
from .requests import ROOT, base_url
from .status import Reason, RefusedError
from .stow import storable_type

__all__ = [
    "UPLOAD_STUDY_KEY",
    "address",
    "content_length",
    "has_content",
    "require_plain_coding",
    "require_storable",
]

UPLOAD_STUDY_KEY = "StudyInstanceUID"

_LENGTH = re.compile(r"[0-9]{1,18}")


def address(request: Request) -> str:
    """The address of the server, as the client knows it."""
    return base_url(request).removesuffix(ROOT)


def content_length(request: Request) -> int | None:
    """How long the request's content is; None where it comes in chunks.

    Raises
    ------
    UsageError
        The field is no length.
    """
    if "transfer-encoding" in request.headers:
        return None
    field = request.headers.get("content-length", "0")
    if not _LENGTH.fullmatch(field):
        raise UsageError("Content-Length is no length")
    return int(field)


def has_content(request: Request) -> bool:
    """Whether the request may have content."""
    return content_length(request) != 0


def is_busy(error: MerseyError) -> bool:
    """Whether another request has the upload: who lost it sends no more."""
    return isinstance(error, UploadError) and error.fault == "busy"


def require_storable(plan: UploadPlan) -> None:
    """Refuse at once what would be refused once it is here.

    Raises
    ------
    RefusedError
        Its media type is none that can be stored, or its study is none.
    """
    storable_type(plan.content_type)
    if plan.study_uid is not None:
        require_uid(plan.study_uid)


def require_plain_coding(request: Request) -> None:
    """Refuse content that is coded (RFC 9110 §8.4): bytes are kept as they come; RefusedError."""
    if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise RefusedError("a Content-Encoding", reason=Reason.UNSUPPORTED_MEDIA)
