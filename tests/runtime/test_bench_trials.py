"""What `mersey bench` measures: frames spread over a file, files only while there is time."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from mersey.codecs.errors import UsageError
from mersey.codecs.registry import TARGETS
from mersey.engine.dicom.frame_index import FrameIndex
from mersey.engine.runtime.codec_bench import plan_trials, spread, trial_results
from mersey.engine.runtime.plan import Job
from mersey.engine.runtime.transcode_bench import TranscodeWork, _Until, measure_transcode


@pytest.mark.parametrize(
    ("count", "most", "expected"),
    [(10, 3, [0, 3, 6]), (3, 10, [0, 1, 2]), (1, 1, [0]), (4, 4, [0, 1, 2, 3])],
)
def test_frames_are_spread_evenly(count: int, most: int, expected: list[int]) -> None:
    frames = FrameIndex.uniform(count=count, first_offset_bytes=0, frame_bits=8)
    assert spread(frames, most) == expected


def test_a_trial_takes_no_more_samples_than_it_may(sample_study) -> None:
    frame_bytes = 128 * 128 * 2
    for sample_bytes, expected in ((1, 1), (2 * frame_bytes, 2), (1 << 30, 6)):
        plans = plan_trials(sample_study.enhanced_ct, sample_bytes=sample_bytes, limit_s=1)
        assert [name for name, _ in plans] == list(TARGETS)
        assert {len(trial.frames) for _, trial in plans} == {expected}


def test_a_codec_that_is_none_is_refused(sample_study) -> None:
    with pytest.raises(UsageError, match="no-such"):
        plan_trials(sample_study.enhanced_ct, targets=("no-such",), limit_s=1)


def test_a_codec_that_fails_costs_its_own_row(sample_study, tmp_path: Path) -> None:
    path = tmp_path / "later-cut.dcm"
    path.write_bytes(sample_study.enhanced_ct.read_bytes())
    plans = plan_trials(path, targets=("rle", "htj2k"), frames=1, limit_s=0.01)
    path.write_bytes(b"")
    for one in trial_results(plans):
        assert one.figures is None
        assert one.failed
        assert "file ends" in one.reason


def test_no_job_is_begun_when_time_is_up() -> None:
    jobs = [Job("a", "b", "1.2"), Job("c", "d", "1.2")]
    late, early = _Until(jobs, end=time.monotonic()), _Until(jobs, end=time.monotonic() + 60)
    assert (list(late), late.left) == ([], True)
    assert (list(early), early.left) == (jobs, False)


def test_what_was_transcoded_is_gone_afterwards_even_where_there_is_nothing(
    tmp_path: Path,
) -> None:
    work = TranscodeWork((tmp_path,), TARGETS["rle"], scratch=tmp_path)
    found = measure_transcode(work, jobs=1, on_progress=lambda *_: None)
    assert (found.files, found.mb_per_s, found.cpu_s_per_gb) == (0, 0.0, None)
    assert list(tmp_path.iterdir()) == []
