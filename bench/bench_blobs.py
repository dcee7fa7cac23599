"""Blobs: commits of groups, and reads of ranges, in a folder and in an object store.

The object store is moto's server on this machine, which is Python and keeps everything in memory:
its numbers tell what the way there costs, not what an S3 service does. A commit to the folder ends
with the bytes on its disk.
"""

from __future__ import annotations

import hashlib
import os
import random
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zstandard
from mersey.engine.archive.blob_stores import open_blobs
from mersey.engine.archive.blobs import BlobStore, Ready
from mersey.engine.archive.local_copies import LocalCopies

_CT_BYTES = 526 << 10  # 512x512x16 with its headers
_LARGE_BYTES = 32 << 20
_RANGE_BYTES = 256 << 10
_RANGES = 16


@pytest.fixture(scope="module")
def s3_environment() -> Iterator[dict[str, str]]:
    pytest.importorskip("obstore")
    pytest.importorskip("moto")
    from s3_server import S3Server

    server = S3Server()
    try:
        yield server.environment
    finally:
        server.stop()


@pytest.fixture(params=["directory", "s3"])
def store(request: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BlobStore:
    if request.param == "directory":
        return open_blobs(tmp_path / "store", local=tmp_path)
    for name, value in request.getfixturevalue("s3_environment").items():
        monkeypatch.setenv(name, value)
    return open_blobs(f"s3://archive/{uuid.uuid4().hex}", local=tmp_path)


def _received(store: BlobStore, size_bytes: int, *, data: bytes | None = None) -> Ready:
    """A file on its way in; each has bytes of its own unless they are given."""
    if data is None:
        data = os.urandom(64) + bytes(size_bytes - 64)
    path = store.incoming / f"{uuid.uuid4().hex}.part"
    path.write_bytes(data)
    return Ready(str(path), hashlib.sha256(data).hexdigest() + ".dcm")


def _assert_there(store: BlobStore, ready: list[Ready], size_bytes: int) -> None:
    for item in (ready[0], ready[-1]):
        found = store.read_at(item.key, 0, size_bytes + 1)
        assert hashlib.sha256(found).hexdigest() == item.key.partition(".")[0]
        assert not os.path.exists(item.path)


@pytest.mark.parametrize("files", [1, 32, 300], ids=["1-file", "32-files", "300-files"])
def bench_commit_group(benchmark: Any, store: BlobStore, files: int) -> None:
    """Instances of a CT series, committed together: about one flush in a folder."""
    groups: list[list[Ready]] = []

    def group() -> tuple[tuple[list[Ready]], dict[str, Any]]:
        groups.append([_received(store, _CT_BYTES) for _ in range(files)])
        return (groups[-1],), {}

    (first,), _ = group()
    store.commit(first)
    _assert_there(store, first, _CT_BYTES)
    benchmark.pedantic(store.commit, setup=group, rounds=3 if files > 100 else 10)
    _assert_there(store, groups[-1], _CT_BYTES)
    benchmark.extra_info["pixel_bytes"] = files * _CT_BYTES
    benchmark.extra_info["files/s"] = round(files / benchmark.stats.stats.median)


def bench_commit_group_that_is_there(benchmark: Any, store: BlobStore) -> None:
    """The same 32 instances again: nothing is written."""
    data = [os.urandom(64) + bytes(_CT_BYTES - 64) for _ in range(32)]

    def group() -> tuple[tuple[list[Ready]], dict[str, Any]]:
        return ([_received(store, _CT_BYTES, data=one) for one in data],), {}

    (first,), _ = group()
    store.commit(first)
    _assert_there(store, first, _CT_BYTES)
    benchmark.pedantic(store.commit, setup=group, rounds=5)
    assert len(list(store.keys())) == len(data)
    benchmark.extra_info["files/s"] = round(32 / benchmark.stats.stats.median)


def bench_commit_large(benchmark: Any, store: BlobStore) -> None:
    """One file of 32 MiB, in parts where it goes elsewhere."""
    groups: list[list[Ready]] = []

    def one() -> tuple[tuple[list[Ready]], dict[str, Any]]:
        groups.append([_received(store, _LARGE_BYTES)])
        return (groups[-1],), {}

    benchmark.pedantic(store.commit, setup=one, rounds=3, warmup_rounds=1)
    _assert_there(store, groups[-1], _LARGE_BYTES)
    benchmark.extra_info["pixel_bytes"] = _LARGE_BYTES


def bench_read_ranges(benchmark: Any, store: BlobStore) -> None:
    """Frames of 256 KiB out of a blob of 32 MiB, one after the other, in no order."""
    data = random.Random(1).randbytes(_LARGE_BYTES)
    item = _received(store, _LARGE_BYTES, data=data)
    store.commit([item])
    chance = random.Random(2)
    places = [chance.randrange(_LARGE_BYTES - _RANGE_BYTES) for _ in range(_RANGES)]

    def read() -> list[bytes]:
        return [store.read_at(item.key, place, _RANGE_BYTES) for place in places]

    assert read() == [data[place : place + _RANGE_BYTES] for place in places]
    benchmark.pedantic(read, rounds=3)
    benchmark.extra_info["pixel_bytes"] = _RANGES * _RANGE_BYTES
    benchmark.extra_info["ms a range"] = round(benchmark.stats.stats.median * 1e3 / _RANGES, 3)


@pytest.mark.parametrize("form", ["plain", "compressed"])
def bench_make_local_copy(benchmark: Any, store: BlobStore, tmp_path: Path, form: str) -> None:
    """What a blob that is compressed or elsewhere costs when a file of it is needed."""
    data = random.Random(3).randbytes(1 << 16) * (_LARGE_BYTES >> 16)
    item = _received(store, _LARGE_BYTES, data=data)
    if form == "compressed":
        Path(item.path).write_bytes(zstandard.compress(data, level=6))
        item = Ready(item.path, item.key + ".zst")
    store.commit([item])
    folders = iter(range(100))

    def copies() -> tuple[tuple[str, BlobStore], dict[str, Any]]:
        found.append(LocalCopies(tmp_path / f"copies{next(folders)}", _LARGE_BYTES))
        return (item.key, store), {}

    found: list[LocalCopies] = []
    copies()
    assert Path(found[-1].get(item.key, store)).read_bytes() == data
    benchmark.pedantic(
        lambda key, blobs: found[-1].get(key, blobs), setup=copies, rounds=3, warmup_rounds=0
    )
    benchmark.extra_info["pixel_bytes"] = _LARGE_BYTES
