"""kill -9 in the middle of a mixed ingest: what was acknowledged is there, and nothing in half."""

from __future__ import annotations

import itertools
import random
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import closing
from functools import partial
from http.client import HTTPException
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from served_store import (
    MERSEY,
    ServedStore,
    acknowledged_in,
    blob_sha256,
    rows_of,
    run_json,
    wait_until_empty,
)
from stored_files import Maker, Original

pytestmark = [pytest.mark.long, pytest.mark.timeout(2400)]

KILLS = 50  # of each of the four seeds; a round kills a server and up to two imports
SEEDS = (20261124, 20261201, 20261208, 20261215)


class MixedIngest:
    """Several clients that store all the time until the server is gone; what they were told."""

    def __init__(self, server: ServedStore, seed: int) -> None:
        self._server = server
        self._lock = threading.Lock()
        self.sent: dict[str, Original] = {}
        self.acknowledged: set[str] = set()
        self.refused: Counter[int] = Counter()
        self.was_told = threading.Event()
        shapes = [("small", 40), ("small", 1), ("small", 1), ("document", 3), ("large", 1)]
        self._threads = [
            threading.Thread(target=self._store, args=(Maker(seed + number), kind, count))
            for number, (kind, count) in enumerate(shapes)
        ]
        for thread in self._threads:
            thread.start()

    def _store(self, maker: Maker, kind: str, count: int) -> None:
        while True:
            originals = [maker.make(kind) for _ in range(count)]
            with self._lock:
                self.sent.update((one.uid, one) for one in originals)
            try:
                status, dataset = self._server.post(originals)
            except (OSError, HTTPException, ValueError):
                return  # it was killed
            with self._lock:
                self.acknowledged |= acknowledged_in(dataset)
                self.was_told.set()
                if status != 200:
                    self.refused[status] += 1

    def wait(self) -> None:
        for thread in self._threads:
            thread.join()


def start_import(folder: Path, maker: Maker, store: Path) -> tuple[subprocess.Popen[str], dict]:
    folder.mkdir()
    originals = [maker.make("small") for _ in range(60)] + [maker.make("document")]
    for one in originals:
        (folder / f"{one.uid}.dcm").write_bytes(one.data)
    process = subprocess.Popen(
        [MERSEY, "import", str(folder), "--store", str(store), "--jobs", "1"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    return process, {one.uid: one for one in originals}


def check_store(store: Path, acknowledged: dict[str, str], known: dict[str, str]) -> None:
    """All that was acknowledged is there, and whatever is there is whole."""
    with closing(sqlite3.connect(store / "catalogue.sqlite")) as connection:
        assert connection.execute("PRAGMA quick_check").fetchall() == [("ok",)]
    rows = rows_of(store)
    lost = [uid for uid, sha256 in acknowledged.items() if rows.get(uid, ("", ""))[1] != sha256]
    assert not lost
    for uid, (key, sha256) in rows.items():
        if uid not in known:
            assert blob_sha256(store, key) == sha256
            known[uid] = sha256


@pytest.mark.parametrize("seed", SEEDS)
def test_what_was_acknowledged_survives_two_hundred_kills(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    store = tmp_path / "store"
    acknowledged: dict[str, str] = {}
    sent: dict[str, str] = {}
    known: dict[str, str] = {}
    kills: Counter[str] = Counter()
    for number in itertools.count():
        server = ServedStore(store)
        wait_until_empty(store / "incoming")
        check_store(store, acknowledged, known)
        if kills.total() >= KILLS:
            break
        first = seed + 10 * number
        load = MixedIngest(server, first)
        imports = [
            start_import(tmp_path / f"{number}.{n}", Maker(first + 8 + n), store) for n in (0, 1)
        ]
        if chance.random() < 0.7:  # otherwise while workers start
            load.was_told.wait(240)
        time.sleep(chance.uniform(0.0, 0.8))
        with_workers = chance.random() < 0.5
        steps = [partial(server.kill, with_workers=with_workers)]
        steps += [process.kill for process, _ in imports if process.poll() is None]
        for kill in chance.sample(steps, len(steps)):
            kill()
            time.sleep(chance.choice([0.0, 0.0, 0.1]))
        load.wait()
        assert not load.refused
        kills["server and workers" if with_workers else "server"] += 1
        for process, files in imports:
            digests = {uid: one.sha256 for uid, one in files.items()}
            sent |= digests
            if process.wait() == 0:
                acknowledged |= digests
            else:
                kills["import"] += 1
        sent |= {uid: one.sha256 for uid, one in load.sent.items()}
        acknowledged |= {uid: load.sent[uid].sha256 for uid in load.acknowledged}
    print(f"\nkills {dict(kills)}, sent {len(sent)}, acknowledged {len(acknowledged)}, lost 0")
    try:
        assert all(sent[uid] == sha256 for uid, sha256 in known.items())
        status, answer = server.post([Maker(1).make()])
        assert (status, len(acknowledged_in(answer))) == (200, 1)
    finally:
        server.stop()
    code, _ = run_json("store", "gc", "--store", str(store), "--grace-hours", "0")
    assert code == 0
    blobs = {path.name for path in (store / "blobs").glob("*/*")}
    assert blobs == {key for key, _ in rows_of(store).values()}
    code, found = run_json("store", "verify", "--store", str(store), "--no-renditions")
    assert code == 0, found
    assert len(acknowledged) > KILLS // 2
