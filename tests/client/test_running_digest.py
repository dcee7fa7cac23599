"""The digest of a growing file is that of its bytes, however they came and are read."""

from __future__ import annotations

import errno
import hashlib
import os
import random
from pathlib import Path

import pytest
from mersey.codecs.errors import IntegrityError
from mersey.engine.client.running_digest import RunningDigest

_WHOLE = random.Random(5).randbytes((3 << 20) + 1234)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(_WHOLE)
    return path


def test_bytes_that_come_in_order_are_not_read() -> None:
    running = RunningDigest()
    running.extend(0, memoryview(_WHOLE)[:5000])
    running.extend(9000, memoryview(_WHOLE)[9000:10_000])
    running.extend(5000, memoryview(_WHOLE)[5000:])
    assert running.at == len(_WHOLE)
    assert running.hexdigest() == hashlib.sha256(_WHOLE).hexdigest()


@pytest.mark.parametrize("start", [0, 1, 4096, 70_001, (1 << 20) + 5])
@pytest.mark.parametrize("cut", [4095, (2 << 20) + 4096, len(_WHOLE) - 1])
def test_reading_goes_on_wherever_it_stopped(path: Path, start: int, cut: int) -> None:
    running = RunningDigest()
    running.extend(0, memoryview(_WHOLE)[:start])
    for upto in (cut, len(_WHOLE)):
        running.read(path, upto)
        assert running.at == max(start, upto)
    assert running.hexdigest() == hashlib.sha256(_WHOLE).hexdigest()


@pytest.mark.parametrize("call", ["open", "preadv"])
def test_a_file_system_without_direct_reading_is_read_as_any_other(
    path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    real, refused = getattr(os, call), []

    def refuse_once(*arguments: object) -> object:
        if not refused:
            refused.append(call)
            raise OSError(errno.EINVAL, "no such thing")
        return real(*arguments)

    monkeypatch.setattr(os, call, refuse_once)
    running = RunningDigest()
    running.read(path, len(_WHOLE))
    assert refused
    assert running.hexdigest() == hashlib.sha256(_WHOLE).hexdigest()


def test_a_file_that_is_shorter_than_it_was_is_told(path: Path) -> None:
    running = RunningDigest()
    with pytest.raises(IntegrityError):
        running.read(path, len(_WHOLE) + 1)
