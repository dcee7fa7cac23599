"""One connection and the ranges that come over it, received in a thread: HTTP/1.1.

Everything here blocks, with the interpreter free for others while it does. It speaks no more of
RFC 9112 than an answer of known length.
"""

from __future__ import annotations

import re
import socket
import ssl
import struct
import time
from collections.abc import Callable
from contextlib import suppress

from ...codecs.errors import TransferError

__all__ = ["RangeConnection", "UnexpectedAnswerError"]

_HEAD_BYTES = 64 << 10
_STATUS = re.compile(rb"HTTP/1\.1 ([0-9]{3})[ \r]")
_LEAST_STEP_BYTES = 32 << 10
_MOST_STEP_BYTES = 2 << 20
_STEP_S = 0.05


class UnexpectedAnswerError(Exception):
    """The server answered something else than the range that was asked for."""


class RangeConnection:
    """`connected` and the answer on it. For one thread at a time, but `abort` is for any.

    A server that is silent for `stall_s` counts as gone. `on_bytes` is told, in the thread, what
    has come: some times a second, however slow the link is.
    """

    def __init__(self, connected: socket.socket, *, stall_s: float) -> None:
        self.left_bytes = 0
        self.filled_bytes = 0
        self.on_bytes: Callable[[int], None] = lambda _: None
        self._socket = connected
        self._head = bytearray(_HEAD_BYTES)
        self._held = 0  # how much of the head's buffer is taken
        self._used = 0  # how much of that was read
        self._step_bytes = _LEAST_STEP_BYTES
        self._lost = self._is_last = False
        self._is_plain = not isinstance(connected, ssl.SSLSocket)
        if self._is_plain:
            # The kernel waits, for all that was asked for in one call; select(2) is not needed.
            connected.settimeout(None)
            seconds, rest = divmod(stall_s, 1)
            patience = struct.pack("@ll", int(seconds), int(rest * 1e6))
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, patience)
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, patience)
        else:
            connected.settimeout(stall_s)

    @property
    def is_reusable(self) -> bool:
        """Whether the answer is read to its end and the connection may carry another."""
        is_read = not self.left_bytes and self._used == self._held
        return is_read and not self._lost and not self._is_last

    def ask(self, head: bytes, *, expected: str, length_bytes: int) -> None:
        """Send a request and read the head of its answer, which has to be that range.

        Raises
        ------
        UnexpectedAnswerError
            It is another, or of a form that is not read here.
        TransferError
            The connection broke, or the server is silent.
        """
        self._held = self._used = 0
        try:
            self._socket.sendall(head)
        except OSError as error:
            raise self._broken(error) from error
        while (end := self._head.find(b"\r\n\r\n", 0, self._held)) < 0:
            if self._held == _HEAD_BYTES:
                raise UnexpectedAnswerError
            self._held += self._receive(memoryview(self._head)[self._held :], is_whole=False)
        fields = _fields(bytes(self._head[:end]))
        is_it = (
            fields.get(b"content-range") == expected.encode()
            and fields.get(b"content-length") == str(length_bytes).encode()
            and b"transfer-encoding" not in fields
            and fields.get(b"content-encoding", b"identity") == b"identity"
        )
        if not is_it:
            raise UnexpectedAnswerError
        self._used = end + 4
        self.left_bytes = length_bytes
        self._is_last = fields.get(b"connection", b"").lower() == b"close"

    def fill(self, view: memoryview) -> None:
        """Receive the next bytes of the answer into all of `view`.

        Raises
        ------
        TransferError
            The connection broke; `filled_bytes` says how much is there.
        """
        self.filled_bytes = 0
        held = min(self._held - self._used, len(view))
        if held:
            view[:held] = memoryview(self._head)[self._used : self._used + held]
            self._used += held
            self._count(held)
        while self.filled_bytes < len(view):
            begun_s = time.monotonic()
            at = self.filled_bytes
            step = min(self._step_bytes, len(view) - at)
            self._count(self._receive(view[at : at + step], is_whole=True))
            passed_s = time.monotonic() - begun_s
            if passed_s > _STEP_S:
                self._step_bytes = max(_LEAST_STEP_BYTES, self._step_bytes // 2)
            elif passed_s < _STEP_S / 4:
                self._step_bytes = min(_MOST_STEP_BYTES, self._step_bytes * 2)

    def abort(self) -> None:
        """End the connection now; whoever waits for it gets TransferError."""
        self._lost = True
        with suppress(OSError):  # it was not connected any more
            # Of the socket itself: that of TLS would change what another thread is using.
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def close(self) -> None:
        """Let it go, when no thread uses it."""
        self._lost = True
        self._socket.close()

    def _count(self, length_bytes: int) -> None:
        self.filled_bytes += length_bytes
        self.left_bytes -= length_bytes
        self.on_bytes(length_bytes)

    def _receive(self, view: memoryview, *, is_whole: bool) -> int:
        """Some bytes, with `is_whole` all of `view` unless something happens."""
        flags = socket.MSG_WAITALL if is_whole and self._is_plain else 0
        try:
            count = self._socket.recv_into(view, len(view), flags)
        except OSError as error:
            raise self._broken(error) from error
        if not count:
            self._lost = True
            raise TransferError("the connection was closed before the answer's end")
        return count

    def _broken(self, error: OSError) -> TransferError:
        self._lost = True
        if isinstance(error, BlockingIOError | TimeoutError):
            return TransferError("the server is silent")
        return TransferError(f"the connection broke: {error.strerror or type(error).__name__}")


def _fields(head: bytes) -> dict[bytes, bytes]:
    """The fields of an answer with the status 206, by their names in small letters; else none."""
    lines = head.split(b"\r\n")
    status = _STATUS.match(lines[0] + b"\r")
    if status is None or status[1] != b"206":
        return {}
    fields: dict[bytes, bytes] = {}
    for line in lines[1:]:
        name, _, value = line.partition(b":")
        if name.lower() in fields:
            fields[name.lower()] += b", " + value.strip()
        else:
            fields[name.lower()] = value.strip()
    return fields
