"""The client of the comparison: as little as one can do and still know that it is right.

http.client for single requests, a bare socket for long bodies, wrk for many connections: what
it costs is part of every figure of every server alike.
"""

from __future__ import annotations

import http.client
import json
import re
import socket
import statistics
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from servers import Server

__all__ = [
    "EXPLICIT",
    "HTJ2K",
    "RefusedError",
    "download",
    "get",
    "latency",
    "post_files",
    "requests_per_second",
    "stow",
]

EXPLICIT = 'multipart/related; type="application/octet-stream"; transfer-syntax=1.2.840.10008.1.2.1'
HTJ2K = 'multipart/related; type="image/jphc"; transfer-syntax=1.2.840.10008.1.2.4.202'
_PATIENCE_S = 120
_LONG_S = 3.0
_BOUNDARY = b"bench-6f1c0f"
_PIECE = 1 << 20


class RefusedError(RuntimeError):
    """The server answered with another status than success."""


def get(server: Server, path: str, **headers: str) -> tuple[int, http.client.HTTPMessage, bytes]:
    """One GET over a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=_PATIENCE_S)
    try:
        connection.request("GET", server.root + path, headers=_plain(headers))
        response = connection.getresponse()
        return response.status, response.headers, response.read()
    finally:
        connection.close()


def latency(
    server: Server, paths: Iterable[str], check: Callable[[bytes], None], **headers: str
) -> float:
    """The median seconds of one request after the other over one connection.

    Where that takes long, not all of `paths` are asked for.
    """
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=_PATIENCE_S)
    seconds = []
    try:
        for path in paths:
            started = time.perf_counter()
            connection.request("GET", server.root + path, headers=_plain(headers))
            response = connection.getresponse()
            body = response.read()
            seconds.append(time.perf_counter() - started)
            if response.status not in (200, 206):
                raise RefusedError(f"status {response.status}")
            check(body)
            if sum(seconds) > _LONG_S:
                break
    finally:
        connection.close()
    return statistics.median(seconds)


def download(server: Server, path: str, **headers: str) -> int:
    """Take one long body as fast as a socket gives it; how many bytes came."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=_PATIENCE_S) as wire:
        fields = "".join(f"{name}: {value}\r\n" for name, value in _plain(headers).items())
        head = (
            f"GET {server.root}{path} HTTP/1.1\r\nHost: bench\r\n{fields}Connection: close\r\n\r\n"
        )
        wire.sendall(head.encode())
        buffer = bytearray(_PIECE)
        received = wire.recv(65536)
        start, _, rest = received.partition(b"\r\n\r\n")
        if b" 200 " not in start[:20]:
            raise RefusedError(start[:20].decode(errors="replace"))
        count = len(rest)
        while piece := wire.recv_into(buffer):
            count += piece
    return count


def requests_per_second(
    server: Server, path: str, *, connections: int, seconds: int = 2, **headers: str
) -> float:
    """What wrk reaches; it takes one core. Longer where nothing is answered in `seconds`."""
    fields = [
        part for name, value in _plain(headers).items() for part in ("-H", f"{name}: {value}")
    ]
    command = ["wrk", "-t", "1", "-c", str(connections), "-d", f"{seconds}s", "--timeout", "60s"]
    url = f"http://127.0.0.1:{server.port}{server.root}{path}"
    found = subprocess.run([*command, *fields, url], capture_output=True, text=True, check=True)
    if refused := re.search(r"Non-2xx or 3xx responses: (\d+)", found.stdout):
        raise RefusedError(f"{refused[1]} responses were no success")
    rate = re.search(r"Requests/sec:\s+([0-9.]+)", found.stdout)
    assert rate is not None, found.stdout
    if not float(rate[1]):
        assert seconds < _PATIENCE_S, "no answer"
        return requests_per_second(
            server, path, connections=connections, seconds=4 * seconds, **headers
        )
    return float(rate[1])


def stow(server: Server, paths: list[Path]) -> None:
    """Store files by one STOW request, streamed from disk."""
    lines = sum(len(_opening(index)) for index in range(len(paths))) + len(_closing())
    length = lines + sum(path.stat().st_size for path in paths)
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=_PATIENCE_S)
    content_type = f'multipart/related; type="application/dicom"; boundary={_BOUNDARY.decode()}'
    headers = {
        "Content-Type": content_type,
        "Content-Length": str(length),
        "Accept": "application/dicom+json",
    }
    try:
        connection.request("POST", f"{server.root}/studies", _stow_body(paths), headers)
        response = connection.getresponse()
        body = response.read()
    finally:
        connection.close()
    if response.status != 200:
        raise RefusedError(f"status {response.status}")
    stored: dict[str, Any] = json.loads(body)
    assert len(stored["00081199"]["Value"]) == len(paths)


def post_files(server: Server, paths: list[Path]) -> None:
    """Store files by a request each over one connection."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=_PATIENCE_S)
    content_type = f'multipart/related; type="application/dicom"; boundary={_BOUNDARY.decode()}'
    try:
        for path in paths:
            body = b"".join(_stow_body([path]))
            headers = {"Content-Type": content_type, "Accept": "application/dicom+json"}
            connection.request("POST", f"{server.root}/studies", body, headers)
            response = connection.getresponse()
            response.read()
            if response.status != 200:
                raise RefusedError(f"status {response.status}")
    finally:
        connection.close()


def _stow_body(paths: list[Path]) -> Iterator[bytes]:
    for index, path in enumerate(paths):
        yield _opening(index)
        with path.open("rb") as file:
            while piece := file.read(_PIECE):
                yield piece
    yield _closing()


def _opening(index: int) -> bytes:
    line_end = b"\r\n" if index else b""
    return line_end + b"--" + _BOUNDARY + b"\r\nContent-Type: application/dicom\r\n\r\n"


def _closing() -> bytes:
    return b"\r\n--" + _BOUNDARY + b"--\r\n"


def _plain(headers: dict[str, str]) -> dict[str, str]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return {"Accept-Encoding": "identity", **named}
