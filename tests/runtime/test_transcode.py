"""Transcoding a file: every pixel comes through, whatever happens on the way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import openjpeg
import pydicom
import pytest
from mersey.codecs.errors import DicomError, MerseyError, UsageError
from mersey.codecs.syntaxes import EXPLICIT_LE, HTJ2K_LOSSLESS_RPCL
from mersey.engine.runtime.byte_budget import ByteBudget
from mersey.engine.runtime.outcome import Outcome
from mersey.engine.runtime.plan import Job
from mersey.engine.runtime.transcode import transcode_file
from mersey.engine.runtime.worker_pool import WorkerPool
from pydicom.encaps import generate_frames, parse_basic_offsets
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

if TYPE_CHECKING:
    from sample_study import SampleStudy


type Transcode = Callable[..., Outcome]


@pytest.fixture
def transcode(pool: WorkerPool, tmp_path: Path) -> Transcode:
    def transcode(
        source: Path, name: str = "out.dcm", to: str = HTJ2K_LOSSLESS_RPCL, **options: object
    ) -> Outcome:
        job = Job(str(source), str(tmp_path / name), to)
        budget = ByteBudget(32 << 20)
        return asyncio.run(
            transcode_file(job, executor=pool, budget=budget, **options)  # type: ignore[arg-type]
        )

    return transcode


def independent_frames(path: Path) -> np.ndarray:
    ds = pydicom.dcmread(path)
    count = int(ds.get("NumberOfFrames", 1))
    frames = [openjpeg.decode(f) for f in generate_frames(ds.PixelData, number_of_frames=count)]
    return np.stack(frames) if count > 1 else frames[0]


def test_every_frame_decodes_to_the_source_by_another_decoder(
    transcode: Transcode, sample_study: SampleStudy, tmp_path: Path
) -> None:
    for source in sample_study.files:
        outcome = transcode(source, source.name)
        assert outcome.action == "transcoded"
        expected = pydicom.dcmread(source).pixel_array
        assert np.array_equal(independent_frames(tmp_path / source.name), expected)


def test_the_result_is_a_valid_progressive_file(
    transcode: Transcode, sample_study: SampleStudy, tmp_path: Path
) -> None:
    transcode(sample_study.enhanced_ct)
    ds = pydicom.dcmread(tmp_path / "out.dcm")
    assert ds.file_meta.TransferSyntaxUID == HTJ2K_LOSSLESS_RPCL
    assert parse_basic_offsets(ds.PixelData) == []
    count = int(ds.NumberOfFrames)
    offsets = np.frombuffer(ds.ExtendedOffsetTable, "<u8")
    lengths = np.frombuffer(ds.ExtendedOffsetTableLengths, "<u8")
    assert len(offsets) == len(lengths) == count
    first_item = 8  # the empty Basic Offset Table's item
    for offset, length in zip(offsets, lengths, strict=True):
        start = first_item + int(offset)
        assert ds.PixelData[start : start + 4] == b"\xfe\xff\x00\xe0"
        frame = ds.PixelData[start + 8 : start + 8 + int(length)]
        assert frame.startswith(b"\xff\x4f\xff\x51")
        assert frame.endswith((b"\xff\xd9", b"\xff\xd9\x00"))


def test_there_and_back_again_gives_the_same_pixel_bytes(
    transcode: Transcode, sample_study: SampleStudy, tmp_path: Path
) -> None:
    for source in sample_study.files:
        transcode(source, "there.dcm", overwrite=True)
        transcode(tmp_path / "there.dcm", "back.dcm", to=EXPLICIT_LE, overwrite=True)
        original, back = pydicom.dcmread(source), pydicom.dcmread(tmp_path / "back.dcm")
        assert back.PixelData == original.PixelData
        assert back == original


def test_many_runs_come_out_in_order(transcode: Transcode, tmp_path: Path) -> None:
    from sample_study import write_sparse_multiframe

    images = [np.full((512, 512), number, np.uint16) for number in range(97)]
    source = tmp_path / "source.dcm"
    write_sparse_multiframe(source, frames=97, pattern=images)
    seen: list[int] = []
    outcome = transcode(source, on_progress=lambda pixels, _: seen.append(pixels))
    assert outcome.frames == 97
    assert sum(seen) == outcome.pixel_bytes == 97 * 512 * 512 * 2
    assert len(seen) > 2
    assert np.array_equal(independent_frames(tmp_path / "out.dcm"), np.stack(images))


def test_bits_allocated_1_goes_through_though_frames_do_not_start_on_a_byte(
    transcode: Transcode, sample_study: SampleStudy, tmp_path: Path
) -> None:
    bits = np.random.default_rng(1).integers(0, 2, (11, 13, 7), np.uint8)
    ds = pydicom.dcmread(sample_study.us_cine)
    ds.Rows, ds.Columns, ds.NumberOfFrames, ds.SamplesPerPixel = 13, 7, 11, 1
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 1, 1, 0
    ds.PhotometricInterpretation = "MONOCHROME2"
    packed = np.packbits(bits.ravel(), bitorder="little").tobytes()
    ds.PixelData = packed + b"\0" * (len(packed) % 2)
    ds["PixelData"].VR = "OB"
    del ds.PlanarConfiguration
    ds.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    source = tmp_path / "bits.dcm"
    ds.save_as(source, implicit_vr=True, enforce_file_format=True)
    assert transcode(source, to=EXPLICIT_LE).frames == 11
    made = pydicom.dcmread(tmp_path / "out.dcm")
    assert made.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert np.array_equal(made.pixel_array, bits)
    assert made.PixelData == ds.PixelData
    kept = transcode(source, "kept.dcm")
    assert (kept.action, "Bits Allocated 1" in kept.reason) == ("kept", True)
    assert (tmp_path / "kept.dcm").read_bytes() == source.read_bytes()


def test_negative_samples_with_zeros_in_their_unused_bits_keep_their_values(
    transcode: Transcode, sample_study: SampleStudy, tmp_path: Path
) -> None:
    ds = pydicom.dcmread(sample_study.ct_series[0])
    values = np.random.default_rng(2).integers(-2048, 2048, (128, 128), np.int16)
    ds.PixelRepresentation, ds.BitsStored, ds.HighBit = 1, 12, 11
    ds.PixelData = (values & 0xFFF).tobytes()
    source = tmp_path / "signed.dcm"
    ds.save_as(source)
    assert transcode(source).action == "transcoded"
    assert np.array_equal(independent_frames(tmp_path / "out.dcm"), values)


def test_a_deflated_file_is_inflated_on_the_way_and_nothing_stays(
    transcode: Transcode, sample_study: SampleStudy, tmp_path: Path
) -> None:
    ds = pydicom.dcmread(sample_study.enhanced_ct)
    ds.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    source = tmp_path / "deflated.dcm"
    ds.save_as(source, enforce_file_format=True)
    transcode(source)
    made = tmp_path / "out.dcm"
    assert np.array_equal(independent_frames(made), ds.pixel_array)
    assert {path.name for path in tmp_path.iterdir()} == {"deflated.dcm", "out.dcm"}


def test_an_object_without_pixels_is_copied_byte_for_byte(
    transcode: Transcode, tmp_path: Path
) -> None:
    from pydicom.data import get_testdata_file

    source = Path(str(get_testdata_file("rtplan.dcm")))
    assert transcode(source).action == "copied"
    assert (tmp_path / "out.dcm").read_bytes() == source.read_bytes()


def test_what_an_earlier_call_made_is_not_made_again(
    transcode: Transcode, sample_study: SampleStudy, tmp_path: Path
) -> None:
    made = tmp_path / "out.dcm"
    transcode(sample_study.us_cine)
    inode = made.stat().st_ino
    assert transcode(sample_study.us_cine).action == "skipped"
    assert made.stat().st_ino == inode
    assert transcode(sample_study.us_cine, overwrite=True).action == "transcoded"
    assert made.stat().st_ino != inode
    assert transcode(sample_study.enhanced_ct).action == "transcoded", "another object lay there"


def test_the_source_is_never_its_own_target(
    transcode: Transcode, sample_study: SampleStudy, tmp_path: Path
) -> None:
    source = tmp_path / "out.dcm"
    data = sample_study.us_cine.read_bytes()
    source.write_bytes(data)
    with pytest.raises(UsageError, match="never altered"):
        transcode(source)
    assert source.read_bytes() == data


def test_a_broken_frame_is_named_and_no_target_appears(
    transcode: Transcode, sample_study: SampleStudy, tmp_path: Path
) -> None:
    transcode(sample_study.enhanced_ct, "good.dcm")
    ds = pydicom.dcmread(tmp_path / "good.dcm")
    data = bytearray(ds.PixelData)
    frame_four = 8 + int(np.frombuffer(ds.ExtendedOffsetTable, "<u8")[3]) + 8
    data[frame_four + 8 : frame_four + 16] = b"\xff" * 8  # Xsiz and Ysiz
    ds.PixelData = bytes(data)
    source = tmp_path / "bad.dcm"
    ds.save_as(source)
    with pytest.raises(MerseyError) as caught:
        transcode(source, to=EXPLICIT_LE)
    assert caught.value.frame == 4
    assert caught.value.instance == ds.SOPInstanceUID
    assert not (tmp_path / "out.dcm").exists()
    assert not list(tmp_path.glob(".mersey-*"))


def test_a_truncated_file_says_where_it_ends(
    transcode: Transcode, sample_study: SampleStudy, tmp_path: Path
) -> None:
    whole = sample_study.enhanced_ct.read_bytes()
    source = tmp_path / "cut.dcm"
    source.write_bytes(whole[: len(whole) - 1000])
    with pytest.raises(DicomError) as caught:
        transcode(source)
    assert caught.value.tag == 0x7FE00010
    assert not (tmp_path / "out.dcm").exists()


def test_any_executor_will_do(sample_study: SampleStudy, tmp_path: Path) -> None:
    target = tmp_path / "out.dcm"
    with ThreadPoolExecutor(2) as threads:
        job = Job(str(sample_study.enhanced_ct), str(target), HTJ2K_LOSSLESS_RPCL, "self")
        asyncio.run(transcode_file(job, executor=threads, budget=ByteBudget(1)))
    expected = pydicom.dcmread(sample_study.enhanced_ct).pixel_array
    assert np.array_equal(independent_frames(target), expected)
