"""A link that is slow, far or broken, in front of a server: a relay on this machine.

What the link does is its `LinkProfile`'s; what passed is counted in each direction. No more is
held than the link itself would hold, so that a cut loses only that: sockets' buffers are kept
small, and nothing is read that has no room. Cancellation, like a cut, resets connections.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from random import Random
from typing import Self

from .link_profile import Lane, LinkProfile

__all__ = ["Link", "Passed"]

_SOCKET_BYTES = 128 << 10
_EARLY_S = 0.0005
_RESET = struct.pack("ii", 1, 0)


@dataclass(frozen=True, slots=True)
class Passed:
    """What passed in one direction so far, and what befell it."""

    passed_bytes: int
    cuts: int
    flips: int
    stalls: int


class Link:
    """A relay from `listen_port` (0: a free one) of `listen_host` to a server; a context.

    For one event loop. `port` is where it is reached once the context is entered.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        profile: LinkProfile | None = None,
        listen_host: str = "127.0.0.1",
        listen_port: int = 0,
    ) -> None:
        self._host, self._to_port = host, port
        self.profile = profile or LinkProfile()
        self._listen = (listen_host, listen_port)
        random = Random(self.profile.seed)
        self._up = Lane(self.profile.up, Random(random.random()))
        self._down = Lane(self.profile.down, Random(random.random()))
        self._tasks: set[asyncio.Task[None]] = set()
        self.connections = 0
        self.port = 0

    @property
    def up(self) -> Passed:
        """From the client to the server."""
        return _passed(self._up)

    @property
    def down(self) -> Passed:
        """From the server to the client."""
        return _passed(self._down)

    async def __aenter__(self) -> Self:
        host, port = self._listen
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server((host, port), family=family, backlog=256)
        _keep_small(listener)  # accepted sockets inherit it
        self._server = await asyncio.start_server(
            self._accept, sock=listener, limit=self.profile.up.piece_bytes
        )
        self.port = listener.getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self.cut()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self) -> None:
        """Break all connections now."""
        for task in self._tasks:
            task.cancel()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.create_task(self._relay(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection until both sides are done, or it breaks."""
        ends = [writer]
        is_whole = False
        try:
            # SYN and SYN+ACK pass before the client may send (RFC 9293 §3.5).
            await asyncio.sleep(self.profile.up.delay_s + self.profile.down.delay_s)
            there_reader, there_writer = await self._connect()
            ends.append(there_writer)
            async with asyncio.TaskGroup() as group:
                group.create_task(_carry(reader, there_writer, self._up))
                group.create_task(_carry(there_reader, writer, self._down))
            is_whole = True
        except* (OSError, _CutError):
            pass
        finally:
            for end in ends:
                if is_whole:
                    end.close()
                else:
                    _reset(end)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        found = await asyncio.get_running_loop().getaddrinfo(
            self._host, self._to_port, type=socket.SOCK_STREAM
        )
        family, kind, protocol, _, address = found[0]
        own = socket.socket(family, kind, protocol)
        try:
            own.setblocking(False)
            _keep_small(own)
            await asyncio.get_running_loop().sock_connect(own, address)
            return await asyncio.open_connection(sock=own, limit=self.profile.down.piece_bytes)
        except BaseException:
            own.close()
            raise


class _CutError(Exception):
    """The connection breaks here."""


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, lane: Lane) -> None:
    """Carry bytes until the sender is done, and tell the receiver so.

    Raises
    ------
    _CutError
        The link breaks behind the bytes that were delivered.
    ConnectionError
        One side is gone.
    """
    loop = asyncio.get_running_loop()
    piece_bytes, queue_bytes = lane.direction.piece_bytes, lane.direction.queue_bytes
    under_way: deque[tuple[float, bytes, bool]] = deque()
    changed, room = asyncio.Event(), asyncio.Event()
    held, is_over = 0, False
    transport = writer.transport
    # To hand on is to deliver: drain then waits for the receiver itself.
    transport.set_write_buffer_limits(high=0)

    async def arrive() -> None:
        nonlocal held
        while under_way or not is_over:
            if not under_way:
                changed.clear()
                await changed.wait()
                continue
            early_s = under_way[0][0] - loop.time()
            if early_s > _EARLY_S:
                await asyncio.sleep(early_s)
                continue
            _, data, is_cut = under_way.popleft()
            if data:
                writer.write(data)
                await writer.drain()
            held -= len(data)
            room.set()
            if is_cut:
                raise _CutError
        with suppress(OSError):
            writer.write_eof()

    async with asyncio.TaskGroup() as group:
        arriving = group.create_task(arrive())
        is_cut = False
        while not is_cut and (data := await reader.read(piece_bytes)):
            data, at_s, is_cut = lane.carry(data, loop.time())
            held += len(data)
            under_way.append((at_s, data, is_cut))
            changed.set()
            while held >= queue_bytes:
                room.clear()
                await room.wait()
        is_over = True
        changed.set()
        await arriving


def _keep_small(own: socket.socket) -> None:
    """What the kernel holds is a queue of the link as well, and is lost with it."""
    for name in (socket.SO_RCVBUF, socket.SO_SNDBUF):
        own.setsockopt(socket.SOL_SOCKET, name, _SOCKET_BYTES)


def _reset(writer: asyncio.StreamWriter) -> None:
    """End a connection as a broken one ends: with a reset, whatever is still in its buffers."""
    own = writer.get_extra_info("socket")
    if own is not None:
        with suppress(OSError):
            own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()


def _passed(lane: Lane) -> Passed:
    return Passed(lane.passed_bytes, lane.cut_count, lane.flip_count, lane.stall_count)
