"""A link of a given rate and delay in front of a server: a relay on this machine.

Both directions have the rate, shared by all connections; each byte arrives half a round trip
after it has left, and a new connection costs a round trip before its first byte (RFC 9293
§3.5). No loss and no slow start: it is a link that TCP fills.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from typing import Self

from ...codecs.errors import UsageError

__all__ = ["LinkShape", "ShapedLink", "parse_time"]

_PIECE_BYTES = 8 << 10
_LEAST_QUEUE_BYTES = 64 << 10
_TIME = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)\s*(ms|s)")


def parse_time(text: str) -> float:
    """Seconds from ``40ms`` or ``0.1s``.

    Raises
    ------
    UsageError
        It is no time.
    """
    found = _TIME.fullmatch(text.strip())
    if found is None:
        raise UsageError(f"{text!r} is no time, as in 40ms or 0.1s")
    return float(found[1]) * (1e-3 if found[2] == "ms" else 1.0)


@dataclass(frozen=True, slots=True)
class LinkShape:
    """`bytes_per_s` in each direction, and the time of a round trip."""

    bytes_per_s: float
    rtt_s: float

    def __post_init__(self) -> None:
        if not self.bytes_per_s > 0 or not 0 <= self.rtt_s <= 10:
            raise UsageError("a link has a rate above nothing and a round trip of 0–10 s")


class _Lane:
    """One direction: what is sent waits until everything before it has left."""

    def __init__(self, shape: LinkShape) -> None:
        self._shape = shape
        self._free_s = 0.0

    def arrival_s(self, length_bytes: int, now_s: float) -> float:
        """When bytes that are handed over now have arrived."""
        self._free_s = max(self._free_s, now_s) + length_bytes / self._shape.bytes_per_s
        return self._free_s + self._shape.rtt_s / 2


class ShapedLink:
    """A relay from a free port of this machine to `host`:`port`; a context, for one loop."""

    def __init__(self, host: str, port: int, *, shape: LinkShape) -> None:
        self._host, self._port, self._shape = host, port, shape
        self._up, self._down = _Lane(shape), _Lane(shape)
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._relay(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there_reader, there_writer = await asyncio.open_connection(self._host, self._port)
        except OSError:
            writer.transport.abort()
            return
        # SYN and SYN+ACK pass before the client may send.
        await asyncio.sleep(self._shape.rtt_s)
        try:
            with suppress(ConnectionError):
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._carry(reader, there_writer, self._up))
                    group.create_task(self._carry(there_reader, writer, self._down))
        except* ConnectionError:
            pass
        finally:
            writer.transport.abort()
            there_writer.transport.abort()

    async def _carry(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, lane: _Lane
    ) -> None:
        """Carry bytes until the sender is done; no more is under way than the link holds."""
        loop = asyncio.get_running_loop()
        most = max(_LEAST_QUEUE_BYTES, int(self._shape.bytes_per_s * self._shape.rtt_s))
        under_way: deque[tuple[float, bytes]] = deque()
        changed, room = asyncio.Event(), asyncio.Event()
        held, is_over = 0, False

        async def arrive() -> None:
            nonlocal held
            while under_way or not is_over:
                if not under_way:
                    changed.clear()
                    await changed.wait()
                    continue
                when_s, data = under_way.popleft()
                await asyncio.sleep(max(0.0, when_s - loop.time()))
                writer.write(data)
                await writer.drain()
                held -= len(data)
                room.set()
            with suppress(OSError):
                writer.write_eof()

        async with asyncio.TaskGroup() as group:
            group.create_task(arrive())
            while data := await reader.read(_PIECE_BYTES):
                under_way.append((lane.arrival_s(len(data), loop.time()), data))
                held += len(data)
                changed.set()
                while held > most:
                    room.clear()
                    await room.wait()
            is_over = True
            changed.set()
