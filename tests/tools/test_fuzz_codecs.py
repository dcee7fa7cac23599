"""The fuzz harness finds what it looks for, and nothing in the codecs."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator

import fuzz_codecs
import numpy as np
import pytest
from fuzz_codecs import Report, decodable, fuzz
from fuzz_mutations import MUTATIONS, mutate
from fuzz_seeds import seeds_of
from mersey.codecs.syntaxes import HTJ2K_LOSSLESS_RPCL
from mersey.engine.runtime.worker_pool import WorkerPool


@pytest.fixture(scope="module")
def pool() -> Iterator[WorkerPool]:
    with WorkerPool(jobs=2, memory_limit_bytes=512 << 20, time_limit_s=5) as pool:
        yield pool


def run(pool: WorkerPool, uid: str, count: int) -> Report:
    report = fuzz(uid, pool, count=count, seed=7)
    assert report.failures == []
    assert sum(report.outcomes.values()) == report.count
    return report


@pytest.mark.parametrize("uid", decodable())
def test_damaged_frames_end_well(
    pool: WorkerPool, uid: str, request: pytest.FixtureRequest
) -> None:
    report = run(pool, uid, 100)
    if not report.seeds:  # nobody here encodes it: it takes the real files
        request.getfixturevalue("shared_data")
    assert report.count == 100, "there is a frame to start from"


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("uid", decodable())
def test_thousands_of_damaged_frames_end_well(pool: WorkerPool, uid: str) -> None:
    run(pool, uid, 3000)


def test_the_same_seed_gives_the_same_damage() -> None:
    data, other = bytes(range(256)) * 4, b"other" * 50
    for seed in range(50):
        first = mutate(np.random.default_rng(seed), data, other)
        assert first == mutate(np.random.default_rng(seed), data, other)
        assert first[0] in MUTATIONS


@pytest.mark.parametrize("name", MUTATIONS)
@pytest.mark.parametrize("length", [0, 1, 3, 5, 97, 3000])
def test_every_kind_of_damage_can_be_done_to_any_stream(name: str, length: int) -> None:
    data = bytes(np.random.default_rng(length).bytes(length))
    damaged = [MUTATIONS[name](np.random.default_rng(seed), data, data[::-1]) for seed in range(40)]
    assert len(damaged) == 40
    if length > 100:
        assert sum(one != data for one in damaged) > 20


@pytest.mark.parametrize("stand_in", [time.sleep, str], ids=["an error of Python", "no image"])
def test_what_no_codec_may_do_is_a_failure(
    pool: WorkerPool, monkeypatch: pytest.MonkeyPatch, stand_in: object
) -> None:
    monkeypatch.setattr(fuzz_codecs, "decode_frame", stand_in)
    report = fuzz(HTJ2K_LOSSLESS_RPCL, pool, count=4, seed=1)
    assert report.outcomes == {"FAILED": 4}
    assert len(report.failures) == 4


def test_the_death_of_a_worker_is_named(pool: WorkerPool) -> None:
    report = Report("1", "x", 1, 1)
    (seed,) = seeds_of(HTJ2K_LOSSLESS_RPCL)[:1]
    trial = fuzz_codecs._Trial(0, "none", seed, seed.data, 0)
    fuzz_codecs._take(report, trial, pool.submit(signal.raise_signal, signal.SIGSEGV))
    fuzz_codecs._take(report, trial, pool.submit_within(0.2, time.sleep, 60))
    fuzz_codecs._take(report, trial, pool.submit(bytearray, 1 << 40))
    assert report.outcomes == {"worker died of SIGSEGV": 1, "time limit": 1, "memory limit": 1}
    assert report.failures == []


def test_json_tells_all(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--codec", "htj2k-rpcl", "--count", "12", "--jobs", "1", "--json"]
    assert fuzz_codecs.main(words) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert found["uid"] == HTJ2K_LOSSLESS_RPCL
    assert sum(found["outcomes"].values()) == found["count"] == 12
    assert set(found["errors"]) <= {"CodestreamError", "UnsupportedError"}
