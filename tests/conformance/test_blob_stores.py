"""The contract of blob stores, on a folder and on an S3 server on this machine."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import zstandard
from blob_store_contract import BlobStoreContract, key_of, received
from mersey.codecs.errors import IntegrityError
from mersey.engine.archive.blob_stores import open_blobs
from mersey.engine.archive.blobs import BlobStore, Ready
from mersey.engine.archive.watched_blobs import WatchedBlobs
from s3_server import S3Server

_LARGE = 20 << 20  # goes up in three parts

_KILLED = """
import os, signal, sys
from pathlib import Path
from mersey.engine.archive import object_blobs
from mersey.engine.archive.blob_stores import open_blobs
from mersey.engine.archive.blobs import Ready

url, local, path, key = sys.argv[1:]
pieces = object_blobs._checked_pieces

def killed(*arguments):
    for number, piece in enumerate(pieces(*arguments)):
        if number == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        yield piece

object_blobs._checked_pieces = killed
open_blobs(url, local=Path(local)).commit([Ready(path, key)])
"""


class TestDirectory(BlobStoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> BlobStore:
        return open_blobs(tmp_path / "store", local=tmp_path)

    def spoil(self, store: BlobStore, key: str, data: bytes) -> None:
        path = store.path_of(key)
        assert path is not None
        Path(path).write_bytes(data)


class TestWatchedDirectory(TestDirectory):
    @pytest.fixture
    def store(self, tmp_path: Path) -> BlobStore:
        blobs = open_blobs(tmp_path / "store", local=tmp_path)
        return WatchedBlobs(blobs, on_lost=lambda _: None)


@pytest.fixture(scope="module")
def s3_server() -> Iterator[S3Server]:
    pytest.importorskip("obstore")
    pytest.importorskip("moto")
    server = S3Server()
    try:
        yield server
    finally:
        server.stop()


class TestS3(BlobStoreContract):
    @pytest.fixture
    def store(
        self, s3_server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> BlobStore:
        for name, value in s3_server.environment.items():
            monkeypatch.setenv(name, value)
        return open_blobs(f"s3://archive/{uuid.uuid4().hex}", local=tmp_path)

    def spoil(self, store: BlobStore, key: str, data: bytes) -> None:
        import obstore

        obstore.put(store._store, f"blobs/{key[:2]}/{key}", data)  # type: ignore[attr-defined]

    @pytest.mark.parametrize(
        ("fault", "size_bytes", "compressed"),
        [
            ("torn", _LARGE, False),
            ("flipped", _LARGE, True),
            ("longer", _LARGE, False),
            *itertools.product(("torn", "flipped", "longer"), (1000,), (False, True)),
        ],
    )
    def test_a_file_with_other_bytes_than_its_key_names_is_not_published(
        self, store: BlobStore, fault: str, size_bytes: int, *, compressed: bool
    ) -> None:
        original = os.urandom(size_bytes)
        key = key_of(original)
        kept = original
        if compressed:
            key, kept = key + ".zst", zstandard.compress(original)
        wrong = bytearray(kept)
        if fault == "torn":
            del wrong[-100:]
        elif fault == "longer":
            wrong += b"more"
        else:
            wrong[len(wrong) // 2] ^= 1
        (store.incoming / "one.part").write_bytes(wrong)
        ready = Ready(str(store.incoming / "one.part"), key)
        with pytest.raises(IntegrityError):
            store.commit([ready])
        assert store.size(key) is None
        assert list(store.keys()) == []
        assert (store.incoming / "one.part").exists()
        (store.incoming / "one.part").write_bytes(kept)
        store.commit([ready])
        assert store.read_at(key, 0, len(kept) + 1) == kept

    def test_whoever_reads_a_blob_while_many_upload_it_gets_all_of_it_or_nothing(
        self, store: BlobStore
    ) -> None:
        data = os.urandom(_LARGE)
        items = [received(store, data, str(number)) for number in range(4)]
        key = items[0].key
        with ThreadPoolExecutor(len(items)) as threads:
            commits = [threads.submit(store.commit, [item]) for item in items]
            while not all(commit.done() for commit in commits):
                assert store.size(key) in (None, _LARGE)
                if store.size(key) is not None:
                    assert store.read_at(key, _LARGE - 5, 5) == data[-5:]
        assert [commit.result() for commit in commits] == [None] * len(items)
        assert store.read_at(key, 0, _LARGE) == data

    def test_an_upload_that_is_killed_publishes_nothing_and_is_begun_again(
        self, store: BlobStore, s3_server: S3Server, tmp_path: Path
    ) -> None:
        data = os.urandom(_LARGE)
        item = received(store, data)
        url = f"s3://archive/{uuid.uuid4().hex}"
        command = [sys.executable, "-c", _KILLED, url, str(tmp_path), item.path, item.key]
        environment = os.environ | s3_server.environment
        done = subprocess.run(command, env=environment, check=False)
        assert done.returncode == -signal.SIGKILL
        other = open_blobs(url, local=tmp_path)
        assert other.size(item.key) is None
        assert list(other.keys()) == []
        other.commit([item])
        assert other.read_at(item.key, 0, _LARGE) == data
