"""The body of a request as it comes off the connection, in pieces that nobody copies.

uvicorn gathers a body in one growing buffer, of which each ASGI message is another copy, and stops
reading at 64 KiB. Here the pieces stay as they came, and more of them wait.
"""

from __future__ import annotations

from collections import deque

from uvicorn._types import ASGIReceiveEvent
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

__all__ = ["RequestBody"]

_MOST_WAITING_BYTES = 512 << 10
"""So much may wait to be taken before the connection is no longer read: the client waits."""


class RequestBody:
    """Gives the application of `cycle` its ASGI messages; `receive` takes the place of its own."""

    def __init__(self, cycle: RequestResponseCycle) -> None:
        self._cycle = cycle
        self._pieces: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._is_told = False  # that there is no more

    def put(self, piece: bytes) -> None:
        """The next bytes came."""
        self._pieces.append(piece)
        self._waiting_bytes += len(piece)
        if self._waiting_bytes > _MOST_WAITING_BYTES:
            self._cycle.flow.pause_reading()
        self._cycle.message_event.set()

    async def receive(self) -> ASGIReceiveEvent:
        """As RequestResponseCycle.receive; one message for each piece."""
        cycle = self._cycle
        if cycle.waiting_for_100_continue and not cycle.transport.is_closing():
            cycle.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            cycle.waiting_for_100_continue = False
        while not (cycle.disconnected or cycle.response_complete):
            if self._pieces:
                piece = self._pieces.popleft()
                self._waiting_bytes -= len(piece)
                if self._waiting_bytes <= _MOST_WAITING_BYTES // 2:
                    cycle.flow.resume_reading()
                return self._message(piece)
            if not cycle.more_body and not self._is_told:
                return self._message(b"")
            cycle.flow.resume_reading()
            cycle.message_event.clear()
            await cycle.message_event.wait()
        return {"type": "http.disconnect"}

    def _message(self, piece: bytes) -> ASGIReceiveEvent:
        more = bool(self._pieces) or self._cycle.more_body
        self._is_told = not more
        return {"type": "http.request", "body": piece, "more_body": more}
