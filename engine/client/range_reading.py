"""Ranges of a long answer, received straight into buffers of the caller, a thread each.

A general client copies what arrives several times, in the one thread that does everything; over a
fast link that costs more than the network does. Where a server answers anything else than the
range, nothing of it is used, and the general client asks again.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from functools import partial

from yarl import URL

from ...codecs.errors import TransferError, UsageError
from .range_connection import RangeConnection, UnexpectedAnswerError

__all__ = ["RangeReader", "RangeSource", "UnexpectedAnswerError"]

_MOST_IDLE = 64
_MOST_THREADS = 64


class RangeReader:
    """The answer that has begun on `connection`. For one event loop."""

    def __init__(self, connection: RangeConnection, pool: ThreadPoolExecutor) -> None:
        self.connection = connection
        self._pool = pool

    async def fill(self, view: memoryview) -> None:
        """Receive the next bytes of the answer into all of `view`.

        Raises
        ------
        TransferError
            The connection broke; `connection.filled_bytes` says how much is there.
        """
        await self.run(lambda: self.connection.fill(view))

    async def run[T](self, call: Callable[[], T]) -> T:
        """The result of `call`, which may use the connection, in a thread.

        Cancelled, the connection is ended, and the thread has ended too.
        """
        running = asyncio.get_running_loop().run_in_executor(self._pool, call)
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            self.connection.abort()
            while not running.done():
                with suppress(asyncio.CancelledError):
                    await asyncio.wait((running,))
            running.cancelled() or running.exception()
            raise


class RangeSource:
    """Connections to one server, kept open between ranges; a context. For one event loop.

    `fields` go with every request.
    """

    def __init__(
        self, fields: Mapping[str, str], *, connect_s: float = 15.0, stall_s: float = 60.0
    ) -> None:
        self._fields = dict(fields)
        self._connect_s, self._stall_s = connect_s, stall_s
        self._idle: dict[tuple[str, int, bool], list[RangeConnection]] = {}
        self._tls: ssl.SSLContext | None = None
        self._pool = ThreadPoolExecutor(_MOST_THREADS, thread_name_prefix="range")

    def close(self) -> None:
        """End the connections that nobody uses."""
        for connections in self._idle.values():
            for connection in connections:
                connection.close()
        self._idle.clear()
        self._pool.shutdown(wait=False)

    async def prepare(self, url: str, *, count: int) -> None:
        """Have `count` connections ready, as far as they can be made, before they are needed."""
        place = _place(URL(url))

        async def one() -> None:
            with suppress(TransferError):  # whoever needs it tries again, and tells
                self._idle.setdefault(place, []).append(await self._connect(place))

        async with asyncio.TaskGroup() as group:
            for _ in range(count):
                group.create_task(one())

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
        UsageError
            `url` or a field has control characters.
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
        place = _place(address)
        expected = f"bytes {start}-{stop - 1}/{whole_bytes}"
        reader = await self._asked(place, data, expected, stop - start)
        connection = reader.connection
        try:
            yield reader
        finally:
            idle = self._idle.setdefault(place, [])
            if connection.is_reusable and len(idle) < _MOST_IDLE:
                connection.on_bytes = lambda _: None
                idle.append(connection)
            else:
                connection.close()

    async def _asked(
        self, place: tuple[str, int, bool], head: bytes, expected: str, length_bytes: int
    ) -> RangeReader:
        """A connection on which the answer has begun: one that is open, else a new one."""
        idle = self._idle.setdefault(place, [])
        while True:
            is_new = not idle
            connection = idle.pop() if idle else await self._connect(place)
            reader = RangeReader(connection, self._pool)
            ask = partial(connection.ask, head, expected=expected, length_bytes=length_bytes)
            try:
                await reader.run(ask)
            except TransferError:
                connection.close()
                if is_new:
                    raise
                continue  # the server had closed it meanwhile
            except BaseException:
                connection.close()
                raise
            return reader

    async def _connect(self, place: tuple[str, int, bool]) -> RangeConnection:
        host, port, is_tls = place
        try:
            async with asyncio.timeout(self._connect_s):
                connected = await _connected(host, port)
                if is_tls:
                    connected = await self._secured(connected, host)
        except TimeoutError:
            raise TransferError("the server is silent") from None
        except OSError as error:
            raise TransferError(f"the server cannot be reached: {error.strerror}") from error
        return RangeConnection(connected, stall_s=self._stall_s)

    async def _secured(self, connected: socket.socket, host: str) -> socket.socket:
        if self._tls is None:
            self._tls = await asyncio.to_thread(ssl.create_default_context)
        connected.settimeout(self._connect_s)
        shaking = asyncio.get_running_loop().run_in_executor(
            self._pool, partial(self._tls.wrap_socket, connected, server_hostname=host)
        )
        try:
            return await asyncio.shield(shaking)
        except BaseException:
            shaking.add_done_callback(_close_secured)
            with suppress(OSError):
                socket.socket.shutdown(connected, socket.SHUT_RDWR)
            raise


def _place(address: URL) -> tuple[str, int, bool]:
    return address.raw_host or "", address.port or 80, address.scheme == "https"


def _close_secured(shaking: asyncio.Future[ssl.SSLSocket]) -> None:
    if not shaking.cancelled() and shaking.exception() is None:
        shaking.result().close()


async def _connected(host: str, port: int) -> socket.socket:
    """A connection to the first of the server's addresses that takes one.

    Raises
    ------
    OSError
        None does.
    """
    loop = asyncio.get_running_loop()
    failed: OSError = OSError("the server has no address")
    for family, kind, protocol, _, address in await loop.getaddrinfo(
        host, port, type=socket.SOCK_STREAM
    ):
        connected = socket.socket(family, kind, protocol)
        try:
            connected.setblocking(False)
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await loop.sock_connect(connected, address)
        except OSError as error:
            connected.close()
            failed = error
        except BaseException:
            connected.close()
            raise
        else:
            return connected
    raise failed
