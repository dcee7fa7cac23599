"""The catalogue keeps its contract on SQLite and on PostgreSQL, and what each alone must do."""

from __future__ import annotations

import itertools
import multiprocessing
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path

import pytest
from catalogue_answers import in_place
from catalogue_contract import CatalogueContract
from made_instances import make_stored
from mersey.codecs.errors import IntegrityError, ResourceError, UsageError
from mersey.engine.archive.blobs import Ready
from mersey.engine.archive.catalogue import Catalogue
from mersey.engine.archive.catalogues import forget_other_folders, open_catalogue
from mersey.engine.archive.collecting import collect_blobs
from mersey.engine.archive.directory_blobs import DirectoryBlobs
from mersey.engine.archive.receiving import no_space
from mersey.engine.archive.removal_lock import RemovalLock
from postgres_server import PostgresServer, postgres_programs

_numbers = itertools.count()


@pytest.fixture(scope="module")
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


@pytest.fixture
def url(postgres: PostgresServer) -> str:
    return postgres.make_database(f"test{next(_numbers)}")


class TestOnSqlite(CatalogueContract):
    @pytest.fixture
    def opened(self, tmp_path: Path) -> Iterator[Callable[[], Catalogue]]:
        with ExitStack() as stack:
            path = tmp_path / "store" / "catalogue.sqlite"
            yield lambda: stack.enter_context(closing(Catalogue.open(path)))


class TestOnPostgres(CatalogueContract):
    @pytest.fixture
    def opened(self, url: str) -> Iterator[Callable[[], Catalogue]]:
        with ExitStack() as stack:
            yield lambda: stack.enter_context(closing(Catalogue.at(url)))


def store_in_process(address: str, uids: list[str], ready, results) -> None:
    catalogue = Catalogue.at(address) if "://" in address else Catalogue.open(Path(address))
    ready.wait(240)
    stored = [make_stored(uid, study="1.2") for uid in uids]
    found = [catalogue.store([one], on_conflict="reject")[0].outcome for one in stored]
    catalogue.close()
    results.put(found)


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_two_processes_that_store_one_study_come_to_one_result(kind, request, tmp_path) -> None:
    address = request.getfixturevalue("url") if kind == "postgres" else str(tmp_path / "c.sqlite")
    context = multiprocessing.get_context("spawn")
    ready, results = context.Barrier(2), context.Queue()
    uids = [f"1.2.1.{number}" for number in range(60)]
    processes = [
        context.Process(target=store_in_process, args=(address, order, ready, results))
        for order in (uids, uids[::-1])
    ]
    for process in processes:
        process.start()
    found = results.get(timeout=240) + results.get(timeout=240)
    for process in processes:
        process.join(240)
    assert sorted(found) == ["new"] * 60 + ["same"] * 60
    catalogue = Catalogue.at(address) if kind == "postgres" else Catalogue.open(Path(address))
    CatalogueContract.check_counts(catalogue, instances=60)
    catalogue.close()


def test_only_what_must_outlive_a_power_failure_waits_for_the_disk(tmp_path) -> None:
    catalogue = Catalogue.open(tmp_path / "catalogue.sqlite")
    full, normal = (
        catalogue.database.write(
            lambda connection: connection.exec_driver_sql("PRAGMA synchronous").scalar(),
            durable=durable,
        )
        for durable in (True, False)
    )
    catalogue.close()
    assert (full, normal) == (2, 1)


def test_a_full_disk_is_said_to_be_one_and_costs_nothing_that_was_stored(tmp_path) -> None:
    catalogue = Catalogue.open(tmp_path / "catalogue.sqlite")
    catalogue.store([make_stored("1.2.1.1")], on_conflict="reject")

    def limit(pages: int) -> None:
        catalogue.database.write(
            lambda connection: connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
        )

    limit(1)  # no less than there are
    many = [make_stored(f"1.2.1.{number}") for number in range(1, 200)]
    with pytest.raises(ResourceError, match="full") as caught:
        catalogue.store(many, on_conflict="reject")
    assert no_space(caught.value)
    assert catalogue.count() == (1, 1, 1)
    limit(1 << 20)
    assert len(catalogue.store(many, on_conflict="reject")) == 199
    assert catalogue.count() == (1, 1, 199)
    catalogue.close()


def test_a_sqlite_catalogue_of_another_version_is_kept_aside(tmp_path) -> None:
    path = tmp_path / "catalogue.sqlite"
    first = Catalogue.open(path)
    first.store([make_stored("1.2.1.1")], on_conflict="reject")
    assert not first.needs_rebuild
    first.close()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE versions SET version = 1001")
    second = Catalogue.open(path)
    assert second.needs_rebuild
    assert second.count() == (0, 0, 0)
    second.close()
    with closing(sqlite3.connect(tmp_path / "catalogue.sqlite.1001.old")) as connection:
        assert connection.execute("SELECT count(*) FROM instances").fetchone() == (1,)
    # It is remembered until it is done, whoever opens it.
    third = Catalogue.open(path)
    assert third.needs_rebuild
    third.rebuilt()
    third.close()
    fourth = Catalogue.open(path)
    assert not fourth.needs_rebuild
    fourth.close()


def test_an_old_sqlite_catalogue_that_is_in_use_is_left_alone(tmp_path) -> None:
    path = tmp_path / "catalogue.sqlite"
    first = Catalogue.open(path)
    first.store([make_stored("1.2.1.1")], on_conflict="reject")
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE versions SET version = 1001")
    with pytest.raises(ResourceError, match="another process"):
        Catalogue.open(path)
    first.close()
    assert path.exists()


def test_a_file_that_is_no_database_is_not_overwritten(tmp_path) -> None:
    path = tmp_path / "catalogue.sqlite"
    path.write_bytes(b"no database at all" * 100)
    with pytest.raises(IntegrityError, match="no catalogue"):
        Catalogue.open(path)
    assert path.read_bytes().startswith(b"no database")


def test_a_catalogue_is_made_anew_on_demand(tmp_path, url) -> None:
    def openings(anew: bool) -> Iterator[Catalogue]:
        yield open_catalogue(tmp_path, anew=anew)
        yield open_catalogue(tmp_path, url, anew=anew)

    for catalogue in openings(False):
        catalogue.store([make_stored("1.2.1.1")], on_conflict="reject")
        catalogue.close()
    for catalogue in openings(True):
        assert catalogue.needs_rebuild
        assert catalogue.count() == (0, 0, 0)
        catalogue.store([make_stored("1.2.1.1")], on_conflict="reject")
        catalogue.close()


def test_a_catalogue_that_was_lost_is_to_be_rebuilt_from_the_blobs(tmp_path, url) -> None:
    blob = tmp_path / "blobs" / "ab" / f"{'ab' * 32}.dcm"
    blob.parent.mkdir(parents=True)
    blob.touch()
    for address in (None, url):
        for _ in range(2):
            catalogue = open_catalogue(tmp_path, address)
            assert catalogue.needs_rebuild
            catalogue.close()
    (tmp_path / "other" / "blobs" / "ab").mkdir(parents=True)
    empty = open_catalogue(tmp_path / "other")
    assert not empty.needs_rebuild
    empty.close()


def test_postgres_refuses_another_version_and_says_what_to_do(url) -> None:
    first = Catalogue.at(url)
    first.store([make_stored("1.2.1.1")], on_conflict="reject")
    first.database.write(
        lambda connection: connection.exec_driver_sql("UPDATE versions SET version = 7")
    )
    first.close()
    with pytest.raises(UsageError, match="mersey store rebuild"):
        Catalogue.at(url)
    again = Catalogue.at(url, anew=True)
    assert again.needs_rebuild
    again.close()


def test_a_database_that_cannot_be_had_is_a_resource_error_that_tells_no_secret(tmp_path) -> None:
    pytest.importorskip("psycopg")
    with pytest.raises(ResourceError, match="cannot be reached") as caught:
        Catalogue.at("postgresql://someone:secret@127.0.0.1:9/nowhere")
    assert "secret" not in str(caught.value)
    for url in ("mysql://host/name", "no address", "postgresql://host:port/x"):
        with pytest.raises(UsageError):
            Catalogue.at(url)


def test_a_database_that_vanished_and_came_back_is_used_again(postgres, url) -> None:
    catalogue = Catalogue.at(url)
    stored = make_stored("1.2.1.1")
    catalogue.store([stored], on_conflict="reject")
    postgres.stop(mode="immediate")
    try:
        for attempt in (
            lambda: catalogue.find("1.2.1.1"),
            lambda: catalogue.store([stored], on_conflict="reject"),
            catalogue.count,
        ):
            with pytest.raises(ResourceError):
                attempt()
    finally:
        postgres.start()
    assert catalogue.find("1.2.1.1") is not None
    assert [each.outcome for each in catalogue.store([stored], on_conflict="reject")] == ["same"]
    catalogue.close()


def test_servers_that_share_a_catalogue_forget_their_own_files_alone(tmp_path, url) -> None:
    folders = [tmp_path / name for name in ("a", "b")]
    for folder in folders:
        folder.mkdir()
    one, other = (open_catalogue(tmp_path / name, url) for name in ("one", "other"))
    one.add([in_place(folders[0] / "1.dcm", "1.2.1.1")])
    other.add([in_place(folders[1] / "2.dcm", "1.2.1.2"), in_place(folders[1] / "1", "1.2.1.1")])
    assert (one.folders(), other.folders()) == ([str(folders[0])], [str(folders[1])])
    forget_other_folders(one, [])
    one.forget(str(folders[1]), ["2.dcm"])
    assert one.find("1.2.1.1") is None
    assert one.find("1.2.1.2") is not None
    # The file that held the same instance is to be looked at again.
    assert list(other.known_files(str(folders[1]))) == ["2.dcm"]
    one.close()
    other.close()


def test_what_was_served_before_from_other_folders_is_forgotten(tmp_path) -> None:
    for name in ("a", "a/below", "ab"):
        (tmp_path / name).mkdir()
    catalogue = open_catalogue(tmp_path / "store")
    catalogue.add(
        [
            in_place(tmp_path / name / "x.dcm", f"1.2.1.{number}")
            for number, name in enumerate(("a", "a/below", "ab"))
        ]
    )
    catalogue.store([make_stored("1.2.1.9")], on_conflict="reject")
    forget_other_folders(catalogue, [tmp_path / "a"])
    uids = [entry.instance.sop_instance_uid for entry in catalogue.every_entry()]
    assert uids == ["1.2.1.0", "1.2.1.1", "1.2.1.9"]
    catalogue.close()


def test_no_machine_removes_blobs_while_another_stores(tmp_path, url) -> None:
    with ExitStack() as stack:
        catalogues = [stack.enter_context(closing(Catalogue.at(url))) for _ in range(2)]
        storing, removing = (
            RemovalLock(folder_of(tmp_path / name), catalogue.database)
            for name, catalogue in zip(("one", "other"), catalogues, strict=True)
        )
        with storing.committing():
            with removing.committing():
                pass  # any number store at once
            with removing.removing(wait=False) as alone:
                assert not alone
        with removing.removing(wait=True) as alone:
            assert alone
            with storing.removing(wait=False) as too:
                assert not too
        with storing.committing():
            pass


def folder_of(store: Path) -> Path:
    (store / "incoming").mkdir(parents=True)
    return store / "incoming"


def test_what_is_stored_without_the_lock_is_not_acknowledged(tmp_path, postgres, url) -> None:
    """A collection may have run as soon as the database came back."""
    with closing(Catalogue.at(url)) as catalogue:
        lock = RemovalLock(folder_of(tmp_path), catalogue.database)
        with pytest.raises(ResourceError), lock.committing():
            crash(postgres)
        with lock.committing():
            pass


def crash(postgres: PostgresServer) -> None:
    postgres.stop(mode="immediate")
    postgres.start()


def test_a_new_catalogue_knows_that_there_are_blobs_elsewhere(tmp_path, url) -> None:
    blobs = DirectoryBlobs(tmp_path / "elsewhere")
    store = tmp_path / "store"
    store.mkdir()
    key = "a" * 64 + ".dcm"
    (blobs.incoming / "one").write_bytes(b"bytes")
    blobs.commit([Ready(str(blobs.incoming / "one"), key)])
    for address in (None, url):
        with closing(open_catalogue(store, address, blobs=blobs)) as catalogue:
            assert catalogue.needs_rebuild
            with pytest.raises(UsageError, match="rebuild"):
                collect_blobs(blobs, catalogue, folder=store, grace_s=0)
    assert list(blobs.keys()) == [key]
