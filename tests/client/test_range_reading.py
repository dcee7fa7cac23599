"""Ranges arrive in the caller's buffers; what is no such range is left to others."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
import uvloop
from mersey.codecs.errors import TransferError
from mersey.engine.client.range_reading import RangeSource, UnexpectedAnswerError

DATA = bytes(range(256)) * 4096
RANGE = f"Content-Range: bytes 100-{len(DATA) - 1}/{len(DATA)}\r\n"
LENGTH = f"Content-Length: {len(DATA) - 100}\r\n"


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def run(request):
    """Runs a coroutine in either event loop."""

    def run(coroutine):
        with asyncio.Runner(loop_factory=request.param) as runner:
            return runner.run(coroutine)

    return run


async def read(head: str, body: bytes, *, times: int = 1, on_ask: Callable = print) -> list[bytes]:
    """What a server that answers so gives, and how many connections it saw."""
    connections = 0

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        try:
            while asked := await reader.readuntil(b"\r\n\r\n"):
                on_ask(asked)
                writer.write(f"HTTP/1.1 {head}\r\n".encode() + body)
                await writer.drain()
                if len(body) < len(DATA) - 100:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    found = []
    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        source = RangeSource({"X-Name": "x"}, stall_s=5)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/a?b=c"
        for _ in range(times):
            buffer = bytearray(len(DATA) - 100)
            async with source.read(
                url, 100, len(DATA), etag='"e"', whole_bytes=len(DATA)
            ) as reader:
                view = memoryview(buffer)
                for at in range(0, len(buffer), 300_000):
                    await reader.fill(view[at : at + 300_000])
            found.append(bytes(buffer))
        source.close()
    assert connections == 1
    return found


def test_ranges_arrive_whole_over_one_connection(run) -> None:
    asked: list[bytes] = []
    head = f"206 Partial Content\r\n{RANGE}{LENGTH}"
    assert run(read(head, DATA[100:], times=3, on_ask=asked.append)) == [DATA[100:]] * 3
    assert asked[0].startswith(b"GET /a?b=c HTTP/1.1\r\nHost: 127.0.0.1:")
    assert b"\r\nX-Name: x\r\n" in asked[0]
    assert b'\r\nIf-Match: "e"\r\n' in asked[0]
    assert f"\r\nRange: bytes=100-{len(DATA) - 1}\r\n".encode() in asked[0]


@pytest.mark.parametrize(
    "head",
    [
        f"200 OK\r\n{LENGTH}",
        f"412 Precondition Failed\r\n{LENGTH}",
        f"206 Partial Content\r\nContent-Range: bytes 0-9/{len(DATA)}\r\n{LENGTH}",
        f"206 Partial Content\r\n{RANGE}Content-Length: 5\r\n",
        f"206 Partial Content\r\n{RANGE}Transfer-Encoding: chunked\r\n",
        f"206 Partial Content\r\n{RANGE}{LENGTH}Content-Encoding: gzip\r\n",
        f"206 Partial Content\r\n{RANGE}{LENGTH}Content-Length: 5\r\n",
        f"206 Partial Content\r\nX: {'x' * 70_000}\r\n{RANGE}{LENGTH}",
        "nonsense",
    ],
)
def test_what_is_not_that_range_is_not_read(run, head) -> None:
    with pytest.raises(UnexpectedAnswerError):
        run(read(head, DATA[100:]))


def test_an_answer_that_breaks_off_is_a_failure_that_may_pass(run) -> None:
    with pytest.raises(TransferError):
        run(read(f"206 Partial Content\r\n{RANGE}{LENGTH}", DATA[100:5000]))
