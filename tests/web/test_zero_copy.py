"""Files straight from the page cache to a socket: in order, whole, or not to their end."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path

import pytest
import uvicorn
from mersey.engine.archive.entry import stamp_of
from mersey.engine.transfer.body import Body, FileSlice, Segment
from mersey.engine.web.file_run import FileRun, pieces_and_runs
from mersey.engine.web.responses import BodyResponse
from mersey.engine.web.zero_copy import ZeroCopyProtocol, can_send_runs
from starlette.types import Receive, Scope, Send

ASK = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"


def slice_of(path: Path, start: int = 0, stop: int | None = None) -> FileSlice:
    stamp = stamp_of(os.stat(path))
    return FileSlice(str(path), start, (stop or stamp.size_bytes) - start, stamp)


def write(path: Path, length: int) -> bytes:
    data = os.urandom(length)
    path.write_bytes(data)
    return data


@asynccontextmanager
async def serving(segments: list[Segment]) -> AsyncIterator[Callable[[], socket.socket]]:
    """A server that answers everything with `segments`, and what connects to it."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert can_send_runs(scope)
        body = Body.of(segments, etag='"tag"')
        response = BodyResponse(body, content_type="x/y", is_verified=True)
        await response(scope, receive, send)

    config = uvicorn.Config(
        app, http=ZeroCopyProtocol, ws="none", lifespan="off", log_config=None, access_log=False
    )
    server = uvicorn.Server(config)
    server.capture_signals = nullcontext  # type: ignore[method-assign]
    with socket.create_server(("127.0.0.1", 0)) as listener:
        running = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield lambda: socket.create_connection(listener.getsockname(), timeout=240)
        finally:
            server.should_exit = server.force_exit = True
            await running


def read_answer(client: socket.socket) -> tuple[bytes, int, bytes]:
    """The status line, what Content-Length tells, and what came."""
    held = b""
    while b"\r\n\r\n" not in held:
        held += client.recv(1 << 16)
    head, _, body = held.partition(b"\r\n\r\n")
    fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
    length = int(fields[b"content-length"])
    pieces = [body]
    left = length - len(body)
    while left and (piece := client.recv(1 << 20)):
        pieces.append(piece)
        left -= len(piece)
    return head.split(b"\r\n")[0], length, b"".join(pieces)


def ask(client: socket.socket) -> tuple[bytes, int, bytes]:
    client.sendall(ASK)
    return read_answer(client)


def test_slices_of_files_arrive_in_order_with_what_lies_between_them(tmp_path: Path) -> None:
    first = write(tmp_path / "first", 3 << 20)
    second = write(tmp_path / "second", 300_001)
    segments: list[Segment] = [
        b"before",
        slice_of(tmp_path / "first", 5, 2_000_000),
        slice_of(tmp_path / "second"),
        b"between",
        slice_of(tmp_path / "second", 0, 10),
        slice_of(tmp_path / "first"),
    ]
    expected = b"before" + first[5:2_000_000] + second + b"between" + second[:10] + first

    async def main() -> None:
        async with serving(segments) as connect:
            with connect() as client:
                for _ in range(2):  # the connection goes on to carry another
                    status, _, body = await asyncio.to_thread(ask, client)
                    assert b" 200 " in status
                    assert body == expected

    asyncio.run(main())


def test_most_of_a_file_is_in_runs_but_never_its_end(tmp_path: Path) -> None:
    write(tmp_path / "file", 1 << 20)

    async def main() -> list[bool]:
        body = Body.of([slice_of(tmp_path / "file")], etag="")
        return [isinstance(one, FileRun) async for one in pieces_and_runs(body)]

    assert asyncio.run(main()) == [True, False]


def test_a_file_that_is_another_by_now_is_answered_with_an_error(tmp_path: Path) -> None:
    write(tmp_path / "file", 1 << 20)
    segments: list[Segment] = [slice_of(tmp_path / "file")]
    write(tmp_path / "file", 1 << 19)

    async def main() -> None:
        async with serving(segments) as connect:
            with connect() as client:
                status, _, _ = await asyncio.to_thread(ask, client)
                assert b" 200 " not in status

    asyncio.run(main())


def test_an_answer_whose_file_changes_meanwhile_has_no_end(tmp_path: Path) -> None:
    write(tmp_path / "file", 64 << 20)
    segments: list[Segment] = [slice_of(tmp_path / "file")]

    def half(client: socket.socket) -> int:
        client.sendall(ASK)
        client.recv(1 << 10)
        with (tmp_path / "file").open("r+b") as file:
            file.truncate(40 << 20)
        come = 1 << 10
        while piece := client.recv(1 << 20):
            come += len(piece)
        return come

    async def main() -> None:
        async with serving(segments) as connect:
            with connect() as client:
                come = await asyncio.to_thread(half, client)
                assert come < 64 << 20

    asyncio.run(main())


@pytest.mark.parametrize("read_bytes", [0, 100_000])
def test_nothing_stays_open_for_a_client_that_goes_away(tmp_path: Path, read_bytes: int) -> None:
    write(tmp_path / "file", 64 << 20)
    segments: list[Segment] = [slice_of(tmp_path / "file")]

    def leave(client: socket.socket) -> None:
        client.sendall(ASK)
        client.recv(read_bytes + 1)
        client.close()

    def until_closed() -> None:
        name, deadline = str(tmp_path / "file"), time.monotonic() + 240
        while name in map(os.path.realpath, Path("/proc/self/fd").iterdir()):
            assert time.monotonic() < deadline
            time.sleep(0.01)

    async def main() -> None:
        async with serving(segments) as connect:
            await asyncio.to_thread(leave, connect())
            await asyncio.to_thread(until_closed)
            with connect() as client:
                _, length, body = await asyncio.to_thread(ask, client)
                assert len(body) == length

    asyncio.run(main())
