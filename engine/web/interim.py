"""Interim responses, which ASGI has no word for: 104 Upload Resumption Supported.

uvicorn sends 100 alone. A client learns where an upload can go on only from a 104 that comes while
it is still sending, so the connection gives the application a way to write one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import cast

from starlette.types import Scope
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

__all__ = ["InterimProtocol", "can_send_interim", "send_interim"]

_KEY = "mersey.interim"
_PHRASES = {104: "Upload Resumption Supported"}


class InterimProtocol(HttpToolsProtocol):
    """A connection of uvicorn that can send interim responses."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {_KEY: {"send": self._send_interim}}

    def _send_interim(self, status: int, fields: Mapping[str, str]) -> None:
        if self.transport.is_closing():
            return
        phrase = _PHRASES.get(status) or HTTPStatus(status).phrase
        lines = [f"HTTP/1.1 {status} {phrase}"]
        lines += [f"{name}: {value}" for name, value in fields.items()]
        self.transport.write("\r\n".join([*lines, "", ""]).encode("latin-1"))


def can_send_interim(scope: Scope) -> bool:
    """Whether the client of a request can be sent interim responses (RFC 9110 §15.2)."""
    return _KEY in scope.get("extensions", ()) and scope["http_version"] != "1.0"


def send_interim(scope: Scope, status: int, fields: Mapping[str, str]) -> None:
    """Send one; it must come before the response. The values of `fields` have no line breaks."""
    send = scope["extensions"][_KEY]["send"]
    cast("Callable[[int, Mapping[str, str]], None]", send)(status, fields)
