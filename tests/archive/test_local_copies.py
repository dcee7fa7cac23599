"""Copies of blobs: made once, checked, bounded."""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import zstandard
from mersey.codecs.errors import IntegrityError
from mersey.engine.archive.blobs import COMPRESSED, Ready
from mersey.engine.archive.directory_blobs import DirectoryBlobs
from mersey.engine.archive.local_copies import LocalCopies


def _stored(blobs: DirectoryBlobs, data: bytes, *, kept: bytes | None = None) -> str:
    path = blobs.incoming / "one.part"
    path.write_bytes(zstandard.compress(data) if kept is None else kept)
    key = hashlib.sha256(data).hexdigest() + COMPRESSED
    blobs.commit([Ready(str(path), key)])
    return key


def test_concurrent_askers_share_one_copy(tmp_path: Path) -> None:
    blobs = DirectoryBlobs(tmp_path / "store")
    copies = LocalCopies(tmp_path / "copies", 1 << 20)
    key = _stored(blobs, b"text " * 1000)
    with ThreadPoolExecutor(8) as threads:
        paths = set(threads.map(lambda _: copies.get(key, blobs), range(16)))
    assert [Path(path).read_bytes() for path in paths] == [b"text " * 1000]
    assert len(os.listdir(tmp_path / "copies")) == 1


def test_a_copy_of_other_bytes_is_never_published(tmp_path: Path) -> None:
    blobs = DirectoryBlobs(tmp_path / "store")
    copies = LocalCopies(tmp_path / "copies", 1 << 20)
    key = _stored(blobs, b"right", kept=zstandard.compress(b"wrong"))
    with pytest.raises(IntegrityError, match="other bytes"):
        copies.get(key, blobs)
    assert not os.listdir(tmp_path / "copies")


def test_the_copy_used_longest_ago_goes_first(tmp_path: Path) -> None:
    blobs = DirectoryBlobs(tmp_path / "store")
    copies = LocalCopies(tmp_path / "copies", 250)
    first, second, third = (_stored(blobs, letter * 100) for letter in (b"a", b"b", b"c"))
    for age, key in ((20, first), (10, second)):
        path = copies.get(key, blobs)
        os.utime(path, (os.stat(path).st_mtime - age,) * 2)
    assert copies.find(first)
    copies.get(third, blobs)
    assert copies.find(second) is None
    assert copies.find(first)
    assert copies.find(third)
