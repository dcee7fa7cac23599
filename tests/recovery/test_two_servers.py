"""Two servers of one store behind a balancer; one or the other is killed again and again.

A client has no server of its own: each of its connections goes to whichever is next. What it
began at one goes on at the other, and nothing that was acknowledged is lost.
"""

from __future__ import annotations

import http.client
import os
import random
import select
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from faults import ReturningServer, lost_of
from push_client import start_push
from served_store import rows_of, run_json, wait_until_empty
from stored_files import Maker, Original, served, url_of

pytestmark = [pytest.mark.long, pytest.mark.timeout(2400)]

KILLS = int(os.environ.get("MERSEY_KILLS", "25"))
_PATIENCE_S = 240
_PIECE_BYTES = 400_000
_AGAIN = frozenset({409, 423, 500, 502, 503})
"""Somebody else has the upload, or the one who answers has just begun, or is about to end."""


class Balancer:
    """Passes each connection on to the next server that is there."""

    def __init__(self, servers: list[ReturningServer]) -> None:
        self._servers = servers
        self._turn = 0
        self.passed: Counter[int] = Counter()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._pass, args=(client,), daemon=True).start()

    def _pass(self, client: socket.socket) -> None:
        self._turn += 1
        with client, suppress(OSError):
            for number in (self._turn % 2, 1 - self._turn % 2):
                with suppress(OSError):
                    server = socket.create_connection(("127.0.0.1", self._servers[number].port))
                    break
            else:
                return
            self.passed[number] += 1
            with server:
                ends = {client: server, server: client}
                while True:
                    for ready in select.select(list(ends), [], [])[0]:
                        data = ready.recv(1 << 16)
                        if not data:
                            return
                        ends[ready].sendall(data)


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[list[ReturningServer]]:
    found = [ReturningServer(tmp_path / "store") for _ in range(2)]
    yield found
    for server in found:
        with suppress(ProcessLookupError):
            server.stop()


def make_study(folder: Path, number: int) -> list[Original]:
    maker = Maker(number)
    originals = [maker.make(kind) for kind in ["small"] * 24 + ["document"] * 2 + ["large"]]
    folder.mkdir()
    for one in originals:
        (folder / f"{one.uid}.dcm").write_bytes(one.data)
    return originals


class Upload:
    """One file by tus, a piece a connection, whatever becomes of them."""

    def __init__(self, port: int, original: Original, seed: int) -> None:
        self._port, self._data, self._chance = port, original.data, random.Random(seed)
        self.is_stored = False
        self._acknowledged = 0
        self.statuses: Counter[int] = Counter()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def wait(self) -> None:
        self._thread.join()

    def _run(self) -> None:
        end = time.monotonic() + _PATIENCE_S
        path = ""
        while not self.is_stored and time.monotonic() < end:
            try:
                path = path or self._create()
                self._go_on(path)
            except (OSError, http.client.HTTPException, ValueError):
                time.sleep(0.02)  # killed, or no longer what it was

    def _create(self) -> str:
        status, fields = self._ask("POST", "/uploads", Upload_Length=str(len(self._data)))
        if status != 201:
            raise ValueError
        return "/uploads/" + fields["location"].rpartition("/")[2]

    def _go_on(self, path: str) -> None:
        status, fields = self._ask("HEAD", path)
        if status in _AGAIN:
            raise ValueError
        assert status == 200
        offset = int(fields["upload-offset"])
        assert offset >= self._acknowledged  # by either of the two
        self._acknowledged = offset
        if offset == len(self._data):
            self.is_stored = True
            return
        piece = self._data[offset : offset + _PIECE_BYTES]
        if self._chance.random() < 0.3:
            self._break_off(path, offset, piece)
            return
        status, fields = self._ask("PATCH", path, piece, Upload_Offset=str(offset))
        assert status in {204, *_AGAIN}
        if status == 204:
            self._acknowledged = int(fields["upload-offset"])
        self.is_stored = status == 204 and offset + len(piece) == len(self._data)

    def _break_off(self, path: str, offset: int, piece: bytes) -> None:
        """Leave one server with a request that never ends, as a link that is cut does."""
        lines = [f"PATCH {path} HTTP/1.1", "Host: here", "Tus-Resumable: 1.0.0"]
        lines += ["Content-Type: application/offset+octet-stream", f"Upload-Offset: {offset}"]
        lines += [f"Content-Length: {len(piece)}", "", ""]
        link = socket.create_connection(("127.0.0.1", self._port))
        link.sendall("\r\n".join(lines).encode() + piece[: len(piece) // 2])
        threading.Timer(self._chance.uniform(0, 5), link.close).start()

    def _ask(
        self, method: str, path: str, body: bytes = b"", **fields: str
    ) -> tuple[int, dict[str, str]]:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=_PATIENCE_S)
        headers = {name.replace("_", "-"): value for name, value in fields.items()}
        headers |= {"Tus-Resumable": "1.0.0", "Content-Type": "application/offset+octet-stream"}
        with closing(connection):
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            answer.read()
            self.statuses[answer.status] += 1
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}


def test_what_one_began_the_other_ends_whichever_is_killed(
    servers: list[ReturningServer], tmp_path: Path
) -> None:
    chance = random.Random(20261124)
    balancer = Balancer(servers)
    stored: list[Original] = []
    statuses: Counter[int] = Counter()
    kills = 0
    try:
        for number in range(-(-KILLS // 2)):
            folder = tmp_path / f"folder{number}"
            pushed = make_study(folder, 2 * number + 1)
            sent = [Maker(2 * number + 2).make("large")]
            uploads = [Upload(balancer.port, one, number) for one in sent]
            url = f"http://127.0.0.1:{balancer.port}"
            pushing = start_push(folder, url, chance.choice(["as-stored", "zstd"]))
            for victim in chance.sample(servers, 2):
                time.sleep(chance.uniform(0.0, 2.0))
                victim.kill(with_workers=chance.random() < 0.5)
                kills += 1
                victim.start()
            for upload in uploads:
                upload.wait()
                assert upload.is_stored, upload.statuses
                statuses += upload.statuses
            pushing.join(_PATIENCE_S)
            assert pushing.exitcode == 0
            stored += [*pushed, *sent]
            for server in servers:
                for one in chance.sample(pushed, 4) + sent:
                    assert server.served.get(url_of(one)) == (200, served(one)), one.uid
    finally:
        balancer.close()
        for server in servers:
            with suppress(ProcessLookupError):
                server.stop()
    print(f"\n{kills} kills, connections {dict(balancer.passed)}, uploads {dict(statuses)}, lost 0")
    store = tmp_path / "store"
    assert len(rows_of(store)) == len(stored)
    assert lost_of(store, stored) == 0
    assert not list((store / "inbound").rglob("*.part"))
    wait_until_empty(store / "incoming")
    code, found = run_json("store", "verify", "--store", str(store), "--no-renditions")
    assert code == 0, found
