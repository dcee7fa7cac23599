"""Files whose samples lie oddly in their containers, transcoded: the values come through."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pydicom
import pytest
from mersey.codecs.errors import UnsupportedError
from mersey.codecs.registry import TARGETS
from mersey.engine.runtime.byte_budget import ByteBudget
from mersey.engine.runtime.plan import Job
from mersey.engine.runtime.transcode import transcode_file
from mersey.engine.runtime.worker_pool import WorkerPool
from pydicom.data import get_testdata_file
from pydicom.uid import ExplicitVRLittleEndian
from sample_study import SampleStudy


@pytest.fixture(scope="module")
def pool() -> Iterator[WorkerPool]:
    with WorkerPool(jobs=1) as pool:
        yield pool


def _transcode(pool: WorkerPool, source: Path, target: Path, name: str) -> pydicom.Dataset:
    job = Job(str(source), str(target), TARGETS[name])
    asyncio.run(transcode_file(job, executor=pool, budget=ByteBudget(32 << 20)))
    return pydicom.dcmread(target)


def _write(ds: pydicom.Dataset, samples: np.ndarray, path: Path, **changes: int) -> Path:
    for keyword, value in changes.items():
        setattr(ds, keyword, value)
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.PixelData = samples.astype(samples.dtype.newbyteorder("<")).tobytes()
    ds["PixelData"].VR = "OW"
    ds.save_as(path)
    return path


@pytest.fixture
def slice_(sample_study: SampleStudy) -> pydicom.Dataset:
    """A CT slice of 12 bits in 16."""
    return pydicom.dcmread(sample_study.ct_series[0])


@pytest.mark.parametrize("name", ["htj2k-rpcl", "j2k", "jpegls", "rle"])
def test_high_bit_is_rewritten_where_the_samples_move(
    pool: WorkerPool, slice_: pydicom.Dataset, tmp_path: Path, name: str
) -> None:
    values = slice_.pixel_array & 0x0FFF
    source = _write(slice_, values << 4, tmp_path / "in.dcm", BitsStored=12, HighBit=15)
    written = _transcode(pool, source, tmp_path / "out.dcm", name)
    assert (written.BitsAllocated, written.BitsStored) == (16, 12)
    assert written.HighBit == (15 if name == "rle" else 11)
    back = _transcode(pool, tmp_path / "out.dcm", tmp_path / "back.dcm", "explicit-le")
    stored = np.frombuffer(back.PixelData, "<u2").reshape(values.shape)
    np.testing.assert_array_equal(stored >> (back.HighBit - 11), values)


@pytest.mark.parametrize("name", ["htj2k-rpcl", "j2k", "jpegls"])
def test_old_overlays_in_unused_bits_are_kept_or_told(
    pool: WorkerPool, slice_: pydicom.Dataset, tmp_path: Path, name: str
) -> None:
    samples = slice_.pixel_array & np.uint16(0x0FFF)
    samples[5:9, 5:9] |= 0x8000
    source = _write(slice_, samples, tmp_path / "in.dcm", BitsStored=12, HighBit=11)
    with pytest.raises(UnsupportedError, match="old overlays") as caught:
        _transcode(pool, source, tmp_path / "out.dcm", name)
    assert caught.value.frame == 1
    assert not (tmp_path / "out.dcm").exists()
    packed = _transcode(pool, source, tmp_path / "rle.dcm", "rle")
    assert packed.HighBit == 11
    back = _transcode(pool, tmp_path / "rle.dcm", tmp_path / "back.dcm", "explicit-le")
    assert back.PixelData == samples.tobytes()


@pytest.mark.parametrize("name", ["htj2k-rpcl", "j2k", "jpegls", "rle"])
def test_odd_frames_in_big_endian_words_come_through(
    pool: WorkerPool, tmp_path: Path, name: str
) -> None:
    path = get_testdata_file("SC_rgb_small_odd_big_endian.dcm", download=False)
    if path is None:
        pytest.skip("this pydicom ships no such file")
    expected = pydicom.dcmread(path).pixel_array
    _transcode(pool, Path(path), tmp_path / "out.dcm", name)
    back = _transcode(pool, tmp_path / "out.dcm", tmp_path / "back.dcm", "explicit-le")
    assert back.PhotometricInterpretation == "RGB"
    np.testing.assert_array_equal(back.pixel_array, expected)
