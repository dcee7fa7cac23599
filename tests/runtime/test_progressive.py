"""Files become progressive without being decoded: other order, same packets, same samples."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
from mersey.codecs.codestream import scan_codestream
from mersey.codecs.errors import CodestreamError, UnsupportedError
from mersey.codecs.surgery import conforms_to_rpcl, to_progressive
from mersey.codecs.syntaxes import (
    HTJ2K,
    HTJ2K_LOSSLESS,
    HTJ2K_LOSSLESS_RPCL,
    J2K,
    J2K_LOSSLESS,
)
from mersey.engine.runtime import rearranging
from mersey.engine.runtime.byte_budget import ByteBudget
from mersey.engine.runtime.file_writing import FileWriting
from mersey.engine.runtime.frame_run import FrameRun, execute_run, plan_runs
from mersey.engine.runtime.outcome import Outcome
from mersey.engine.runtime.plan import Job, plan_transcode
from mersey.engine.runtime.progressive_form import is_progressive
from mersey.engine.runtime.rearranging import PROGRESSIVE
from mersey.engine.runtime.transcode import transcode_file
from mersey.engine.runtime.worker_pool import WorkerPool
from pydicom.data import get_testdata_file
from pydicom.encaps import encapsulate

from .progressive_frames import decoded, frames_of, ht, j2k, real_files

type Transcode = Callable[..., Outcome]
type MakeFile = Callable[..., Path]


@pytest.fixture
def transcode(pool: WorkerPool, tmp_path: Path) -> Transcode:
    def transcode(source: Path, name: str = "out.dcm", **options: object) -> Outcome:
        job = Job(str(source), str(tmp_path / name), PROGRESSIVE, **options)  # type: ignore[arg-type]
        return asyncio.run(transcode_file(job, executor=pool, budget=ByteBudget(32 << 20)))

    return transcode


@pytest.fixture
def make_file(sample_study, tmp_path: Path) -> MakeFile:
    """Write codestreams, of 128 x 128 in 12 bits, as the frames of an enhanced CT."""

    def make(
        frames: list[bytes], uid: str, *, name: str = "source.dcm", lossy: bool = False
    ) -> Path:
        ds = pydicom.dcmread(sample_study.enhanced_ct)
        groups = ds.PerFrameFunctionalGroupsSequence
        ds.PerFrameFunctionalGroupsSequence = [groups[i % len(groups)] for i in range(len(frames))]
        ds.NumberOfFrames = len(frames)
        ds.PixelData = encapsulate(frames, has_bot=False)
        ds["PixelData"].VR = "OB"
        ds.file_meta.TransferSyntaxUID = uid
        if lossy:
            ds.LossyImageCompression = "01"
            ds.LossyImageCompressionRatio = "7.5"
            ds.LossyImageCompressionMethod = "ISO_15444_1"
        path = tmp_path / name
        ds.save_as(path)
        return path

    return make


def assert_same_but_progressive(source: Path, made: Path, *, uid: str) -> None:
    """Every frame decodes alike by OpenJPEG, and nothing but the order of packets changed."""
    before, after = pydicom.dcmread(source, force=True), pydicom.dcmread(made)
    assert after.file_meta.TransferSyntaxUID == uid
    stored, written = frames_of(source), frames_of(made)
    assert len(stored) == len(written)
    for old, new in zip(stored, written, strict=True):
        layout = scan_codestream(new)
        assert is_progressive(layout)
        assert (uid == HTJ2K_LOSSLESS_RPCL) == (conforms_to_rpcl(layout) and layout.ht)
        assert np.array_equal(decoded(old), decoded(new))
    for ds in (before, after):
        for keyword in ("PixelData", "ExtendedOffsetTable", "ExtendedOffsetTableLengths"):
            if keyword in ds:
                del ds[keyword]
        for element in [element for element in ds if element.tag.element == 0]:
            del ds[element.tag]
    assert after == before


@pytest.mark.parametrize("verify", ["off", "self", "independent"])
def test_j2k_stays_j2k_and_the_same_instance(
    transcode: Transcode, make_file: MakeFile, images: list[np.ndarray], tmp_path: Path, verify: str
) -> None:
    source = make_file([j2k(image) for image in images], J2K_LOSSLESS)
    outcome = transcode(source, verify=verify)
    assert (outcome.action, outcome.frames, outcome.lossy) == ("transcoded", 5, False)
    assert_same_but_progressive(source, tmp_path / "out.dcm", uid=J2K_LOSSLESS)
    found = [decoded(frame) for frame in frames_of(tmp_path / "out.dcm")]
    assert np.array_equal(np.stack(found), np.stack(images))


def test_lossy_frames_stay_as_lossy_as_they_were(
    transcode: Transcode, make_file: MakeFile, images: list[np.ndarray], tmp_path: Path
) -> None:
    source = make_file([j2k(image, level=45.0) for image in images], J2K, lossy=True)
    assert transcode(source).lossy is False, "nothing more is lost"
    assert_same_but_progressive(source, tmp_path / "out.dcm", uid=J2K)
    ds = pydicom.dcmread(tmp_path / "out.dcm")
    assert (ds.LossyImageCompression, ds.LossyImageCompressionRatio) == ("01", 7.5)
    assert ds.LossyImageCompressionMethod == "ISO_15444_1"


@pytest.mark.parametrize("uid", [HTJ2K_LOSSLESS, HTJ2K])
def test_reversible_htj2k_becomes_rpcl(
    transcode: Transcode, make_file: MakeFile, images: list[np.ndarray], tmp_path: Path, uid: str
) -> None:
    source = make_file([ht(image) for image in images], uid)
    assert transcode(source).warnings == ()
    assert_same_but_progressive(source, tmp_path / "out.dcm", uid=HTJ2K_LOSSLESS_RPCL)


def test_irreversible_htj2k_stays_what_it_is(
    transcode: Transcode, make_file: MakeFile, images: list[np.ndarray], tmp_path: Path
) -> None:
    frames = [ht(image, reversible=False) for image in images]
    source = make_file(frames, HTJ2K, lossy=True)
    transcode(source)
    assert_same_but_progressive(source, tmp_path / "out.dcm", uid=HTJ2K)


def test_one_frame_that_breaks_a_rule_keeps_the_whole_file_from_the_name(
    transcode: Transcode, make_file: MakeFile, images: list[np.ndarray], tmp_path: Path
) -> None:
    frames = [ht(image) for image in images]
    frames[3] = ht(images[3], reversible=False)
    source = make_file(frames, HTJ2K)
    (warning,) = transcode(source).warnings
    assert "the transfer syntax stays 1.2.840.10008.1.2.4.203" in warning
    ds = pydicom.dcmread(tmp_path / "out.dcm")
    assert ds.file_meta.TransferSyntaxUID == HTJ2K
    for old, new in zip(frames, frames_of(tmp_path / "out.dcm"), strict=True):
        assert np.array_equal(decoded(old), decoded(new))


def test_the_name_is_taken_back_by_whichever_run_shows_the_rule_broken(
    make_file: MakeFile, images: list[np.ndarray], tmp_path: Path
) -> None:
    frames = [ht(image) for image in images]
    frames[4] = ht(images[4], reversible=False)
    source = make_file(frames, HTJ2K)
    target = tmp_path / "out.dcm"
    plan = plan_transcode(Job(str(source), str(target), PROGRESSIVE, "off"))
    assert plan.job.target_uid == HTJ2K_LOSSLESS_RPCL
    with FileWriting(plan) as writing:
        for index in range(5):
            writing.add(execute_run(plan.run(range(index, index + 1))))
        writing.finish()
    ds = pydicom.dcmread(target)
    assert ds.file_meta.TransferSyntaxUID == HTJ2K
    offsets = np.frombuffer(ds.ExtendedOffsetTable, "<u8")
    for offset, frame in zip(offsets, frames_of(target), strict=True):
        start = 8 + int(offset) + 8
        assert ds.PixelData[start : start + len(frame)] == frame


def test_everything_else_becomes_htj2k_rpcl(
    transcode: Transcode, sample_study, tmp_path: Path
) -> None:
    for source in sample_study.files:
        transcode(source, source.name)
        ds = pydicom.dcmread(tmp_path / source.name)
        assert ds.file_meta.TransferSyntaxUID == HTJ2K_LOSSLESS_RPCL
    rle = Path(str(get_testdata_file("MR_small_RLE.dcm", download=False)))
    transcode(rle, "rle.dcm")
    assert np.array_equal(
        decoded(frames_of(tmp_path / "rle.dcm")[0]), pydicom.dcmread(rle).pixel_array
    )


def test_a_progressive_file_is_copied(
    transcode: Transcode, make_file: MakeFile, images: list[np.ndarray], tmp_path: Path
) -> None:
    source = make_file([j2k(image) for image in images], J2K_LOSSLESS)
    transcode(source)
    outcome = transcode(tmp_path / "out.dcm", "again.dcm")
    assert (outcome.action, outcome.reason) == ("copied", "progressive already")
    assert (tmp_path / "again.dcm").read_bytes() == (tmp_path / "out.dcm").read_bytes()


def test_one_frame_that_is_not_progressive_is_enough_to_write_the_file_anew(
    transcode: Transcode, make_file: MakeFile, images: list[np.ndarray], tmp_path: Path
) -> None:
    frames = [to_progressive(j2k(image)) for image in images]
    frames[4] = j2k(images[4])
    source = make_file(frames, J2K_LOSSLESS)
    assert transcode(source).action == "transcoded"
    assert_same_but_progressive(source, tmp_path / "out.dcm", uid=J2K_LOSSLESS)


def test_a_mere_copy_at_the_target_does_not_pass_for_the_result(
    transcode: Transcode, make_file: MakeFile, images: list[np.ndarray], tmp_path: Path
) -> None:
    source = make_file([j2k(image) for image in images], J2K_LOSSLESS)
    (tmp_path / "out.dcm").write_bytes(source.read_bytes())
    assert transcode(source).action == "transcoded"
    assert transcode(source).action == "skipped"


def test_a_frame_in_fragments_is_put_together(
    transcode: Transcode, make_file: MakeFile, images: list[np.ndarray], tmp_path: Path
) -> None:
    ds = pydicom.dcmread(make_file([j2k(images[0])], J2K_LOSSLESS))
    ds.PixelData = encapsulate([j2k(images[0])], fragments_per_frame=3, has_bot=False)
    ds.save_as(tmp_path / "fragments.dcm")
    transcode(tmp_path / "fragments.dcm")
    (frame,) = frames_of(tmp_path / "out.dcm")
    assert np.array_equal(decoded(frame), images[0])


@pytest.mark.parametrize("cut", [0.2, 0.9])
def test_a_truncated_frame_is_named_and_no_target_appears(
    transcode: Transcode, make_file: MakeFile, images: list[np.ndarray], tmp_path: Path, cut: float
) -> None:
    frames = [j2k(image) for image in images]
    frames[2] = frames[2][: int(cut * len(frames[2]))]
    source = make_file(frames, J2K_LOSSLESS)
    with pytest.raises(CodestreamError) as caught:
        transcode(source, verify="off")
    assert caught.value.frame == 3
    assert caught.value.instance == pydicom.dcmread(source).SOPInstanceUID
    assert [path.name for path in tmp_path.iterdir()] == ["source.dcm"]


def test_what_cannot_be_rearranged_is_decoded_and_encoded_where_lossless(
    make_file: MakeFile,
    images: list[np.ndarray],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    frames = [j2k(image) for image in images]
    refuse(monkeypatch, frames[3])
    source = make_file(frames, J2K_LOSSLESS)
    outcome = in_threads(source, tmp_path / "out.dcm")
    assert outcome.action == "transcoded"
    assert outcome.warnings == ("decoded and encoded, not rearranged: frame 4: it has a feature",)
    ds = pydicom.dcmread(tmp_path / "out.dcm")
    assert ds.file_meta.TransferSyntaxUID == HTJ2K_LOSSLESS_RPCL
    found = [decoded(frame) for frame in frames_of(tmp_path / "out.dcm")]
    assert np.array_equal(np.stack(found), np.stack(images))


def test_what_cannot_be_rearranged_is_kept_where_it_may_be_lossy(
    make_file: MakeFile,
    images: list[np.ndarray],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    frames = [j2k(image, level=45.0) for image in images]
    refuse(monkeypatch, frames[0])
    source = make_file(frames, J2K)
    outcome = in_threads(source, tmp_path / "out.dcm")
    assert outcome.action == "kept"
    assert "frame 1: it has a feature" in outcome.reason
    assert (tmp_path / "out.dcm").read_bytes() == source.read_bytes()


def refuse(monkeypatch: pytest.MonkeyPatch, refused: bytes) -> None:
    """Have the surgeon lack a feature of one codestream."""
    real = rearranging.to_progressive

    def picky(data: object) -> bytes:
        whole = bytes(data)  # type: ignore[call-overload]
        if whole.rstrip(b"\0") == refused.rstrip(b"\0"):
            raise UnsupportedError("it has a feature", feature="a feature")
        return real(whole)

    monkeypatch.setattr(rearranging, "to_progressive", picky)


def in_threads(source: Path, target: Path) -> Outcome:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(2) as threads:
        job = Job(str(source), str(target), PROGRESSIVE, "self")
        return asyncio.run(transcode_file(job, executor=threads, budget=ByteBudget(1 << 20)))


def test_runs_are_cut_by_stored_bytes_where_nothing_is_decoded(
    make_file: MakeFile, images: list[np.ndarray]
) -> None:
    source = make_file([j2k(images[index % 5]) for index in range(60)], J2K_LOSSLESS)
    plan = plan_transcode(Job(str(source), "", PROGRESSIVE, "off"))
    frames, pixels = plan.instance.frames, plan.instance.pixels
    assert frames is not None
    assert pixels is not None
    assert frames.lengths is not None
    assert plan.run_frame_bytes == frames.lengths.sum() // 60
    runs = list(plan_runs(frames, pixels=pixels, jobs=2, frame_bytes=plan.run_frame_bytes))
    assert [index for run in runs for index in run] == list(range(60))
    run: FrameRun = plan.run(runs[0])
    stored = sum(frame.length_bytes for frame in run.frames)
    assert run.weight_bytes == 3 * stored + 2 * pixels.decoded_bytes
    checked = plan_transcode(Job(str(source), "", PROGRESSIVE, "self"))
    assert checked.run_frame_bytes is None


def test_an_interrupted_file_goes_on_where_it_stopped(
    make_file: MakeFile, images: list[np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mersey.engine.archive.part_file._SYNC_EVERY_BYTES", 1)
    source = make_file([ht(images[index % 5]) for index in range(20)], HTJ2K_LOSSLESS)
    whole, target = tmp_path / "whole.dcm", tmp_path / "out.dcm"
    plan = plan_transcode(Job(str(source), str(target), PROGRESSIVE, "off"))
    with FileWriting(plan) as writing:
        for start in (0, 4, 8):
            writing.add(execute_run(plan.run(range(start, start + 4))))
    # Left without finishing, as an interrupted call leaves it.
    assert not target.exists()
    with FileWriting(plan) as writing:
        assert writing.done_frames == 12
        writing.add(execute_run(plan.run(range(12, 20))))
        outcome = writing.finish()
    assert (outcome.frames, outcome.resumed_frames) == (8, 12)
    again = plan_transcode(replace(plan.job, target=str(whole)))
    with FileWriting(again) as writing:
        writing.add(execute_run(again.run(range(20))))
        writing.finish()
    assert target.read_bytes() == whole.read_bytes()


def test_every_real_j2k_and_htj2k_file_keeps_its_samples(
    transcode: Transcode, shared_data: Path, tmp_path: Path
) -> None:
    files = real_files(shared_data)
    assert len(files) >= 20
    for number, (name, uid) in enumerate(files):
        source, made = shared_data / name, tmp_path / f"{number}.dcm"
        outcome = transcode(source, made.name)
        assert outcome.action == "transcoded", (name, outcome.reason)
        becomes = HTJ2K_LOSSLESS_RPCL if uid == HTJ2K_LOSSLESS else uid
        assert_same_but_progressive(source, made, uid=becomes)
