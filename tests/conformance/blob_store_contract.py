"""What every store of blobs does; subclasses give a `store` fixture."""

from __future__ import annotations

import hashlib
import os
import threading
import time

import pytest
from mersey.codecs.errors import IntegrityError, UsageError
from mersey.engine.archive.blobs import BlobStore, Ready


def key_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest() + ".dcm"


def received(store: BlobStore, data: bytes, name: str = "one") -> Ready:
    path = store.incoming / f"{name}.part"
    path.write_bytes(data)
    return Ready(str(path), key_of(data))


class BlobStoreContract:
    def spoil(self, store: BlobStore, key: str, data: bytes) -> None:
        """Have other bytes under `key`, as no commit would."""
        raise NotImplementedError

    def test_a_committed_blob_is_read_by_any_range(self, store: BlobStore) -> None:
        data = os.urandom(1000)
        item = received(store, data)
        store.commit([item])
        assert not os.path.exists(item.path)
        assert store.size(item.key) == 1000
        assert store.read_at(item.key, 0, 1000) == data
        assert store.read_at(item.key, 990, 100) == data[990:]
        assert store.read_at(item.key, 1000, 10) == b""
        assert item.key in list(store.keys())

    def test_a_large_blob_arrives_whole(self, store: BlobStore) -> None:
        data = os.urandom(1 << 20) * 20
        item = received(store, data)
        store.commit([item])
        assert store.size(item.key) == len(data)
        assert store.read_at(item.key, (8 << 20) - 7, 14) == data[(8 << 20) - 7 :][:14]

    def test_a_group_is_committed_together(self, store: BlobStore) -> None:
        items = [received(store, os.urandom(50), str(number)) for number in range(20)]
        store.commit(items)
        assert {item.key for item in items} <= set(store.keys())

    def test_every_key_tells_when_its_blob_was_put_there(self, store: BlobStore) -> None:
        items = [received(store, os.urandom(50), str(number)) for number in range(3)]
        before_s = time.time()
        store.commit(items)
        dated = dict(store.dated_keys())
        assert dated.keys() == set(store.keys())
        for item in items:  # some tell it in whole seconds, and by their own clock
            assert before_s - 60 < dated[item.key] / 1e9 < time.time() + 60

    def test_a_blob_that_is_there_stays_as_it_is(self, store: BlobStore) -> None:
        store.commit([received(store, b"same bytes")])
        path = store.path_of(key_of(b"same bytes"))
        before = path and os.stat(path)
        store.commit([received(store, b"same bytes")])
        assert (path and os.stat(path).st_ino) == (before and before.st_ino)
        assert not list(store.incoming.iterdir())

    def test_a_blob_of_a_wrong_length_is_replaced(self, store: BlobStore) -> None:
        key = key_of(b"the right bytes")
        store.commit([received(store, b"the right bytes")])
        self.spoil(store, key, b"short")
        store.commit([received(store, b"the right bytes")])
        assert store.read_at(key, 0, 100) == b"the right bytes"

    def test_two_committers_of_one_key_both_succeed(self, store: BlobStore) -> None:
        items = [received(store, b"both" * 999, str(number)) for number in range(8)]
        failures: list[BaseException] = []

        def commit(item: Ready) -> None:
            try:
                store.commit([item])
            except BaseException as error:  # noqa: BLE001
                failures.append(error)

        threads = [threading.Thread(target=commit, args=[item]) for item in items]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failures
        assert store.read_at(items[0].key, 0, 9999) == b"both" * 999

    def test_what_is_removed_or_set_aside_is_gone(self, store: BlobStore) -> None:
        for away in (store.remove, store.quarantine):
            item = received(store, b"to go")
            store.commit([item])
            away(item.key)
            away(item.key)
            assert store.size(item.key) is None
            with pytest.raises(IntegrityError):
                store.read_at(item.key, 0, 1)

    @pytest.mark.parametrize("key", ["", "../x", "a" * 64, "A" * 64 + ".dcm", "a" * 64 + ".dcm/"])
    def test_what_is_no_key_is_refused(self, store: BlobStore, key: str) -> None:
        for act in (store.size, store.path_of, store.remove, store.quarantine):
            with pytest.raises(UsageError):
                act(key)
