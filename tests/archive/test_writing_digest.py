"""Bytes digested as they are written."""

from __future__ import annotations

import errno
import hashlib
import os
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mersey.engine.archive.writing_digest import WritingDigest

pieces_of = st.lists(st.binary(max_size=200), max_size=5)


@pytest.fixture
def descriptor(tmp_path: Path) -> Iterator[int]:
    opened = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    yield opened
    os.close(opened)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None
)
@given(calls=st.lists(pieces_of, max_size=4))
def test_digests_and_file_are_those_of_the_bytes_at_any_cutting(
    calls: list[list[bytes]], descriptor: int
) -> None:
    os.ftruncate(descriptor, 0)
    os.lseek(descriptor, 0, os.SEEK_SET)
    digest, whole = WritingDigest(), b""
    for pieces in calls:
        digest.write(descriptor, [memoryview(piece) for piece in pieces])
        whole += b"".join(pieces)
        assert digest.sha256 == hashlib.sha256(whole).hexdigest()
    assert digest.crc32 == zlib.crc32(whole)
    assert os.pread(descriptor, len(whole) + 1, 0) == whole


def test_what_is_digested_alone_counts_like_what_is_written(descriptor: int) -> None:
    digest = WritingDigest()
    digest.update(b"first")
    digest.write(descriptor, [bytearray(b" then")])
    assert digest.sha256 == hashlib.sha256(b"first then").hexdigest()
    assert digest.crc32 == zlib.crc32(b"first then")


def test_pieces_of_which_a_call_takes_only_a_part_are_written_whole(
    descriptor: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    writev = os.writev

    def take_little(to: int, pieces: Sequence[bytes]) -> int:
        return writev(to, [b"".join(pieces)[:7]])

    monkeypatch.setattr(os, "writev", take_little)
    WritingDigest().write(descriptor, [b"first", b" then", b" last"])
    assert os.pread(descriptor, 100, 0) == b"first then last"


def test_a_full_disk_is_an_error_that_says_so() -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    try:
        with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
            WritingDigest().write(full, [b"x" * 1000])
    finally:
        os.close(full)
