"""Cross-origin requests: what browsers may send and read (Fetch standard §3.2).

A preflight costs one dictionary look-up: a viewer sends one for every frame, because a quote
in Accept is enough to need it. It is answered before any routing.
"""

from __future__ import annotations

from collections.abc import Collection

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["Cors"]

_EXPOSED = (
    "Content-Range, Content-Length, Content-Type, Accept-Ranges, ETag, X-Decode-Level, Warning, "
    "Content-Disposition, Repr-Digest, Content-Digest, Retry-After, "
    "Location, Upload-Offset, Upload-Length, Upload-Complete, Upload-Limit, Upload-Metadata, "
    "Upload-Defer-Length, Upload-Concat, Upload-Expires, Tus-Resumable, Tus-Version, "
    "Tus-Extension, Tus-Max-Size, Tus-Checksum-Algorithm"
)
_ALLOWED = (
    "Authorization, Range, Accept, If-Range, If-Match, If-None-Match, Content-Type, "
    "Cache-Control, X-Requested-With, Want-Repr-Digest, Want-Content-Digest, "
    "Upload-Offset, Upload-Length, Upload-Complete, "
    "Upload-Draft-Interop-Version, Upload-Metadata, Upload-Defer-Length, Upload-Concat, "
    "Upload-Checksum, Tus-Resumable, X-HTTP-Method-Override, X-Request-ID, Content-Digest, "
    "Repr-Digest, Content-Range"
)
_METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
_MAX_AGE_S = 86400


class Cors:
    """Wraps an ASGI application; `origins` may read its answers, ``*`` means any."""

    def __init__(self, app: ASGIApp, *, origins: Collection[str] = ("*",)) -> None:
        self._app = app
        self._origins = frozenset(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        allowed = self._allowed(headers.get("origin"))
        if scope["method"] == "OPTIONS" and "access-control-request-method" in headers:
            await _preflight(send, allowed)
            return

        async def send_with(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *allowed]
            await send(message)

        await self._app(scope, receive, send_with)

    def _allowed(self, origin: str | None) -> list[tuple[bytes, bytes]]:
        if "*" in self._origins:
            value = "*"
        elif origin is not None and origin in self._origins:
            value = origin
        else:
            return [(b"vary", b"Origin")]
        fields = [
            (b"access-control-allow-origin", value.encode("latin-1")),
            (b"access-control-expose-headers", _EXPOSED.encode()),
        ]
        if value != "*":
            fields.append((b"vary", b"Origin"))
        return fields


async def _preflight(send: Send, allowed: list[tuple[bytes, bytes]]) -> None:
    headers = [
        *allowed,
        (b"access-control-allow-methods", _METHODS.encode()),
        (b"access-control-allow-headers", _ALLOWED.encode()),
        (b"access-control-max-age", str(_MAX_AGE_S).encode()),
    ]
    await send({"type": "http.response.start", "status": 204, "headers": headers})
    await send({"type": "http.response.body", "body": b""})
