"""What is lost is told: the attributes, the identity and the history of lossy results."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pydicom
import pytest
from mersey.codecs.errors import UsageError
from mersey.codecs.quality import Quality
from mersey.codecs.syntaxes import EXPLICIT_LE, HTJ2K, HTJ2K_LOSSLESS_RPCL
from mersey.engine.archive import part_file
from mersey.engine.archive.frame_digests import FileDigests
from mersey.engine.runtime.byte_budget import ByteBudget
from mersey.engine.runtime.file_writing import FileWriting
from mersey.engine.runtime.frame_run import RunResult, execute_run
from mersey.engine.runtime.outcome import Outcome
from mersey.engine.runtime.plan import Job, plan_transcode
from mersey.engine.runtime.transcode import transcode_file
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import MPEG2MPML, ImplicitVRLittleEndian

if TYPE_CHECKING:
    from sample_study import SampleStudy

type Transcode = Callable[..., Outcome]

JPEG_BASELINE = "1.2.840.10008.1.2.4.50"
PSNR_45 = Quality(psnr_db=45)


@pytest.fixture
def transcode(tmp_path: Path) -> Transcode:
    def transcode(
        source: Path, name: str = "out.dcm", to: str = HTJ2K, quality: Quality | None = PSNR_45
    ) -> Outcome:
        job = Job(str(source), str(tmp_path / name), to, quality=quality)
        with ThreadPoolExecutor(1) as threads:
            return asyncio.run(transcode_file(job, executor=threads, budget=ByteBudget(1)))

    return transcode


def test_a_lossy_result_is_another_instance_and_tells_how_it_was_made(
    transcode: Transcode, sample_study: SampleStudy, tmp_path: Path
) -> None:
    outcome = transcode(sample_study.enhanced_ct)
    assert outcome.lossy
    source, made = pydicom.dcmread(sample_study.enhanced_ct), pydicom.dcmread(tmp_path / "out.dcm")
    assert made.SOPInstanceUID != source.SOPInstanceUID
    assert made.file_meta.MediaStorageSOPInstanceUID == made.SOPInstanceUID
    assert made.ImageType == ["DERIVED", *source.ImageType[1:]]
    assert made.LossyImageCompression == "01"
    assert made.LossyImageCompressionMethod == "ISO_15444_15"
    lengths = np.frombuffer(made.ExtendedOffsetTableLengths, "<u8")
    ratio = len(source.PixelData) / lengths.sum()
    assert float(made.LossyImageCompressionRatio) == pytest.approx(ratio, rel=0.01)
    assert made.DerivationDescription == "Lossy compression: HTJ2K, psnr:45"
    (code,) = made.DerivationCodeSequence
    assert (code.CodeValue, code.CodingSchemeDesignator) == ("113040", "DCM")
    (predecessor,) = made.SourceImageSequence
    assert predecessor.ReferencedSOPInstanceUID == source.SOPInstanceUID
    assert predecessor.ReferencedSOPClassUID == source.SOPClassUID
    assert predecessor.PurposeOfReferenceCodeSequence[0].CodeValue == "121320"
    assert made.StudyInstanceUID == source.StudyInstanceUID


def test_a_lossy_result_comes_as_close_as_was_asked(
    transcode: Transcode, sample_study: SampleStudy, tmp_path: Path
) -> None:
    source = pydicom.dcmread(sample_study.enhanced_ct).pixel_array.astype(float)
    for floor in (45, 60):
        transcode(sample_study.enhanced_ct, quality=Quality(psnr_db=floor))
        made = pydicom.dcmread(tmp_path / "out.dcm").pixel_array
        for frame, expected in zip(made, source, strict=True):
            error = ((frame - expected) ** 2).mean()
            assert 10 * np.log10(4095**2 / error) > floor - 0.1


def test_the_same_settings_give_the_same_instance_and_others_another(
    transcode: Transcode, sample_study: SampleStudy, tmp_path: Path
) -> None:
    transcode(sample_study.us_cine, "a.dcm")
    transcode(sample_study.us_cine, "b.dcm")
    transcode(sample_study.us_cine, "c.dcm", quality=Quality(ratio=8))
    assert (tmp_path / "a.dcm").read_bytes() == (tmp_path / "b.dcm").read_bytes()
    uids = {pydicom.dcmread(tmp_path / f"{name}.dcm").SOPInstanceUID for name in "ac"}
    assert len(uids) == 2


def test_a_lossy_result_is_not_made_again_unless_something_else_is_asked_for(
    transcode: Transcode, sample_study: SampleStudy
) -> None:
    assert transcode(sample_study.us_cine).action == "transcoded"
    assert transcode(sample_study.us_cine).action == "skipped"
    assert transcode(sample_study.us_cine, quality=Quality(ratio=9)).action == "transcoded"


def test_a_lossless_encoding_of_a_lossy_source_keeps_its_history_and_its_identity(
    transcode: Transcode, sample_study: SampleStudy, tmp_path: Path
) -> None:
    transcode(sample_study.us_cine, "lossy.dcm")
    lossy = pydicom.dcmread(tmp_path / "lossy.dcm")
    for uid in (HTJ2K_LOSSLESS_RPCL, EXPLICIT_LE):
        outcome = transcode(tmp_path / "lossy.dcm", f"{uid}.dcm", uid, quality=None)
        assert (outcome.action, outcome.lossy) == ("transcoded", False)
        made = pydicom.dcmread(tmp_path / f"{uid}.dcm")
        for name in (
            "SOPInstanceUID",
            "ImageType",
            "LossyImageCompression",
            "LossyImageCompressionRatio",
            "LossyImageCompressionMethod",
            "DerivationDescription",
            "DerivationCodeSequence",
            "SourceImageSequence",
        ):
            assert made[name] == lossy[name], name
        # Decoders round the 9-7 wavelet as they please.
        difference = made.pixel_array.astype(int) - lossy.pixel_array
        assert abs(difference).max() <= 2


def test_a_second_lossy_step_is_appended_to_the_first(
    transcode: Transcode, sample_study: SampleStudy, tmp_path: Path
) -> None:
    transcode(sample_study.us_cine, "once.dcm")
    same = transcode(tmp_path / "once.dcm", "same.dcm", quality=None)
    assert (same.action, same.reason) == ("copied", "in the target syntax already")
    transcode(tmp_path / "once.dcm", "twice.dcm", quality=Quality(ratio=30))
    once, twice = (pydicom.dcmread(tmp_path / name) for name in ("once.dcm", "twice.dcm"))
    assert twice.SOPInstanceUID != once.SOPInstanceUID
    assert twice.LossyImageCompressionMethod == ["ISO_15444_15", "ISO_15444_15"]
    assert twice.LossyImageCompressionRatio[0] == once.LossyImageCompressionRatio
    assert float(twice.LossyImageCompressionRatio[1]) >= 30
    assert len(twice.DerivationCodeSequence) == len(twice.SourceImageSequence) == 2
    predecessor = twice.SourceImageSequence[1]
    assert predecessor.ReferencedSOPInstanceUID == once.SOPInstanceUID
    assert predecessor.PurposeOfReferenceCodeSequence[0].CodeValue == "121330"
    assert twice.DerivationDescription.endswith("; Lossy compression: HTJ2K, ratio:30")


@pytest.mark.parametrize("implicit", [False, True])
@pytest.mark.parametrize("undefined_length", [False, True])
def test_derivations_that_are_there_already_stay(
    transcode: Transcode,
    sample_study: SampleStudy,
    tmp_path: Path,
    implicit: bool,
    undefined_length: bool,
) -> None:
    ds = pydicom.dcmread(sample_study.ct_series[0])
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator = "113072", "DCM"
    code.CodeMeaning = "Multiplanar reformatting"
    ds.DerivationCodeSequence = Sequence([code])
    ds["DerivationCodeSequence"].is_undefined_length = undefined_length
    ds.DerivationDescription = "made by hand"
    if implicit:
        ds.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    source = tmp_path / "source.dcm"
    ds.save_as(source, implicit_vr=implicit)
    transcode(source)
    made = pydicom.dcmread(tmp_path / "out.dcm")
    assert [item.CodeValue for item in made.DerivationCodeSequence] == ["113072", "113040"]
    assert made.DerivationCodeSequence[0] == code
    assert made.DerivationDescription.startswith("made by hand; Lossy")
    made.pixel_array  # noqa: B018  what follows the sequence is still in its place


def write_runs(
    source: Path, target: Path, lossy: list[bool], *, stop_after: int | None = None
) -> Outcome | None:
    """Write a file of one frame a run; of each run, whether it says that something was lost."""
    plan = plan_transcode(Job(str(source), str(target), HTJ2K, quality=PSNR_45, digests=True))
    with FileWriting(plan) as writing:
        for index in range(writing.done_frames, plan.frame_count):
            if index == stop_after:
                return None
            made = execute_run(plan.run(range(index, index + 1)))
            writing.add(
                RunResult(
                    made.data, frames=1, lossy=lossy[index], ratio=made.ratio, digests=made.digests
                )
            )
        return writing.finish()


@pytest.mark.parametrize("first_lossy", [None, 0, 1, 5])
def test_one_lossy_frame_makes_the_instance_lossy_wherever_it_comes(
    sample_study: SampleStudy, tmp_path: Path, first_lossy: int | None
) -> None:
    target = tmp_path / "out.dcm"
    lossy = [index == first_lossy for index in range(6)]
    outcome = write_runs(sample_study.enhanced_ct, target, lossy)
    assert outcome is not None
    assert outcome.lossy == (first_lossy is not None)
    source, made = pydicom.dcmread(sample_study.enhanced_ct), pydicom.dcmread(target)
    assert (made.SOPInstanceUID != source.SOPInstanceUID) == outcome.lossy
    assert ("LossyImageCompressionRatio" in made) == outcome.lossy
    reference = tmp_path / "reference.dcm"
    write_runs(sample_study.enhanced_ct, reference, [outcome.lossy] * 6)
    assert target.read_bytes() == reference.read_bytes()
    assert np.array_equal(made.pixel_array, pydicom.dcmread(reference).pixel_array)
    assert not list(tmp_path.glob(".mersey-*"))


@pytest.mark.parametrize("lossy", [[True] * 6, [False] * 6, [False, False, True] * 2])
@pytest.mark.parametrize("stop_after", [1, 4])
def test_an_interrupted_lossy_file_ends_as_the_uninterrupted_one(
    sample_study: SampleStudy,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    lossy: list[bool],
    stop_after: int,
) -> None:
    monkeypatch.setattr(part_file, "_SYNC_EVERY_BYTES", 1)
    whole, target = tmp_path / "whole.dcm", tmp_path / "out.dcm"
    write_runs(sample_study.enhanced_ct, whole, lossy)
    assert write_runs(sample_study.enhanced_ct, target, lossy, stop_after=stop_after) is None
    outcome = write_runs(sample_study.enhanced_ct, target, lossy)
    assert outcome is not None
    assert outcome.resumed_frames == stop_after
    assert target.read_bytes() == whole.read_bytes()
    mine, other = FileDigests.read(target), FileDigests.read(whole)
    assert np.array_equal(mine.digests, other.digests)
    assert mine.size_bytes == other.size_bytes == target.stat().st_size
    data = target.read_bytes()
    for index in range(len(mine.ends)):
        mine.check(lambda offset, length: data[offset : offset + length], index)


def test_frames_of_single_bits_go_on_with_the_right_frame(
    sample_study: SampleStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(part_file, "_SYNC_EVERY_BYTES", 1)
    bits = np.random.default_rng(1).integers(0, 2, (24, 13, 7), np.uint8)
    ds = pydicom.dcmread(sample_study.us_cine)
    ds.Rows, ds.Columns, ds.NumberOfFrames, ds.SamplesPerPixel = 13, 7, 24, 1
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 1, 1, 0
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.PixelData = np.packbits(bits.ravel(), bitorder="little").tobytes() + b"\0"
    ds["PixelData"].VR = "OB"
    del ds.PlanarConfiguration
    ds.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    source, target = tmp_path / "bits.dcm", tmp_path / "out.dcm"
    ds.save_as(source, implicit_vr=True, enforce_file_format=True)
    plan = plan_transcode(Job(str(source), str(target), EXPLICIT_LE))
    with FileWriting(plan) as writing:
        writing.add(execute_run(plan.run(range(8))))
    with FileWriting(plan) as writing:
        assert writing.done_frames == 8
        writing.add(execute_run(plan.run(range(8, 24))))
        writing.finish()
    assert np.array_equal(pydicom.dcmread(target).pixel_array, bits)


def test_video_is_kept_and_says_so(
    transcode: Transcode, sample_study: SampleStudy, tmp_path: Path
) -> None:
    from pydicom.encaps import encapsulate

    ds = pydicom.dcmread(sample_study.us_cine)
    ds.PixelData = encapsulate([b"\0\0\1\xb3 no frames to be told apart "])
    ds["PixelData"].VR = "OB"
    ds.file_meta.TransferSyntaxUID = MPEG2MPML
    source = tmp_path / "video.dcm"
    ds.save_as(source)
    outcome = transcode(source, to=HTJ2K_LOSSLESS_RPCL, quality=None)
    assert outcome.action == "kept"
    assert "video" in outcome.reason
    assert (tmp_path / "out.dcm").read_bytes() == source.read_bytes()
    again = transcode(source, to=HTJ2K_LOSSLESS_RPCL, quality=None)
    assert again.action == "skipped"


def test_a_quality_for_a_lossless_syntax_is_refused(
    transcode: Transcode, sample_study: SampleStudy
) -> None:
    with pytest.raises(UsageError, match="lossless"):
        transcode(sample_study.us_cine, to=HTJ2K_LOSSLESS_RPCL)


@pytest.mark.parametrize(
    "text", ["45", "psnr", "psnr:", "psnr:x", "ssim:3", "ratio:nan", "ratio:0", ""]
)
def test_a_quality_that_says_nothing_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        Quality.parse(text)


@pytest.mark.parametrize("text", ["psnr:45", "ratio:8", "ratio:12.5"])
def test_a_quality_is_read_as_it_is_written(text: str) -> None:
    assert str(Quality.parse(text)) == text


@pytest.mark.parametrize(
    "untold", [("LossyImageCompression",), ("LossyImageCompression", "LossyImageCompressionMethod")]
)
def test_loss_that_only_the_transfer_syntax_told_of_is_declared(
    transcode: Transcode, tmp_path: Path, untold: tuple[str, ...]
) -> None:
    from mersey.codecs.registry import Registry
    from pydicom.data import get_testdata_file

    if not {row.uid for row in Registry.default().rows() if row.decode} & {JPEG_BASELINE}:
        pytest.skip("JPEG Baseline is not decoded here")
    source = tmp_path / "source.dcm"
    shutil.copy(str(get_testdata_file("SC_rgb_jpeg_dcmtk.dcm")), source)
    ds = pydicom.dcmread(source)
    for name in (*untold, "LossyImageCompressionRatio"):
        ds.pop(name, None)
    ds.save_as(source)
    transcode(source, to=EXPLICIT_LE, quality=None)
    made = pydicom.dcmread(tmp_path / "out.dcm")
    assert made.LossyImageCompression == "01"
    assert made.LossyImageCompressionMethod == "ISO_10918_1"
    assert float(made.LossyImageCompressionRatio) > 1
    assert made.SOPInstanceUID == ds.SOPInstanceUID
