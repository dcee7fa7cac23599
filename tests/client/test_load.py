"""Load is shared out whole, stops when told, and counts only what was answered rightly."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from mersey.codecs.errors import IntegrityError, TransferError, UsageError
from mersey.engine.client.address import Address
from mersey.engine.client.load import Checked, LoadWork, checked, run_load, shares
from mersey.engine.client.load_board import LoadBoard
from mersey.engine.client.load_targets import LoadTarget, find_instances, find_targets
from mersey.engine.client.remote import Remote, RemoteSettings


class Answers(BaseHTTPRequestHandler):
    """Answers by path: the list of bodies in turn, or a status."""

    protocol_version = "HTTP/1.1"
    table: dict[str, list[bytes] | int]
    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        answer = self.table.get(self.path.partition("?")[0], 404)
        status, body = (answer, b"") if isinstance(answer, int) else (200, answer[0])
        if isinstance(answer, list) and len(answer) > 1:
            answer.append(answer.pop(0))
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "http://192.0.2.1/elsewhere")
        if self.path.endswith("parts"):
            boundary = body[2:4].decode()
            self.send_header("Content-Type", f"multipart/related; boundary={boundary}")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def answering(table: dict[str, list[bytes] | int]) -> Iterator[tuple[Address, list[str]]]:
    """A server with a table of answers, and what it was asked."""
    asked: list[str] = []
    handler = type("Handler", (Answers,), {"table": table, "asked": asked})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield Address.parse(f"http://127.0.0.1:{server.server_port}/d"), asked
        finally:
            server.shutdown()
            thread.join()


def look(address: Address, *paths: str) -> tuple[Checked, ...]:
    async def main() -> tuple[Checked, ...]:
        async with Remote(address) as remote:
            return await checked(remote, [LoadTarget(address.base + path, "*/*") for path in paths])

    return asyncio.run(main())


def work_of(address: Address, *paths: str, length: int = 3, **changes) -> LoadWork:
    targets = tuple(Checked(LoadTarget(address.base + path, "*/*", 2), length) for path in paths)
    fields = {"connections": 2, "duration_s": 5.0, "requests": 6} | changes
    return LoadWork(address, RemoteSettings(), targets, **fields)


def part(boundary: bytes, data: bytes) -> bytes:
    return b"--%b\r\n\r\n%b\r\n--%b--\r\n" % (boundary, data, boundary)


def test_targets_are_asked_twice_and_their_length_is_kept() -> None:
    with answering({"/d/a": [b"abc"], "/d/b": [b"de"]}) as (address, asked):
        assert [one.length_bytes for one in look(address, "/a", "/b")] == [3, 2]
        assert asked == ["/d/a", "/d/a", "/d/b", "/d/b"]


def test_boundaries_may_differ_but_parts_may_not() -> None:
    right, wrong = [part(b"b1", b"x"), part(b"b2", b"x")], [part(b"b1", b"x"), part(b"b2", b"y")]
    with answering({"/d/parts": right}) as (address, _):
        assert len(look(address, "/parts")) == 1
    with answering({"/d/parts": wrong}) as (address, _), pytest.raises(IntegrityError):
        look(address, "/parts")


@pytest.mark.parametrize("bodies", [[b"abc", b"abd"], [b""]])
def test_answers_that_differ_or_are_empty_are_found_out(bodies: list[bytes]) -> None:
    with answering({"/d/a": bodies}) as (address, _), pytest.raises(IntegrityError, match="answer"):
        look(address, "/a")


def test_redirects_are_not_followed() -> None:
    with answering({"/d/a": 302}) as (address, _), pytest.raises(TransferError, match="302"):
        look(address, "/a")


def test_load_counts_what_was_answered_rightly_and_the_rest_by_kind() -> None:
    table: dict[str, list[bytes] | int] = {"/d/a": [b"abc"], "/d/b": [b"short"], "/d/c": 503}
    with answering(table) as (address, asked):
        result = run_load(work_of(address, "/a", "/b", "/c"))
        assert len(asked) == 6
    assert result.answered == len(result.latencies_s) == len(result.first_byte_s) == 2
    assert (result.body_bytes, result.pixel_bytes) == (6, 4)
    assert dict(result.errors) == {"a body of another length": 2, "status 503": 2}
    both = zip(result.first_byte_s, result.latencies_s, strict=True)
    assert all(head_s <= whole_s for head_s, whole_s in both)


def test_load_stops_when_it_is_told_and_counts_on_the_board() -> None:
    with answering({"/d/a": [b"abc"]}) as (address, _), LoadBoard.create() as board:
        work = work_of(address, "/a", requests=None, duration_s=300.0, board=board.path, slot=3)
        stopping = threading.Thread(target=_stop_after_answers, args=(board,))
        stopping.start()
        result = run_load(work)
        stopping.join()
        assert board.totals() == (result.answered, result.body_bytes)
        assert result.answered > 0
        board.clear()
        assert board.totals() == (0, 0)
        assert not board.is_stopped


def _stop_after_answers(board: LoadBoard) -> None:
    end = time.monotonic() + 240
    while not board.totals()[0] and time.monotonic() < end:
        time.sleep(0.01)
    board.stop()


@pytest.mark.parametrize(
    ("connections", "processes", "requests"), [(1, 4, 7), (5, 2, 3), (64, 3, 0)]
)
def test_shares_add_up_to_the_whole(connections: int, processes: int, requests: int) -> None:
    whole = work_of(
        Address.parse("http://h/d"), *"abcdef", connections=connections, requests=requests or None
    )
    found = shares(whole, processes=processes)
    assert len(found) == min(processes, connections)
    assert sum(one.connections for one in found) == connections
    assert all(one.connections > 0 for one in found)
    assert [one.slot for one in found] == list(range(len(found)))
    if requests:
        assert sum(one.requests or 0 for one in found) == requests


def test_a_search_is_not_trusted() -> None:
    rows = """[
        {"0020000D": {"Value": ["1.2"]}, "0020000E": {"Value": ["1.2.3"]},
         "00080018": {"Value": ["1.2.3.4"]}, "00280010": {"Value": [2]},
         "00280011": {"Value": ["3"]}, "00280100": {"Value": [16]},
         "00280008": {"Value": ["99999999999999"]}},
        {"0020000D": {"Value": ["1.2"]}, "0020000E": {"Value": ["../.."]},
         "00080018": {"Value": ["1.2.3.5"]}, "00280010": {"Value": [2]},
         "00280011": {"Value": [3]}},
        {"00080018": {"Value": []}}, {"00280010": 7}
    ]"""
    table: dict[str, list[bytes] | int] = {"/d/studies/1.2/instances": [rows.encode()]}

    async def main(address: Address):
        async with Remote(address.of_study("1.2")) as remote:
            return await find_instances(remote), await find_targets(remote, "frames", most=3)

    with answering(table) as (address, _):
        (one,), targets = asyncio.run(main(address))
    assert (one.uid, one.frame_bytes, one.frames) == ("1.2.3.4", 12, 1_000_000)
    assert len(targets) == 3
    assert targets[0].url.endswith("/studies/1.2/series/1.2.3/instances/1.2.3.4/frames/1")


def test_a_server_with_nothing_in_it_is_told_of() -> None:
    async def main(address: Address) -> None:
        async with Remote(address) as remote:
            await find_targets(remote, "studies", most=3)

    with answering({"/d/studies": [b"[]"]}) as (address, _), pytest.raises(UsageError):
        asyncio.run(main(address))
