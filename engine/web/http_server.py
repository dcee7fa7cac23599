"""HTTP below the application: the listening socket, uvicorn as we set it, the signals that stop it.

A first SIGTERM or SIGINT stops accepting and finishes what is being sent, a second one cuts it
short.
"""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp

from .zero_copy import ZeroCopyProtocol

__all__ = ["HttpServer", "address_of", "http_server", "listen", "stopped_by_signals"]

_BACKLOG = 2048
_KEEP_ALIVE_S = 65


class HttpServer(uvicorn.Server):
    """uvicorn, but signals are ours: it would end the process with them."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def http_server(app: ASGIApp) -> HttpServer:
    """The server of `app`, which serves once it is given a socket."""
    config = uvicorn.Config(
        app,
        http=ZeroCopyProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,  # queries hold patients' names
        server_header=False,
        backlog=_BACKLOG,
        timeout_keep_alive=_KEEP_ALIVE_S,
    )
    return HttpServer(config)


@contextmanager
def stopped_by_signals(server: uvicorn.Server) -> Iterator[None]:
    """While this lasts, signals stop `server`; in the main thread alone."""
    loop = asyncio.get_running_loop()

    def stop() -> None:
        server.force_exit = server.should_exit
        server.should_exit = True

    caught = []
    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            loop.add_signal_handler(number, stop)
        except (ValueError, RuntimeError):
            break  # not the main thread: whoever runs us there stops us by cancelling
        caught.append(number)
    try:
        yield
    finally:
        for number in caught:
            loop.remove_signal_handler(number)


def listen(host: str, port: int) -> socket.socket:
    """A socket that connections are waiting at already.

    Raises
    ------
    OSError
        The address cannot be had.
    """
    family, _, _, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    return socket.create_server(address[:2], family=family, backlog=_BACKLOG)


def address_of(listener: socket.socket) -> str:
    """The URL of a server at `listener`, as one on this machine can reach it."""
    host, port = listener.getsockname()[:2]
    if host in ("0.0.0.0", "::"):
        host = "localhost"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
