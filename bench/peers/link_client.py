"""The client over a link: as many connections as a browser has, and downloads that resume."""

from __future__ import annotations

import http.client
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from client import RefusedError
from servers import Server

__all__ = ["CONNECTIONS", "at_once", "download_resumed"]

CONNECTIONS = 6
"""As many as a browser opens to one host."""

_PATIENCE_S = 120
_MOST_BREAKS = 3


def at_once(
    linked: Server, paths: Sequence[str], accept: str, *, connections: int = CONNECTIONS
) -> list[bytes]:
    """The answers for `paths`, in order; each connection takes its share, one by one."""
    bodies: list[bytes] = [b""] * len(paths)

    def ask(first: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", linked.port, timeout=_PATIENCE_S)
        headers = {"Accept": accept, "Accept-Encoding": "identity"}
        try:
            for index in range(first, len(paths), connections):
                status, bodies[index] = _asked(connection, linked.root + paths[index], headers)
                if status != 200:
                    raise RefusedError(f"status {status}")
        finally:
            connection.close()

    with ThreadPoolExecutor(connections) as pool:
        shares = [pool.submit(ask, first) for first in range(min(connections, len(paths)))]
    for share in shares:
        share.result()
    return bodies


def download_resumed(linked: Server, path: str, *, accept: str) -> bytes:
    """A long body; where its connection breaks, the rest of it by Range, as `curl -C -` does."""
    body = bytearray()
    for _ in range(_MOST_BREAKS):
        connection = http.client.HTTPConnection("127.0.0.1", linked.port, timeout=_PATIENCE_S)
        headers = {"Accept": accept, "Accept-Encoding": "identity"}
        if body:
            headers["Range"] = f"bytes={len(body)}-"
        try:
            connection.request("GET", linked.root + path, headers=headers)
            response = connection.getresponse()
            if body and response.status != 206:
                what = "the whole" if response.status == 200 else "no bytes"
                raise RefusedError(f"status {response.status} with {what}")
            while piece := response.read1(1 << 16):
                body += piece
        except (ConnectionError, http.client.HTTPException):
            continue
        finally:
            connection.close()
        return bytes(body)
    raise RefusedError("it broke again and again")


def _asked(
    connection: http.client.HTTPConnection, path: str, headers: dict[str, str]
) -> tuple[int, bytes]:
    """One answer; asked for again where the server had closed a connection that was kept.

    Orthanc does so after a second, which starts when it has written, not when all has arrived.
    """
    is_kept = connection.sock is not None
    try:
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
    except (ConnectionResetError, BrokenPipeError, http.client.RemoteDisconnected):
        connection.close()
        if not is_kept:
            raise
        return _asked(connection, path, headers)
    return response.status, response.read()
