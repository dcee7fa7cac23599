"""Interim responses, which ASGI has no word for: 104 Upload Resumption Supported.

uvicorn sends 100 alone. A client learns where an upload can go on only from a 104 that comes while
it is still sending, so the connection gives the application a way to write one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import cast

import httptools
from starlette.types import Scope
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from .request_body import RequestBody

__all__ = ["InterimProtocol", "can_send_interim", "send_interim"]

_KEY = "mersey.interim"
_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
_PHRASES = {104: "Upload Resumption Supported"}


class InterimProtocol(HttpToolsProtocol):
    """A connection of uvicorn that can send interim responses, and copies no body."""

    _body: RequestBody | None = None
    _left_bytes = 0
    """Of a body whose length is known, what has not come yet."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._body = None
        self._left_bytes = 0
        self.scope["extensions"] = {_KEY: {"send": self._send_interim}}

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        if self.scope["method"] in _WITH_BODY:
            self._body = RequestBody(self.cycle)
            # The task of the cycle, which hands it to the application, has not begun yet.
            self.cycle.receive = self._body.receive  # type: ignore[method-assign]
            self._left_bytes = _length_of(self.headers)

    def on_body(self, body: bytes) -> None:
        if self._body is None:
            super().on_body(body)
        elif not self.cycle.response_complete:
            self._body.put(body)
        self._left_bytes -= len(body)

    def data_received(self, data: bytes) -> None:
        if self._left_bytes <= 0:
            super().data_received(data)
            return
        # Bytes of a body need no parser, which would copy each of them. Where it ends, a new one
        # goes on: this one still waits for them.
        self._unset_keepalive_if_required()
        left = len(data) - self._left_bytes
        self.on_body(data[:-left] if left > 0 else data)
        if self._left_bytes == 0:
            self.on_message_complete()
            self.parser = httptools.HttpRequestParser(self)
            self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
            if left > 0:
                super().data_received(data[-left:])

    def _send_interim(self, status: int, fields: Mapping[str, str]) -> None:
        if self.transport.is_closing():
            return
        phrase = _PHRASES.get(status) or HTTPStatus(status).phrase
        lines = [f"HTTP/1.1 {status} {phrase}"]
        lines += [f"{name}: {value}" for name, value in fields.items()]
        self.transport.write("\r\n".join([*lines, "", ""]).encode("latin-1"))


def _length_of(headers: Sequence[tuple[bytes, bytes]]) -> int:
    """The length of a body that is told, or 0 (RFC 9112 §6.3)."""
    fields = [value for name, value in headers if name == b"content-length"]
    chunked = any(name == b"transfer-encoding" for name, _ in headers)
    return int(fields[0]) if len(fields) == 1 and fields[0].isdigit() and not chunked else 0


def can_send_interim(scope: Scope) -> bool:
    """Whether the client of a request can be sent interim responses (RFC 9110 §15.2)."""
    return _KEY in scope.get("extensions", ()) and scope["http_version"] != "1.0"


def send_interim(scope: Scope, status: int, fields: Mapping[str, str]) -> None:
    """Send one; it must come before the response. The values of `fields` have no line breaks."""
    send = scope["extensions"][_KEY]["send"]
    cast("Callable[[int, Mapping[str, str]], None]", send)(status, fields)
