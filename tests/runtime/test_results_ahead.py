"""Results of runs in any order, put back into the order of the frames."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from mersey.codecs.errors import ResourceError
from mersey.engine.runtime import results_ahead
from mersey.engine.runtime.frame_run import RunResult
from mersey.engine.runtime.results_ahead import ResultsAhead


def results(first: int, counts: list[int]) -> list[tuple[int, RunResult]]:
    found = []
    for count in counts:
        data = tuple(bytes([first + at]) * (100 + first + at) for at in range(count))
        digests = tuple(bytes([first + at]) for at in range(count))
        made = RunResult(data, count, lossy=False, ratio=2.5, digests=digests, keeps_rules=False)
        found.append((first, made))
        first += count
    return found


@pytest.mark.parametrize("seed", range(8))
def test_whatever_the_order_they_come_in_they_are_taken_in_that_of_the_frames(
    tmp_path: Path, seed: int
) -> None:
    expected = results(3, [4, 1, 7, 2, 2, 9])
    coming = list(expected)
    if seed:
        random.Random(seed).shuffle(coming)
    taken = []
    with ResultsAhead(tmp_path / "target.dcm", first=3) as ahead:
        for first, result in coming:
            ahead.put(first, result)
            while ahead.is_ready:
                taken.append(ahead.take())
        assert list(tmp_path.iterdir()) == []
    for (_, right), found in zip(expected, taken, strict=True):
        assert tuple(map(bytes, found.data)) == right.data
        assert (found.frames, found.digests, found.keeps_rules) == (
            right.frames,
            right.digests,
            False,
        )


def test_what_comes_in_turn_costs_no_file(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(results_ahead.tempfile, "TemporaryFile", None)
    with ResultsAhead(tmp_path / "target.dcm", first=0) as ahead:
        for first, result in results(0, [2, 3]):
            ahead.put(first, result)
            assert ahead.take() is result
            assert not ahead.is_ready


def test_a_disk_that_takes_nothing_is_told(tmp_path: Path) -> None:
    _, (first, result) = results(0, [2, 3])
    ahead = ResultsAhead(tmp_path / "gone" / "target.dcm", first=0)
    with ahead, pytest.raises(ResourceError):
        ahead.put(first, result)
