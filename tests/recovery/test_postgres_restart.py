"""PostgreSQL crashes under load and comes back: requests fail cleanly, nothing stored is lost."""

from __future__ import annotations

import http.client
import itertools
import json
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "conformance"))

from made_instances import make_stored
from postgres_server import PostgresServer, postgres_programs

pytestmark = pytest.mark.long

MERSEY = str(Path(sys.executable).with_name("mersey"))
RESTARTS = 4
PATIENCE_S = 240


@pytest.fixture
def postgres() -> Iterator[PostgresServer]:
    pytest.importorskip("psycopg")
    programs = postgres_programs()
    if programs is None:
        pytest.skip("no PostgreSQL is installed here")
    server = PostgresServer(programs)
    try:
        server.start()
        yield server
    finally:
        with suppress(RuntimeError):
            server.stop(mode="immediate")
        server.remove()


def restart(postgres: PostgresServer, is_noticed: Callable[[], object]) -> None:
    """Crash it, and start it again once somebody has noticed."""
    postgres.stop(mode="immediate")
    wait_for(is_noticed)
    postgres.start()


def test_what_was_acknowledged_is_there_after_the_database_crashed(postgres) -> None:
    from mersey.codecs.errors import ResourceError
    from mersey.engine.archive.catalogue import Catalogue

    url = postgres.make_database("load")
    numbers = itertools.count()
    acknowledged: list[str] = []
    failures: list[BaseException] = []
    stop = threading.Event()

    catalogues = [Catalogue.at(url) for _ in range(4)]

    def store(opened: Catalogue) -> None:
        with closing(opened) as catalogue:
            while not stop.is_set():
                first = next(numbers) * 10
                stored = [
                    make_stored(f"1.2.{n}", study=f"1.{n % 7}", series=f"1.{n % 7}.1")
                    for n in range(first, first + 10)
                ]
                try:
                    catalogue.store(stored, on_conflict="reject")
                except ResourceError as error:
                    failures.append(error)
                    stop.wait(0.05)
                except BaseException as error:  # noqa: BLE001  raised again below
                    failures.append(error)
                    return
                else:
                    acknowledged.extend(one.instance.sop_instance_uid for one in stored)

    threads = [threading.Thread(target=store, args=(one,)) for one in catalogues]
    for thread in threads:
        thread.start()
    try:
        for _ in range(RESTARTS):
            stored_before = len(acknowledged)
            wait_for(lambda count=stored_before: len(acknowledged) > count)
            failed_before = len(failures)
            restart(postgres, lambda count=failed_before: len(failures) > count)
        before = len(acknowledged)
        wait_for(lambda: len(acknowledged) > before)
    finally:
        stop.set()
        for thread in threads:
            thread.join(PATIENCE_S)
    assert [error for error in failures if not isinstance(error, ResourceError)] == []
    assert len(failures) >= RESTARTS
    with closing(Catalogue.at(url)) as catalogue:
        there = {entry.instance.sop_instance_uid for entry in catalogue.every_entry()}
        assert set(acknowledged) <= there
        # Each transaction is there as a whole or not at all.
        groups = Counter(int(uid.rpartition(".")[2]) // 10 for uid in there)
        assert set(groups.values()) == {10}
        totals = catalogue.totals()
        assert totals.instances == len(there)


def test_a_server_answers_503_while_the_database_is_away_and_goes_on(
    postgres, sample_study, tmp_path
) -> None:
    url = postgres.make_database("serve")
    told = tmp_path / "told.txt"
    command = [
        MERSEY,
        "serve",
        str(sample_study.enhanced_ct.parent),
        "--store",
        str(tmp_path / "s"),
    ]
    with told.open("wb") as errors:
        server = subprocess.Popen(
            [*command, "--catalogue", url, "--port", "0", "--jobs", "1"],
            stdout=subprocess.PIPE,
            stderr=errors,
        )
    try:
        assert server.stdout is not None
        address = server.stdout.readline().split()[2].decode()
        wait_for(lambda: ask(address, "/studies") not in (None, (200, b"[]")))
        statuses: Counter[int | None] = Counter()
        stop = threading.Event()

        def load(path: str) -> None:
            while not stop.is_set():
                answer = ask(address, path)
                statuses[None if answer is None else answer[0]] += 1
                if answer is not None and answer[0] == 503:
                    assert json.loads(answer[1])["error"] == "ResourceError"

        threads = [
            threading.Thread(target=load, args=(path,))
            for path in ("/studies", "/instances?limit=5", "/studies?PatientName=*", "/series")
        ]
        for thread in threads:
            thread.start()
        try:
            for _ in range(RESTARTS):
                restart(postgres, lambda count=statuses[503]: statuses[503] > count)
                wait_for(lambda: (ask(address, "/studies") or (0,))[0] == 200)
        finally:
            stop.set()
            for thread in threads:
                thread.join(PATIENCE_S)
        assert set(statuses) == {200, 503}
        assert server.poll() is None
        text = told.read_text()
        assert "Traceback" not in text
    finally:
        server.terminate()
        assert server.wait(PATIENCE_S) == 0
        if server.stdout is not None:
            server.stdout.close()


def ask(address: str, path: str) -> tuple[int, bytes] | None:
    """Status and body; None where no answer came."""
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=PATIENCE_S)
    try:
        connection.request("GET", f"/dicom-web{path}")
        response = connection.getresponse()
        return response.status, response.read()
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def wait_for(condition, *, seconds: float = PATIENCE_S) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.05)
