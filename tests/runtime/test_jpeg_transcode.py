"""JPEG files into other syntaxes and back: colours, lossy history, lossless round trips."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import imagecodecs
import numpy as np
import pydicom
import pytest
from mersey.codecs.quality import Quality
from mersey.codecs.syntaxes import (
    EXPLICIT_LE,
    HTJ2K_LOSSLESS_RPCL,
    JPEG_BASELINE,
    JPEG_LOSSLESS_SV1,
)
from mersey.engine.cli.main import app
from mersey.engine.runtime.byte_budget import ByteBudget
from mersey.engine.runtime.outcome import Outcome
from mersey.engine.runtime.plan import Job
from mersey.engine.runtime.transcode import transcode_file
from pydicom.data import get_testdata_file
from pydicom.encaps import encapsulate, generate_frames
from typer.testing import CliRunner

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")

type Transcode = Callable[..., Outcome]

_HISTORY = (
    "SOPInstanceUID",
    "LossyImageCompression",
    "LossyImageCompressionRatio",
    "LossyImageCompressionMethod",
)


@pytest.fixture
def transcode(tmp_path: Path) -> Transcode:
    def transcode(
        source: Path, to: str, name: str = "out.dcm", quality: Quality | None = None
    ) -> Outcome:
        job = Job(str(source), str(tmp_path / name), to, quality=quality)
        with ThreadPoolExecutor(1) as threads:
            return asyncio.run(transcode_file(job, executor=threads, budget=ByteBudget(1)))

    return transcode


def _shipped(name: str) -> Path:
    path = get_testdata_file(name, download=False)
    if path is None:
        pytest.skip(f"this pydicom ships no {name}")
    return Path(path)


def _components(path: Path) -> list[np.ndarray]:
    """The frames of a colour JPEG file, never converted."""
    ds = pydicom.dcmread(path)
    frames = generate_frames(ds.PixelData, number_of_frames=int(ds.get("NumberOfFrames", 1)))
    return [
        imagecodecs.jpeg8_decode(frame, colorspace="RGB", outcolorspace="RGB") for frame in frames
    ]


def _saved(ds: pydicom.Dataset, path: Path) -> Path:
    ds.save_as(path)
    return path


@pytest.mark.parametrize("to", [HTJ2K_LOSSLESS_RPCL, JPEG_LOSSLESS_SV1, EXPLICIT_LE])
@pytest.mark.parametrize(
    ("name", "declared", "expected"),
    [
        ("SC_rgb_dcmtk_+eb+cy+n2.dcm", "YBR_FULL", "YBR_FULL"),
        ("SC_rgb_dcmtk_+eb+cy+s2.dcm", "YBR_FULL_422", "YBR_FULL"),
        ("SC_rgb_dcmtk_+eb+cr.dcm", "RGB", "RGB"),
        ("SC_rgb_small_odd_jpeg.dcm", "YBR_FULL", "YBR_FULL"),
        ("examples_ybr_color.dcm", "YBR_FULL_422", "YBR_FULL"),
    ],
)
def test_colour_stays_what_it_was_and_is_called_so(
    transcode: Transcode, tmp_path: Path, name: str, declared: str, expected: str, to: str
) -> None:
    source = pydicom.dcmread(_shipped(name))
    assert source.PhotometricInterpretation == declared
    outcome = transcode(_shipped(name), to)
    assert (outcome.action, outcome.lossy, outcome.warnings) == ("transcoded", False, ())
    made = pydicom.dcmread(tmp_path / "out.dcm")
    transformed = {"RGB": "YBR_RCT"}.get(expected, expected)
    assert made.PhotometricInterpretation == (
        transformed if to == HTJ2K_LOSSLESS_RPCL else expected
    )
    assert made.PlanarConfiguration == 0
    for keyword in _HISTORY:
        assert made.get(keyword) == source.get(keyword), keyword
    if to == JPEG_LOSSLESS_SV1:
        found = _components(tmp_path / "out.dcm")
    else:
        decoded = made.pixel_array if expected == "RGB" else _raw(made)
        found = list(decoded.reshape(-1, *decoded.shape[-3:]))
    for frame, components in zip(found, _components(_shipped(name)), strict=True):
        np.testing.assert_array_equal(frame, components)


def _raw(ds: pydicom.Dataset) -> np.ndarray:
    from pydicom.pixels import pixel_array

    array: np.ndarray = pixel_array(ds, raw=True)
    return array


@pytest.mark.parametrize(
    ("name", "declared", "stored"),
    [
        ("SC_rgb_dcmtk_+eb+cy+n2.dcm", "RGB", "YBR_FULL"),
        ("SC_rgb_dcmtk_+eb+cr.dcm", "YBR_FULL_422", "RGB"),
    ],
)
def test_a_wrong_photometric_interpretation_is_put_right_and_told(
    transcode: Transcode, tmp_path: Path, name: str, declared: str, stored: str
) -> None:
    ds = pydicom.dcmread(_shipped(name))
    ds.PhotometricInterpretation = declared
    outcome = transcode(_saved(ds, tmp_path / "wrong.dcm"), EXPLICIT_LE)
    assert outcome.warnings == (
        f"Photometric Interpretation is {declared}, the JPEG codestream holds {stored}",
    )
    made = pydicom.dcmread(tmp_path / "out.dcm")
    assert made.PhotometricInterpretation == stored
    as_rgb = made.pixel_array if stored == "RGB" else _as_rgb(made)
    assert np.abs(as_rgb[5, 50].astype(int) - [255, 0, 0]).max() <= 3  # a red stripe


def _as_rgb(ds: pydicom.Dataset) -> np.ndarray:
    from pydicom.pixels import convert_color_space

    return convert_color_space(_raw(ds), ds.PhotometricInterpretation, "RGB")


def test_loss_that_only_the_transfer_syntax_told_of_is_told_afterwards(
    transcode: Transcode, tmp_path: Path
) -> None:
    ds = pydicom.dcmread(_shipped("SC_rgb_dcmtk_+eb+cy+n2.dcm"))
    for keyword in _HISTORY[1:]:
        del ds[keyword]
    transcode(_saved(ds, tmp_path / "silent.dcm"), HTJ2K_LOSSLESS_RPCL)
    made = pydicom.dcmread(tmp_path / "out.dcm")
    assert made.SOPInstanceUID == ds.SOPInstanceUID
    assert made.LossyImageCompression == "01"
    assert made.LossyImageCompressionMethod == "ISO_10918_1"
    assert made.LossyImageCompressionRatio > 1


def test_12_bit_extended_is_kept_bit_for_bit(transcode: Transcode, tmp_path: Path) -> None:
    source = _shipped("JPGExtended.dcm")
    transcode(source, JPEG_LOSSLESS_SV1)
    made = pydicom.dcmread(tmp_path / "out.dcm")
    frames = [pydicom.dcmread(source).PixelData, made.PixelData]
    before, after = (
        imagecodecs.jpeg8_decode(next(generate_frames(data, number_of_frames=1))) for data in frames
    )
    np.testing.assert_array_equal(after, before)
    assert (made.BitsAllocated, made.BitsStored) == (16, 12)
    assert made.LossyImageCompression == "01"


@pytest.mark.parametrize("name", ["CT_small.dcm", "MR_small.dcm", "SC_rgb_small_odd.dcm"])
def test_lossless_jpeg_and_back_is_the_same(
    transcode: Transcode, tmp_path: Path, name: str
) -> None:
    source = _shipped(name)
    outcome = transcode(source, JPEG_LOSSLESS_SV1, "jpeg.dcm")
    assert (outcome.action, outcome.lossy) == ("transcoded", False)
    transcode(tmp_path / "jpeg.dcm", EXPLICIT_LE, "back.dcm")
    before, after = pydicom.dcmread(source), pydicom.dcmread(tmp_path / "back.dcm")
    assert after.PixelData[: len(before.PixelData)] == before.PixelData
    assert after.SOPInstanceUID == before.SOPInstanceUID
    assert "LossyImageCompression" not in after or before.LossyImageCompression


def test_baseline_is_lossy_derived_and_opens_elsewhere(
    transcode: Transcode, tmp_path: Path
) -> None:
    source = pydicom.dcmread(_shipped("SC_rgb_small_odd.dcm"))
    assert source.PhotometricInterpretation == "RGB"
    outcome = transcode(_shipped("SC_rgb_small_odd.dcm"), JPEG_BASELINE, quality=Quality(ratio=1))
    assert outcome.lossy
    made = pydicom.dcmread(tmp_path / "out.dcm")
    assert made.SOPInstanceUID != source.SOPInstanceUID
    assert made.PhotometricInterpretation == "YBR_FULL_422"
    assert (made.LossyImageCompression, made.LossyImageCompressionMethod) == ("01", "ISO_10918_1")
    (frame,) = generate_frames(made.PixelData, number_of_frames=1)
    assert imagecodecs.jpeg8_decode(frame).shape == (source.Rows, source.Columns, 3)


def test_a_cut_frame_is_an_error_that_names_it(transcode: Transcode, tmp_path: Path) -> None:
    from mersey.codecs.errors import CodestreamError

    ds = pydicom.dcmread(_shipped("SC_rgb_dcmtk_+eb+cy+n2.dcm"))
    (frame,) = generate_frames(ds.PixelData, number_of_frames=1)
    ds.PixelData = encapsulate([frame[: len(frame) // 2]])
    with pytest.raises(CodestreamError, match=r"frame 1: JPEG codestream .* ends before EOI"):
        transcode(_saved(ds, tmp_path / "cut.dcm"), HTJ2K_LOSSLESS_RPCL)
    assert not (tmp_path / "out.dcm").exists()


def test_the_command_keeps_history_and_shows_right_colours(tmp_path: Path) -> None:
    ds = pydicom.dcmread(_shipped("SC_rgb_dcmtk_+eb+cy+n2.dcm"))
    ds.PhotometricInterpretation = "RGB"
    wrong = _saved(ds, tmp_path / "wrong.dcm")
    run = CliRunner().invoke(app, ["transcode", str(wrong), str(tmp_path / "made.dcm")])
    assert run.exit_code == 0, run.output
    made = pydicom.dcmread(tmp_path / "made.dcm")
    assert made.PhotometricInterpretation == "YBR_FULL"
    for keyword in _HISTORY:
        assert made[keyword] == ds[keyword]
    for path in (wrong, tmp_path / "made.dcm"):
        png = tmp_path / "frame.png"
        run = CliRunner().invoke(app, ["extract", str(path), str(png), "--frame", "1"])
        assert run.exit_code == 0, run.output
        shown = imagecodecs.png_decode(png.read_bytes())
        assert np.abs(shown[5, 50].astype(int) - [255, 0, 0]).max() <= 3
