"""Files straight to a socket, which ASGI has no word for: sendfile(2) below uvicorn.

The kernel hands the pages of a file to the connection; nothing is copied into this process. The
head of the answer and its last bytes go through uvicorn, which keeps its count of what is sent.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from functools import partial
from typing import cast

from starlette.types import Scope
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from .file_run import FileRun
from .interim import InterimProtocol

__all__ = ["ZeroCopyProtocol", "can_send_runs", "send_run"]

_KEY = "mersey.zerocopy"


class ZeroCopyProtocol(InterimProtocol):
    """A connection of uvicorn that can send runs of files. For one event loop."""

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        cycle = self.cycle
        if self.scheme == "http" and cycle is not None and cycle.scope is self.scope:
            self.scope["extensions"][_KEY] = {"send": partial(self._send_run, cycle)}

    async def _send_run(self, cycle: RequestResponseCycle, run: FileRun, stall_s: float) -> bool:
        async with asyncio.timeout(stall_s):
            await self._emptied()
        if cycle.disconnected or self.transport.is_closing():
            return False
        if cycle.chunked_encoding or len(run) >= cycle.expected_content_length:
            raise RuntimeError("a run of files is no part of the answer")
        cycle.expected_content_length -= len(run)
        # Of its own: the transport's is closed under us when the client goes away.
        socket = os.dup(self.transport.get_extra_info("socket").fileno())
        try:
            left = len(run)
            while left:
                left -= await _in_thread(partial(run.write, socket))
                if left:
                    async with asyncio.timeout(stall_s):
                        await _writable(socket)
        except ConnectionError:
            return False
        finally:
            os.close(socket)
        return True

    async def _emptied(self) -> None:
        """Wait until all that was written before has left for the socket."""
        self.transport.set_write_buffer_limits(0)
        try:
            if self.flow.write_paused:
                await self.flow.drain()
        finally:
            if not self.transport.is_closing():
                self.transport.set_write_buffer_limits()


async def _in_thread(call: Callable[[], int]) -> int:
    """Its result; cancelled, it ends first: it uses what is closed after it."""
    running = asyncio.ensure_future(asyncio.to_thread(call))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait((running,))
        raise


async def _writable(descriptor: int) -> None:
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()
    loop.add_writer(descriptor, _wake, ready)
    try:
        await ready
    finally:
        loop.remove_writer(descriptor)


def _wake(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)


def can_send_runs(scope: Scope) -> bool:
    """Whether the answer to a request can have runs of files in it."""
    return _KEY in scope.get("extensions", ())


async def send_run(scope: Scope, run: FileRun, *, stall_s: float) -> bool:
    """Send one, after the head and before the last bytes of an answer of known length.

    Returns
    -------
    bool
        False where the client has gone.

    Raises
    ------
    TimeoutError
        The client took nothing for `stall_s`.
    RefusedError
        A file is another by now: the answer cannot be ended.
    """
    send = scope["extensions"][_KEY]["send"]
    return await cast("Callable[[FileRun, float], Awaitable[bool]]", send)(run, stall_s)
