"""Broken files: a clear error or a right result, and the rest of the batch goes on."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pydicom
import pytest
from mersey.codecs.syntaxes import EXPLICIT_LE, HTJ2K_LOSSLESS_RPCL
from mersey.engine.runtime.batch import Failure, Summary, plan_jobs, run_batch
from mersey.engine.runtime.byte_budget import ByteBudget
from mersey.engine.runtime.outcome import Outcome
from mersey.engine.runtime.worker_pool import WorkerPool
from pydicom.data import get_testdata_file
from pydicom.pixels import pixel_array

if TYPE_CHECKING:
    from sample_study import SampleStudy

LONGEST_S = 30
SHIPPED = (
    "CT_small.dcm",
    "MR_small_bigendian.dcm",
    "MR_small_implicit.dcm",
    "JPEG2000.dcm",
    "rtplan.dcm",
    "image_dfl.dcm",
)


def run(
    pool: WorkerPool, folder: Path, target: Path, uid: str
) -> tuple[Summary, list[Outcome | Failure]]:
    done: list[Outcome | Failure] = []
    jobs = list(plan_jobs([folder], target, target_uid=uid, verify="independent"))
    batch = run_batch(
        jobs, executor=pool, budget=ByteBudget(32 << 20), workers=2, on_done=done.append
    )
    summary = asyncio.run(asyncio.wait_for(batch, LONGEST_S * len(jobs)))
    assert summary.files == len(jobs) == len(done)
    return summary, done


def assert_right(outcome: Outcome) -> None:
    """The target holds what the source holds, by pydicom's account where it has one."""
    source, target = Path(outcome.source), Path(outcome.target)
    if outcome.action != "transcoded":
        assert target.read_bytes() == source.read_bytes()
        return
    made = pixel_array(target, raw=True)
    try:
        expected = pixel_array(pydicom.dcmread(source, force=True), raw=True)
    except (ValueError, AttributeError, RuntimeError, OSError):
        return  # pydicom cannot say; that the target decodes is what can be asked
    assert np.array_equal(made, expected)


def assert_clear(failure: Failure) -> None:
    assert failure.kind in ("DicomError", "CodestreamError", "UnsupportedError", "FormatError")
    assert len(failure.error) > 10
    assert "Traceback" not in failure.error


@pytest.mark.parametrize("uid", [HTJ2K_LOSSLESS_RPCL, EXPLICIT_LE])
def test_every_broken_file_gets_a_clear_error_or_a_right_result(
    pool: WorkerPool, shared_data: Path, tmp_path: Path, uid: str
) -> None:
    summary, done = run(pool, shared_data / "broken" / "dicom", tmp_path, uid)
    for item in done:
        if isinstance(item, Failure):
            assert_clear(item)
        else:
            assert_right(item)
    assert len(summary.failures) > 5
    assert summary.transcoded > 2
    assert not list(tmp_path.rglob(".mersey-*"))


def cuts_of(length: int, chance: random.Random) -> list[int]:
    """Every power of two and a few random places."""
    powers = [1 << power for power in range(length.bit_length()) if 1 << power < length]
    return sorted({0, *powers, *(chance.randrange(length) for _ in range(12)), length - 1})


def test_good_files_cut_anywhere_get_a_clear_error_or_a_right_result(
    pool: WorkerPool, sample_study: SampleStudy, tmp_path: Path
) -> None:
    chance = random.Random(7)
    cut_folder = tmp_path / "cut"
    cut_folder.mkdir()
    sources = [Path(str(get_testdata_file(name))) for name in SHIPPED]
    first, _ = run(pool, sample_study.enhanced_ct.parent, tmp_path / "made", HTJ2K_LOSSLESS_RPCL)
    assert not first.failures
    sources += [sample_study.enhanced_ct, sample_study.us_cine]
    sources += [tmp_path / "made" / sample_study.enhanced_ct.name]
    sources += [tmp_path / "made" / sample_study.us_cine.name]
    assert len(sources) == 10
    for number, source in enumerate(sources):
        whole = source.read_bytes()
        for cut in cuts_of(len(whole), chance):
            (cut_folder / f"{number}-{cut}.dcm").write_bytes(whole[:cut])
    summary, done = run(pool, cut_folder, tmp_path / "out", EXPLICIT_LE)
    for item in done:
        if isinstance(item, Failure):
            assert_clear(item)
        else:
            assert_right(item)
    assert len(summary.failures) > 100


def test_one_bad_file_does_not_stop_the_rest(
    pool: WorkerPool, sample_study: SampleStudy, tmp_path: Path
) -> None:
    folder = tmp_path / "mixed"
    folder.mkdir()
    for number in range(6):
        data = sample_study.ct_series[number % 3].read_bytes()
        (folder / f"{number}.dcm").write_bytes(data[: len(data) - 999 * (number == 2)])
    summary, _ = run(pool, folder, tmp_path / "out", HTJ2K_LOSSLESS_RPCL)
    assert (summary.transcoded, len(summary.failures)) == (5, 1)
    assert Path(summary.failures[0].source).name == "2.dcm"
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        f"{number}.dcm" for number in (0, 1, 3, 4, 5)
    ]
