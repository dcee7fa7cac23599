"""A folder of blobs: what a process that died leaves goes, what a living one has stays."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from mersey import _native
from mersey.codecs.errors import ResourceError
from mersey.engine.archive.blobs import Ready
from mersey.engine.archive.directory_blobs import DirectoryBlobs
from mersey.engine.archive.receiving import Receiving


def test_only_files_without_a_living_owner_are_collected(tmp_path: Path) -> None:
    blobs = DirectoryBlobs(tmp_path)
    held = Receiving(blobs.incoming)
    left, fresh = blobs.incoming / "left.part", blobs.incoming / "fresh.part"
    left.touch()
    fresh.touch()
    for path in (held.path, left):
        os.utime(path, (0, 0))
    assert blobs.collect(older_than_s=60) == 1
    assert sorted(os.listdir(blobs.incoming)) == sorted([os.path.basename(held.path), "fresh.part"])
    held.abandon()


def ready(blobs: DirectoryBlobs, data: bytes) -> Ready:
    key = f"{hashlib.sha256(data).hexdigest()}.dcm"
    path = blobs.incoming / f"{os.urandom(8).hex()}.part"
    path.write_bytes(data)
    return Ready(str(path), key)


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was synced, in order, by inode: a file has several names."""
    calls: list[str] = []
    sync = _native.sync_files

    def record(paths: Sequence[bytes]) -> None:
        calls.extend(str(os.stat(path).st_ino) for path in paths)
        sync(paths)

    monkeypatch.setattr(_native, "sync_files", record)
    return calls


def inode(path: str | Path | None) -> str:
    assert path is not None
    return str(os.stat(path).st_ino)


def test_bytes_are_synced_before_their_name_and_that_before_its_folder(
    tmp_path: Path, synced: list[str]
) -> None:
    blobs = DirectoryBlobs(tmp_path)
    synced.clear()
    item = ready(blobs, b"bytes")
    blobs.commit([item])
    path = blobs.path_of(item.key)
    assert path is not None
    shard = os.path.dirname(path)
    assert synced == [inode(path), inode(shard), inode(tmp_path / "blobs")]


def test_a_shard_and_a_blob_that_another_process_made_are_synced_here_too(
    tmp_path: Path, synced: list[str]
) -> None:
    blobs, other = DirectoryBlobs(tmp_path), DirectoryBlobs(tmp_path)
    item = ready(other, b"bytes")
    other.commit([item])
    synced.clear()
    blobs.commit([ready(blobs, b"bytes")])
    path = blobs.path_of(item.key)
    assert path is not None
    assert synced[-3:] == [inode(path), inode(os.path.dirname(path)), inode(tmp_path / "blobs")]


def test_a_shard_whose_name_was_synced_is_not_named_again(
    tmp_path: Path, synced: list[str]
) -> None:
    blobs = DirectoryBlobs(tmp_path)
    blobs.commit([ready(blobs, b"bytes")])
    synced.clear()
    blobs.commit([ready(blobs, b"bytes")])
    assert inode(tmp_path / "blobs") not in synced


def test_nothing_is_acknowledged_where_a_sync_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blobs = DirectoryBlobs(tmp_path)
    item = ready(blobs, b"bytes")

    def fail(paths: Sequence[bytes]) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(_native, "sync_files", fail)
        with pytest.raises(ResourceError):
            blobs.commit([item])
    assert os.path.exists(item.path)
    blobs.commit([item])
    assert blobs.read_at(item.key, 0, 9) == b"bytes"


def test_many_blobs_become_durable_together_some_of_them_there_already(
    tmp_path: Path, synced: list[str]
) -> None:
    blobs = DirectoryBlobs(tmp_path)
    datas = [b"%d" % number for number in range(40)]
    blobs.commit([ready(blobs, data) for data in datas[::3]])
    synced.clear()
    items = [ready(blobs, data) for data in datas]
    blobs.commit(items)
    assert sorted(blobs.keys()) == sorted(item.key for item in items)
    assert {inode(blobs.path_of(item.key)) for item in items} <= set(synced)
    assert not [item for item in items if os.path.exists(item.path)]


def test_a_file_that_is_not_there_cannot_be_synced_and_says_so(tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.touch()
    with pytest.raises(FileNotFoundError):
        _native.sync_files([os.fsencode(there), os.fsencode(tmp_path / "not")])


def test_files_that_cannot_be_linked_say_so_and_names_that_are_taken_are_told(
    tmp_path: Path,
) -> None:
    one, two = os.fsencode(tmp_path / "one"), os.fsencode(tmp_path / "two")
    (tmp_path / "one").touch()
    assert _native.link_files([(one, two), (one, two)]) == [1]
    with pytest.raises(FileNotFoundError):
        _native.link_files([(one, os.fsencode(tmp_path / "no" / "folder"))])
    _native.unlink_files([one, one, two])
    assert not list(tmp_path.iterdir())
