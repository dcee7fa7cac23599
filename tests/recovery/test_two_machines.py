"""Two machines share an object store and a catalogue; one of them is killed again and again.

Each has its own local folder, so that nothing but S3 and PostgreSQL connects them.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from http.client import HTTPException
from pathlib import Path
from typing import NamedTuple

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "conformance"))

from faults import ReturningServer
from postgres_server import PostgresServer, postgres_programs
from s3_server import S3Server
from served_store import MERSEY, ServedStore, acknowledged_in, run_json
from stored_files import Maker, Original, served, url_of

pytestmark = [pytest.mark.long, pytest.mark.timeout(2400)]

KILLS = int(os.environ.get("MERSEY_KILLS", "12"))
_SHARED = 15
_PATIENCE_S = 240
_PROGRESSIVE = "application/dicom; transfer-syntax=1.2.840.10008.1.2.4.202"


class Shared(NamedTuple):
    """What machines have in common: the URL of the store, and that of the catalogue."""

    store: str
    catalogue: str

    def arguments(self, local: Path) -> list[str]:
        return ["--local", str(local), "--catalogue", self.catalogue]

    def run(self, command: str, local: Path, *more: str) -> tuple[int, dict]:
        """A `mersey store` command on one of the machines: its exit code and what it tells."""
        where = ["--store", self.store, *self.arguments(local)]
        return run_json("store", command, *where, *more)


@pytest.fixture
def shared(monkeypatch: pytest.MonkeyPatch) -> Iterator[Shared]:
    for module in ("obstore", "moto", "psycopg"):
        pytest.importorskip(module)
    programs = postgres_programs()
    if programs is None:
        pytest.skip("no PostgreSQL is installed here")
    postgres = PostgresServer(programs)
    try:
        postgres.start()
        objects = S3Server()
        try:
            for name, value in objects.environment.items():
                monkeypatch.setenv(name, value)
            yield Shared("s3://archive/originals", postgres.make_database("shared"))
        finally:
            objects.stop()
    finally:
        with suppress(RuntimeError):
            postgres.stop(mode="immediate")
        postgres.remove()


class Load:
    """Clients that store at `server` until it is gone or `stop` is called; what they were told."""

    def __init__(self, server: ServedStore, made: dict[str, list[Original]]) -> None:
        self._server = server
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self.acknowledged: set[str] = set()
        self.statuses: Counter[int] = Counter()
        self.was_told = threading.Event()
        self._threads = [
            threading.Thread(target=self._store, args=(originals, at_once))
            for originals, at_once in zip(made.values(), (10, 1, 2), strict=False)
        ]
        for thread in self._threads:
            thread.start()

    def _store(self, originals: list[Original], at_once: int) -> None:
        for start in range(0, len(originals), at_once):
            if self._stopped.is_set():
                return
            try:
                status, dataset = self._server.post(originals[start : start + at_once])
            except (OSError, HTTPException, ValueError):
                return  # it was killed
            with self._lock:
                self.acknowledged |= acknowledged_in(dataset)
                self.statuses[status] += 1
            self.was_told.set()

    def wait(self) -> None:
        for thread in self._threads:
            thread.join()


def start_import(
    shared: Shared, folder: Path, local: Path, made: list[Original]
) -> subprocess.Popen:
    folder.mkdir()
    for one in made:
        (folder / f"{one.uid}.dcm").write_bytes(one.data)
    command = [MERSEY, "import", str(folder), "--store", shared.store, *shared.arguments(local)]
    return subprocess.Popen(
        [*command, "--jobs", "1"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def make_round(number: int) -> tuple[list[Original], list[list[Original]]]:
    """A study that all store at once, and one for each of the three."""
    common = Maker(10 * number + 1, study="1.2.3")
    shared = [common.make() for _ in range(_SHARED)] + [common.make("document")]
    own = []
    for writer in range(3):
        maker = Maker(10 * number + 2 + writer, study=f"1.2.4.{writer + 1}")
        own.append([maker.make() for _ in range(_SHARED)] + [maker.make("document")])
    own[0].append(Maker(10 * number + 9, study="1.2.4.1").make("large"))  # in parts
    return shared, own


def read_whole(server: ServedStore, one: Original) -> None:
    assert server.get(url_of(one)) == (200, served(one)), one.uid


def test_what_either_acknowledged_both_serve_while_one_is_killed(
    shared: Shared, tmp_path: Path
) -> None:
    chance = random.Random(20261124)
    locals_ = [tmp_path / name for name in ("one", "other", "importing", "caring")]
    for local in locals_:
        local.mkdir()
    servers = [ReturningServer(shared.store, *shared.arguments(local)) for local in locals_[:2]]
    acknowledged: dict[str, Original] = {}
    kills: Counter[str] = Counter()
    sent = 0
    try:
        for number in range(KILLS):
            common, own = make_round(number)
            made = {one.uid: one for one in [*common, *own[0], *own[1], *own[2]]}
            sent += len(made)
            victim = number % 2
            loads = [
                Load(server.served, {"common": common, "own": own[at]})
                for at, server in enumerate(servers)
            ]
            importing = start_import(
                shared, tmp_path / f"folder{number}", locals_[2], [*own[2], *common]
            )
            caring = threading.Thread(
                target=shared.run, args=("gc", locals_[3], "--grace-hours", "0")
            )
            caring.start()
            if chance.random() < 0.8:
                loads[victim].was_told.wait(_PATIENCE_S)
            time.sleep(chance.uniform(0.0, 0.6))
            with_workers = chance.random() < 0.5
            steps = [partial(servers[victim].kill, with_workers=with_workers)]
            if chance.random() < 0.5:
                steps.append(importing.kill)
            for kill in chance.sample(steps, len(steps)):
                kill()
            kills["server and workers" if with_workers else "server"] += 1
            kills["import"] += len(steps) - 1
            for load in loads:
                load.wait()
            told = loads[0].acknowledged | loads[1].acknowledged
            if importing.wait(_PATIENCE_S) == 0:
                told |= {one.uid for one in [*own[2], *common]}
            caring.join()
            # Who was not killed stored everything, whatever became of the others.
            assert set(loads[1 - victim].statuses) == {200}
            servers[victim].start()
            acknowledged |= {uid: made[uid] for uid in told}
            for uid in chance.sample(sorted(told), min(6, len(told))):
                for server in servers:
                    read_whole(server.served, made[uid])
        for one in acknowledged.values():
            read_whole(servers[len(one.data) % 2].served, one)
        for one in list(acknowledged.values())[:: len(acknowledged) // 5]:
            # Of a document there is no such form, and it is told.
            assert servers[0].served.get(url_of(one), _PROGRESSIVE)[0] in (200, 406)
    finally:
        for server in servers:
            with suppress(ProcessLookupError):
                server.stop()
    print(f"\nkills {dict(kills)}, sent {sent}, acknowledged {len(acknowledged)}, lost 0")
    assert len(acknowledged) > KILLS * _SHARED
    code, stats = shared.run("stats", locals_[3])
    assert (code, stats["instances"] >= len(acknowledged)) == (0, True), stats
    code, collected = shared.run("gc", locals_[3], "--grace-hours", "0")
    assert code == 0, collected
    code, found = shared.run("verify", locals_[0])
    assert code == 0, found
    assert found["blobs"] == stats["instances"]
    assert found["renditions"] > 0


def test_what_one_replaces_the_other_stops_serving(shared: Shared, tmp_path: Path) -> None:
    old = Maker(1).make()
    new = Original(old.uid, old.data[:-1] + bytes([old.data[-1] ^ 1]))
    servers = [
        ServedStore(shared.store, *shared.arguments(tmp_path / name), "--on-conflict", "replace")
        for name in ("one", "other")
    ]
    try:
        assert servers[0].post([old])[0] == 200
        for server in servers:
            read_whole(server, old)
        assert servers[0].post([new])[0] == 200
        read_whole(servers[0], new)
        deadline = time.monotonic() + _PATIENCE_S
        while servers[1].get(url_of(new)) != (200, served(new)):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert servers[1].post([old])[0] == 200
        deadline = time.monotonic() + _PATIENCE_S
        while servers[0].get(url_of(old)) != (200, served(old)):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        for server in servers:
            read_whole(server, old)
    finally:
        for server in servers:
            server.stop()
    code, found = shared.run("gc", tmp_path / "one", "--grace-hours", "0")
    assert (code, found["blobs"]["count"]) == (0, 1)
    assert shared.run("verify", tmp_path / "other")[0] == 0
