"""Bytes digested as they are written: natively as by the standard library."""

from __future__ import annotations

import errno
import hashlib
import os
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mersey._native import WritingDigest, has_digest_instructions
from mersey.engine.archive.writing_digest import PlainWritingDigest

KINDS = [PlainWritingDigest]
if has_digest_instructions():
    KINDS.append(WritingDigest)  # type: ignore[arg-type]

# Around the lengths of a block, of its padding and of the lanes of the CRC.
lengths = st.one_of(st.integers(0, 200), st.sampled_from([32767, 32768, 32769, 70_000]))
pieces_of = st.lists(lengths, max_size=5)


@pytest.fixture
def descriptor(tmp_path: Path) -> Iterator[int]:
    opened = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    yield opened
    os.close(opened)


def test_one_of_the_kinds_is_what_is_used() -> None:
    from mersey.engine.archive.writing_digest import writing_digest

    assert type(writing_digest()) is KINDS[-1]


@pytest.mark.parametrize("kind", KINDS)
@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None
)
@given(calls=st.lists(pieces_of, max_size=4), seed=st.integers(0, 255))
def test_digests_and_file_are_those_of_the_bytes_at_any_cutting(
    kind: Callable[[], PlainWritingDigest], calls: list[list[int]], seed: int, descriptor: int
) -> None:
    os.ftruncate(descriptor, 0)
    os.lseek(descriptor, 0, os.SEEK_SET)
    digest, whole = kind(), b""
    for lengths in calls:
        pieces = [bytes((seed + 7 * i * i) & 255 for i in range(length)) for length in lengths]
        digest.write(descriptor, [memoryview(piece) for piece in pieces])
        whole += b"".join(pieces)
        assert digest.sha256 == hashlib.sha256(whole).hexdigest()
    assert digest.crc32 == zlib.crc32(whole)
    assert os.pread(descriptor, len(whole) + 1, 0) == whole


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_digested_alone_counts_like_what_is_written(
    kind: Callable[[], PlainWritingDigest], descriptor: int
) -> None:
    digest = kind()
    digest.update(b"first")
    digest.write(descriptor, [bytearray(b" then")])
    assert digest.sha256 == hashlib.sha256(b"first then").hexdigest()
    assert digest.crc32 == zlib.crc32(b"first then")


@pytest.mark.parametrize("kind", KINDS)
def test_a_full_disk_is_an_error_that_says_so(kind: Callable[[], PlainWritingDigest]) -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    try:
        with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
            kind().write(full, [b"x" * 1000])
    finally:
        os.close(full)
