"""What is appended in blocks is what the file holds, however it was cut and resumed."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mersey.engine.archive import block_output
from mersey.engine.archive.block_output import BlockOutput

BLOCK = 4 << 20


@contextmanager
def output_at(path: Path, position: int) -> Iterator[BlockOutput]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    output = BlockOutput(path, descriptor, position=position)
    try:
        yield output
    finally:
        output.close()
        os.close(descriptor)


def pattern(length: int, start: int) -> bytes:
    return (bytes(range(251)) * (length // 251 + 2))[start % 251 :][:length]


sizes = st.one_of(
    st.integers(0, 9000), st.sampled_from([4095, 4096, 4097, BLOCK - 1, BLOCK, BLOCK + 1])
)


@settings(max_examples=40, deadline=None)
@given(rounds=st.lists(st.lists(sizes, max_size=5), min_size=1, max_size=4))
def test_pieces_of_any_size_come_out_in_order_over_any_number_of_sittings(
    rounds: list[list[int]],
) -> None:
    expected = b""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "file")
        for pieces in rounds:
            with output_at(path, len(expected)) as output:
                for size in pieces:
                    piece = pattern(size, len(expected))
                    output.write([piece])
                    expected += piece
                    assert output.position == len(expected)
                output.drain()
            assert path.read_bytes() == expected


def test_draining_in_between_changes_nothing(tmp_path: Path) -> None:
    expected = pattern(3 * BLOCK + 777, 0)
    with output_at(tmp_path / "file", 0) as output:
        for start in range(0, len(expected), 700_001):
            output.write([expected[start : start + 700_001]])
            output.drain()
            assert (tmp_path / "file").read_bytes() == expected[: start + 700_001]


@given(
    length=st.integers(1, 9000),
    at=st.integers(0, 8999),
    patched=st.integers(1, 5000),
    more=st.integers(0, 5000),
)
def test_a_patch_stays_whatever_is_appended_and_drained_after_it(
    length: int, at: int, patched: int, more: int
) -> None:
    expected = bytearray(pattern(length, 0))
    at = min(at, length - 1)
    patch = b"P" * min(patched, length - at)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "file")
        with output_at(path, 0) as output:
            output.write([bytes(expected)])
            output.patch(at, patch)
            output.write([pattern(more, length)])
            output.drain()
        expected[at : at + len(patch)] = patch
        assert path.read_bytes() == bytes(expected) + pattern(more, length)


@pytest.mark.parametrize("refusing", ["open", "write"])
def test_a_file_system_without_direct_writes_gets_ordinary_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refusing: str
) -> None:
    class Refusing:
        def __getattr__(self, name: str) -> object:
            return getattr(os, name)

        def open(self, path: object, flags: int) -> int:
            if refusing == "open":
                raise OSError(22, "Invalid argument")
            return os.open(str(path), flags & ~os.O_DIRECT | os.O_APPEND)

        def pwrite(self, descriptor: int, view: memoryview, offset: int) -> int:
            import fcntl

            if fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_APPEND:
                raise OSError(22, "Invalid argument")
            return os.pwrite(descriptor, view, offset)

    monkeypatch.setattr(block_output, "os", Refusing())
    expected = pattern(2 * BLOCK + 5, 0)
    with output_at(tmp_path / "file", 0) as output:
        output.write([expected])
        output.drain()
    assert (tmp_path / "file").read_bytes() == expected
