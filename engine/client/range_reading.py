"""Ranges of a long answer, received straight into buffers of the caller: HTTP/1.1, one at a time.

A general client copies what arrives several times; over a fast link that costs more than the
network does. This one speaks no more of RFC 9112 than an answer of known length, and says so
where there is another: then nothing of it was used, and the general client asks again.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import cast

from yarl import URL

from ...codecs.errors import TransferError, UsageError

__all__ = ["RangeReader", "RangeSource", "UnexpectedAnswerError"]

_HEAD_BYTES = 64 << 10
_MOST_IDLE = 64
_STATUS = re.compile(rb"HTTP/1\.1 ([0-9]{3})[ \r]")


class UnexpectedAnswerError(Exception):
    """The server answered something else than the range that was asked for."""


class RangeReader(asyncio.BufferedProtocol):
    """One connection, and the answer on it. For one event loop."""

    def __init__(self) -> None:
        self._head = bytearray(_HEAD_BYTES)
        self._held = 0  # how much of the head's buffer is taken
        self._used = 0  # how much of that was read
        self._target: memoryview | None = None
        self._filled = 0
        self._moved = False
        self._waiting: asyncio.Future[None] | None = None
        self._lost = self._is_last = False
        self._transport: asyncio.Transport | None = None
        self.left_bytes = 0
        self.stall_s = 60.0
        self.on_bytes: Callable[[int], None] = lambda _: None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are of no class of asyncio's.
        self._transport = cast("asyncio.Transport", transport)
        self._transport.pause_reading()

    def get_buffer(self, _: int) -> memoryview:
        if self._target is not None:
            return self._target[self._filled :]
        return memoryview(self._head)[self._held :]

    def buffer_updated(self, nbytes: int) -> None:
        self._moved = True
        if self._target is None:
            self._held += nbytes
            self._wake()
            return
        self._filled += nbytes
        self.on_bytes(nbytes)
        if self._filled == len(self._target):
            self._wake()

    def connection_lost(self, _: Exception | None) -> None:
        self._lost = True
        self._wake()

    def eof_received(self) -> bool:
        return False

    def _wake(self) -> None:
        if self._transport is not None and not self._lost:
            self._transport.pause_reading()
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    async def _more(self) -> None:
        """Wait until the buffer is filled, something of a head came, or the connection is gone.

        Raises
        ------
        TransferError
            It is gone, or silent.
        """
        if self._lost or self._transport is None:
            raise TransferError("the connection was closed")
        self._waiting = asyncio.get_running_loop().create_future()
        self._transport.resume_reading()
        while not self._waiting.done():
            self._moved = False
            await asyncio.wait((self._waiting,), timeout=self.stall_s)
            if not self._waiting.done() and not self._moved:
                raise TransferError("the server is silent")

    async def ask(self, head: bytes, *, expected: str, length_bytes: int) -> None:
        """Send a request and read the head of its answer, which has to be that range.

        Raises
        ------
        UnexpectedAnswerError
            It is another, or of a form that is not read here.
        """
        if self._lost or self._transport is None:
            raise TransferError("the connection was closed")
        self._held = self._used = 0
        self._target = None
        self._transport.write(head)
        while (end := self._head.find(b"\r\n\r\n", 0, self._held)) < 0:
            if self._held == _HEAD_BYTES:
                raise UnexpectedAnswerError
            await self._more()
        lines = bytes(self._head[:end]).split(b"\r\n")
        status = _STATUS.match(lines[0] + b"\r")
        fields: dict[bytes, bytes] = {}
        for line in lines[1:]:
            name, _, value = line.partition(b":")
            if name.lower() in fields:
                fields[name.lower()] += b", " + value.strip()
            else:
                fields[name.lower()] = value.strip()
        is_it = (
            status is not None
            and status[1] == b"206"
            and fields.get(b"content-range") == expected.encode()
            and fields.get(b"content-length") == str(length_bytes).encode()
            and b"transfer-encoding" not in fields
            and fields.get(b"content-encoding", b"identity") == b"identity"
        )
        if not is_it:
            raise UnexpectedAnswerError
        self._used = end + 4
        self.left_bytes = length_bytes
        self._is_last = fields.get(b"connection", b"").lower() == b"close"

    async def fill(self, view: memoryview) -> None:
        """Receive the next bytes of the answer into all of `view`.

        Raises
        ------
        TransferError
            The connection broke; `filled_bytes` says how much is there.
        """
        held = min(self._held - self._used, len(view))
        view[:held] = self._head[self._used : self._used + held]
        self._used += held
        if held:
            self.on_bytes(held)
        self._target, self._filled = view, held
        try:
            if held < len(view):
                await self._more()
                if self._filled < len(view):
                    raise TransferError("the answer ended before its end")
        finally:
            self._target = None
            self.left_bytes -= self._filled

    @property
    def filled_bytes(self) -> int:
        """How much the last `fill` received."""
        return self._filled

    @property
    def is_reusable(self) -> bool:
        """Whether the answer is read to its end and the connection may carry another."""
        is_read = not self.left_bytes and self._used == self._held
        return is_read and not self._lost and not self._is_last

    @property
    def is_lost(self) -> bool:
        return self._lost

    def abort(self) -> None:
        """End the connection now."""
        self._lost = True
        if self._transport is not None:
            self._transport.abort()


class RangeSource:
    """Connections to one server, kept open between ranges; a context. For one event loop.

    `fields` go with every request.
    """

    def __init__(
        self, fields: Mapping[str, str], *, connect_s: float = 15.0, stall_s: float = 60.0
    ) -> None:
        self._fields = dict(fields)
        self._connect_s, self._stall_s = connect_s, stall_s
        self._idle: dict[tuple[str, int, bool], list[RangeReader]] = {}
        self._tls: ssl.SSLContext | None = None

    def close(self) -> None:
        """End the connections that nobody uses."""
        for readers in self._idle.values():
            for reader in readers:
                reader.abort()
        self._idle.clear()

    @asynccontextmanager
    async def read(
        self, url: str, start: int, stop: int, *, etag: str, whole_bytes: int
    ) -> AsyncIterator[RangeReader]:
        """Bytes `start` to `stop` of a representation of `whole_bytes` with the entity tag `etag`.

        Raises
        ------
        UnexpectedAnswerError
            The server answers something else.
        TransferError
            The connection could not be made, or broke.
        """
        address = URL(url)
        fields = {
            "Host": address.host_port_subcomponent or "",
            **self._fields,
            "Range": f"bytes={start}-{stop - 1}",
            "If-Match": etag,
        }
        head = "\r\n".join(
            (
                f"GET {address.raw_path_qs} HTTP/1.1",
                *(f"{name}: {value}" for name, value in fields.items()),
            )
        )
        if any(ord(character) < 32 for character in head.replace("\r\n", "")):
            raise UsageError("a request with control characters")
        data = head.encode("latin-1", "replace") + b"\r\n\r\n"
        place = (address.raw_host or "", address.port or 80, address.scheme == "https")
        expected = f"bytes {start}-{stop - 1}/{whole_bytes}"
        reader = await self._asked(place, data, expected, stop - start)
        try:
            yield reader
        finally:
            idle = self._idle.setdefault(place, [])
            if reader.is_reusable and len(idle) < _MOST_IDLE:
                reader.on_bytes = lambda _: None
                idle.append(reader)
            else:
                reader.abort()

    async def _asked(
        self, place: tuple[str, int, bool], head: bytes, expected: str, length_bytes: int
    ) -> RangeReader:
        """A connection on which the answer has begun: one that is open, else a new one."""
        idle = self._idle.setdefault(place, [])
        while True:
            reader = idle.pop() if idle else None
            is_new = reader is None
            if reader is None:
                reader = await self._connect(place)
            elif reader.is_lost:
                continue
            reader.stall_s = self._stall_s
            try:
                await reader.ask(head, expected=expected, length_bytes=length_bytes)
            except TransferError:
                reader.abort()
                if is_new:
                    raise
                continue  # the server had closed it meanwhile
            except BaseException:
                reader.abort()
                raise
            return reader

    async def _connect(self, place: tuple[str, int, bool]) -> RangeReader:
        host, port, is_tls = place
        if is_tls and self._tls is None:
            self._tls = ssl.create_default_context()
        try:
            async with asyncio.timeout(self._connect_s):
                _, reader = await asyncio.get_running_loop().create_connection(
                    RangeReader, host, port, ssl=self._tls if is_tls else None
                )
        except TimeoutError:
            raise TransferError("the server is silent") from None
        except OSError as error:
            raise TransferError(f"the server cannot be reached: {error.strerror}") from error
        return reader
