"""kill -9 at any moment, run again: the same bytes, and only what is missing is done again."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

FRAMES = 160
MERSEY = (str(Path(sys.executable).with_name("mersey")),)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """84 MB of noise, which hardly shrinks: the part file gets journal lines."""
    from sample_study import write_sparse_multiframe

    noise = np.random.default_rng(5)
    images = [noise.integers(0, 4096, (512, 512), np.uint16) for _ in range(7)]
    path = tmp_path_factory.mktemp("source") / "noise.dcm"
    write_sparse_multiframe(path, frames=FRAMES, pattern=images)
    return path


def start(source: Path, target: Path) -> subprocess.Popen[bytes]:
    command = [*MERSEY, "transcode", str(source), str(target), "--verify", "off", "--json"]
    with (target.parent / "summary.txt").open("wb") as summary:
        return subprocess.Popen(command, stdout=summary)


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def whole(source: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    target = tmp_path_factory.mktemp("whole") / "noise.dcm"
    assert start(source, target).wait() == 0
    return digest(target)


def part_size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob(".mersey-*.part"))


def test_a_killed_run_goes_on_where_it_stopped(source: Path, whole: str, tmp_path: Path) -> None:
    target = tmp_path / "noise.dcm"
    for _ in range(20):
        process = start(source, target)
        while part_size(tmp_path) < 40 << 20 and process.poll() is None:
            time.sleep(0.001)
        process.kill()
        process.wait()
        if not target.exists():
            break
        target.unlink()  # it was whole before it could be killed
    assert part_size(tmp_path) >= 40 << 20
    assert start(source, target).wait() == 0
    assert digest(target) == whole
    summary = json.loads((tmp_path / "summary.txt").read_text())
    assert summary["resumed_frames"] > 0
    assert summary["resumed_frames"] + summary["frames"] == FRAMES
    assert files_in(tmp_path) == ["noise.dcm", "summary.txt"]


def kill_at_random_moments(source: Path, whole: str, folder: Path, *, kills: int) -> None:
    chance = random.Random(kills)
    target = folder / "noise.dcm"
    killed = 0
    while killed < kills:
        process = start(source, target)
        try:
            process.wait(chance.uniform(0.05, 1.2))
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            killed += 1
        if target.exists():
            assert digest(target) == whole
            target.unlink()
    assert start(source, target).wait() == 0
    assert digest(target) == whole
    assert files_in(folder) == ["noise.dcm", "summary.txt"]


def test_kills_at_a_few_random_moments_lose_nothing(
    source: Path, whole: str, tmp_path: Path
) -> None:
    kill_at_random_moments(source, whole, tmp_path, kills=6)


@pytest.mark.long
@pytest.mark.timeout(2400)
def test_kills_at_200_random_moments_lose_nothing(source: Path, whole: str, tmp_path: Path) -> None:
    kill_at_random_moments(source, whole, tmp_path, kills=200)
