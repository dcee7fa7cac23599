"""`mersey transcode --to progressive` as it is typed: what is made, copied, told and refused."""

from __future__ import annotations

import json
from pathlib import Path

import imagecodecs
import numpy as np
import pydicom
import pytest
from mersey.codecs.codestream import scan_codestream
from mersey.engine.cli.main import app
from pydicom.encaps import encapsulate, generate_frames
from typer.testing import CliRunner

J2K_LOSSLESS = "1.2.840.10008.1.2.4.90"


@pytest.fixture
def folder(sample_study, tmp_path: Path) -> Path:
    """A good J2K file, one with a frame cut short, one that is uncompressed."""
    folder = tmp_path / "in"
    folder.mkdir()
    ds = pydicom.dcmread(sample_study.enhanced_ct)
    (folder / "raw.dcm").write_bytes(sample_study.enhanced_ct.read_bytes())
    frames = [
        imagecodecs.jpeg2k_encode(frame, codecformat="j2k", reversible=True, bitspersample=12)
        for frame in ds.pixel_array
    ]
    ds.file_meta.TransferSyntaxUID = J2K_LOSSLESS
    for name in ("good.dcm", "hostile.dcm"):
        ds.PixelData = encapsulate(frames)
        ds["PixelData"].VR = "OB"
        ds.save_as(folder / name)
        frames[3] = frames[3][:500]
    return folder


def test_a_hostile_frame_costs_its_file_one_line_and_the_rest_goes_on(
    folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    words = ["transcode", str(folder), str(out), "--to", "progressive", "--json", "--jobs", "1"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 1
    summary = json.loads(result.stdout)
    assert (summary["files"], summary["transcoded"], len(summary["failures"])) == (3, 2, 1)
    (line,) = result.stderr.strip().splitlines()
    assert "hostile.dcm" in line
    assert "frame 4" in line
    assert sorted(path.name for path in out.iterdir()) == ["good.dcm", "raw.dcm"]
    made, source = pydicom.dcmread(out / "good.dcm"), pydicom.dcmread(folder / "good.dcm")
    assert made.file_meta.TransferSyntaxUID == J2K_LOSSLESS
    assert made.SOPInstanceUID == source.SOPInstanceUID
    assert np.array_equal(made.pixel_array, source.pixel_array)
    for frame in generate_frames(made.PixelData, number_of_frames=6):
        layout = scan_codestream(frame)
        assert (layout.progression, layout.has_tlm) == ("RPCL", True)


def test_progressive_takes_no_quality(folder: Path, tmp_path: Path) -> None:
    words = ["transcode", str(folder), str(tmp_path / "out"), "--to", "progressive"]
    result = CliRunner().invoke(app, [*words, "--quality", "psnr:45"])
    assert result.exit_code == 2
    assert "takes no quality" in result.stderr
