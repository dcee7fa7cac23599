"""The sample study is valid DICOM, like real pictures, and the same for the same seed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
from phantom import Thorax, Ultrasound
from pydicom.pixels import pixel_array
from sample_study import SampleStudy, main, write_sample_study, write_sparse_multiframe


def test_the_same_seed_writes_the_same_bytes(tmp_path: Path, sample_study: SampleStudy) -> None:
    again = write_sample_study(tmp_path, small=True)
    assert len(again.files) == len(sample_study.files) == 5
    for first, second in zip(sample_study.files, again.files, strict=True):
        assert first.read_bytes() == second.read_bytes()


def test_another_seed_is_another_study(tmp_path: Path, sample_study: SampleStudy) -> None:
    other = write_sample_study(tmp_path, small=True, seed=1)
    assert other.study_instance_uid != sample_study.study_instance_uid
    first, second = (pydicom.dcmread(study.enhanced_ct) for study in (sample_study, other))
    assert first.SOPInstanceUID != second.SOPInstanceUID
    assert first.PixelData != second.PixelData


def test_all_files_belong_to_one_study_in_three_series(sample_study: SampleStudy) -> None:
    headers = [pydicom.dcmread(path, stop_before_pixels=True) for path in sample_study.files]
    assert {ds.StudyInstanceUID for ds in headers} == {sample_study.study_instance_uid}
    assert len({ds.SeriesInstanceUID for ds in headers}) == 3
    assert len({ds.SOPInstanceUID for ds in headers}) == 5
    assert all(ds.file_meta.MediaStorageSOPInstanceUID == ds.SOPInstanceUID for ds in headers)


def test_every_frame_of_the_enhanced_ct_has_its_functional_groups(
    sample_study: SampleStudy,
) -> None:
    ds = pydicom.dcmread(sample_study.enhanced_ct)
    groups = ds.PerFrameFunctionalGroupsSequence
    assert len(groups) == ds.NumberOfFrames == 6
    heights = [item.PlanePositionSequence[0].ImagePositionPatient[2] for item in groups]
    assert heights == sorted(set(heights))
    assert [item.FrameContentSequence[0].DimensionIndexValues for item in groups] == [
        [1, number] for number in range(1, 7)
    ]
    shared = ds.SharedFunctionalGroupsSequence[0]
    assert shared.PixelValueTransformationSequence[0].RescaleIntercept == -1024


def test_pydicom_reads_the_pixels_that_were_drawn(sample_study: SampleStudy) -> None:
    ct = pixel_array(sample_study.enhanced_ct)
    drawn = Thorax(size=128, slices=6, seed=0)
    assert np.array_equal(ct, np.stack([drawn.frame(index) for index in range(6)]))
    cine = pixel_array(sample_study.us_cine)
    heart = Ultrasound(rows=96, columns=128, frames=4, seed=0)
    assert np.array_equal(cine, np.stack([heart.frame(index) for index in range(4)]))
    assert pixel_array(sample_study.ct_series[0]).shape == (128, 128)


def test_a_slice_uses_twelve_bits_and_has_anatomy_noise_and_background() -> None:
    image = Thorax(size=256, slices=10, seed=0).frame(4)
    assert image.dtype == np.uint16
    assert image.max() < 4096
    assert image[0, 0] == 0
    lung, heart = image[128, 75:90] - 1024.0, image[118, 136:150] - 1024.0
    assert lung.mean() < -700
    assert 20 < heart.mean() < 250
    assert 3 < heart.std() < 60


def test_neighbouring_slices_share_structure_but_not_noise() -> None:
    thorax = Thorax(size=256, slices=300, seed=0)
    first, second = (thorax.frame(index).astype(float) for index in (100, 101))
    assert np.corrcoef(first.ravel(), second.ravel())[0, 1] > 0.99
    flat = (slice(20, 40), slice(120, 140))
    assert abs(np.corrcoef(first[flat].ravel(), second[flat].ravel())[0, 1]) < 0.5


@pytest.mark.parametrize("index", [0, 150, 299])
def test_lossless_htj2k_makes_of_it_what_it_makes_of_real_ct(index: int) -> None:
    imagecodecs = pytest.importorskip("imagecodecs")
    image = Thorax(size=512, slices=300, seed=0).frame(index)
    encoded = imagecodecs.htj2k_encode(image, reversible=True, resolutions=5, bitspersample=12)
    assert 2.0 <= image.nbytes / len(encoded) <= 3.6


def test_the_sparse_file_reads_as_what_its_header_says(tmp_path: Path) -> None:
    path = tmp_path / "sparse.dcm"
    size = write_sparse_multiframe(path, frames=50, rows=512, columns=512)
    assert path.stat().st_size == size > 50 * 512 * 512 * 2
    assert path.stat().st_blocks * 512 < size // 10
    assert not pixel_array(path, index=49).any()


def test_a_pattern_fills_the_sparse_file(tmp_path: Path) -> None:
    path = tmp_path / "pattern.dcm"
    images = [np.full((8, 8), value, np.uint16) for value in (3, 70)]
    size = write_sparse_multiframe(path, frames=5, rows=8, columns=8, pattern=images)
    assert path.stat().st_size == size
    assert pixel_array(path)[:, 0, 0].tolist() == [3, 70, 3, 70, 3]


def test_more_than_uncompressed_pixel_data_can_hold_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at most 4294967294"):
        write_sparse_multiframe(tmp_path / "x.dcm", frames=8192)
    assert not (tmp_path / "x.dcm").exists()


def test_the_command_says_what_it_wrote(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "out"), "--small", "--frames", "2"]) == 0
    assert capsys.readouterr().out.startswith("5 files, ")
    assert pydicom.dcmread(tmp_path / "out" / "enhanced-ct.dcm").NumberOfFrames == 2
