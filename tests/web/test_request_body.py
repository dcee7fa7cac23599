"""Bodies of requests as they come off a connection: whole, in order, and never more than fit."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import uvicorn
from mersey.engine.web.interim import InterimProtocol
from uvicorn.server import ServerState


class Wire:
    """A transport that keeps what is written, and says whether the connection is read."""

    def __init__(self) -> None:
        self.written = bytearray()
        self.is_read = True

    def write(self, data: bytes) -> None:
        self.written += data

    def is_closing(self) -> bool:
        return False

    def get_extra_info(self, name: str) -> None:
        return None

    def pause_reading(self) -> None:
        self.is_read = False

    def resume_reading(self) -> None:
        self.is_read = True

    def close(self) -> None:
        pass


async def echo(scope: Any, receive: Any, send: Any) -> None:
    body, more = b"", True
    while more:
        message = await receive()
        assert message["type"] == "http.request"
        body += message["body"]
        more = message["more_body"]
    answer = scope["method"].encode() + b" " + body
    length = (b"content-length", str(len(answer)).encode())
    await send({"type": "http.response.start", "status": 200, "headers": [length]})
    await send({"type": "http.response.body", "body": answer})


def connect(app: Any) -> tuple[InterimProtocol, Wire]:
    config = uvicorn.Config(app, http=InterimProtocol, lifespan="off", ws="none", log_config=None)
    config.load()
    wire = Wire()
    protocol = InterimProtocol(config, ServerState(), {}, asyncio.get_running_loop())
    protocol.connection_made(wire)  # type: ignore[arg-type]
    return protocol, wire


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def request(method: str, body: bytes, *, chunked: bool = False) -> bytes:
    head = f"{method} / HTTP/1.1\r\nHost: here\r\n".encode()
    if chunked:
        chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in body)
        return head + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"
    return head + b"Content-Length: %d\r\n\r\n" % len(body) + body


REQUESTS = [
    request("POST", b"one" * 50),
    request("PUT", b""),
    request("POST", b"GET / HTTP/1.1\r\n\r\n"),
    b"GET / HTTP/1.1\r\nHost: here\r\n\r\n",
    request("PATCH", b"two", chunked=True),
    request("POST", b"three"),
    request("DELETE", b"four"),
]
ANSWERS = [
    b"POST " + b"one" * 50,
    b"PUT ",
    b"POST GET / HTTP/1.1\r\n\r\n",
    b"GET ",
    b"PATCH two",
    b"POST three",
    b"DELETE four",
]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 50, 100, 200, 10_000])
def test_bodies_come_whole_at_any_splitting_on_one_connection(size: int) -> None:
    async def run() -> bytes:
        protocol, wire = connect(echo)
        for one in REQUESTS:
            for at in range(0, len(one), size):
                protocol.data_received(one[at : at + size])
                if at % 3 == 0:
                    await settle()
            await settle()
        return bytes(wire.written)

    written = asyncio.run(run())
    assert written.count(b"HTTP/1.1 200") == len(REQUESTS)
    at = 0
    for answer in ANSWERS:
        at = written.index(b"\r\n\r\n" + answer, at) + len(answer)


@pytest.mark.parametrize("size", [1, 5, 64, 10_000])
def test_what_follows_a_body_in_one_piece_is_the_next_request(size: int) -> None:
    stream = b"".join(REQUESTS)

    async def run() -> bytes:
        protocol, wire = connect(echo)
        for at in range(0, len(stream), size):
            protocol.data_received(stream[at : at + size])
            await settle()
        for _ in REQUESTS:
            await settle()
        return bytes(wire.written)

    written = asyncio.run(run())
    found = [written.find(b"\r\n\r\n" + answer) for answer in ANSWERS]
    assert found == sorted(found)
    assert found[0] > 0


def test_a_client_waits_while_nobody_takes_what_it_sent() -> None:
    taken = asyncio.Event()

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        await taken.wait()
        await echo(scope, receive, send)

    async def run() -> None:
        protocol, wire = connect(slow)
        body = bytes(4 << 20)
        protocol.data_received(request("POST", body)[: -len(body)])
        sent = 0
        while wire.is_read and sent < len(body):
            protocol.data_received(body[sent : sent + 65536])
            sent += 65536
        assert sent < 1 << 20
        taken.set()
        while sent < len(body):
            await settle()
            assert wire.is_read
            protocol.data_received(body[sent : sent + 65536])
            sent += 65536
        await settle()
        assert wire.written.endswith(b"POST " + body)

    asyncio.run(run())


def test_an_answer_before_the_end_of_a_body_leaves_the_connection_whole() -> None:
    async def refuse(scope: Any, receive: Any, send: Any) -> None:
        length = (b"content-length", b"2")
        await send({"type": "http.response.start", "status": 400, "headers": [length]})
        await send({"type": "http.response.body", "body": b"no"})

    async def run() -> int:
        protocol, wire = connect(refuse)
        one = request("POST", b"x" * 100)
        for at in range(0, len(one), 30):
            protocol.data_received(one[at : at + 30])
            await settle()
        protocol.data_received(one + one)
        await settle()
        return wire.written.count(b"HTTP/1.1 400")

    assert asyncio.run(run()) == 3


def test_a_client_that_goes_away_is_told_to_whoever_reads() -> None:
    told = []

    async def reads(scope: Any, receive: Any, send: Any) -> None:
        while not told or told[-1] != "http.disconnect":
            told.append((await receive())["type"])

    async def run() -> None:
        protocol, _ = connect(reads)
        protocol.data_received(request("POST", b"abc")[:-1])
        await settle()
        protocol.connection_lost(None)
        await settle()

    asyncio.run(run())
    assert told == ["http.request", "http.disconnect"]
