"""Every target that has a name can be reached, from colour and grey, and read back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pydicom
import pytest
from mersey.codecs.registry import TARGETS, Registry
from mersey.codecs.syntaxes import EXPLICIT_LE, SYNTAXES
from mersey.engine.cli.main import app
from typer.testing import CliRunner

if TYPE_CHECKING:
    from sample_study import SampleStudy

MAY_LOSE = sorted(name for name, uid in TARGETS.items() if not SYNTAXES[uid].lossless)
EXACT = sorted(set(TARGETS) - set(MAY_LOSE))


def transcode(*words: str | Path) -> dict[str, object]:
    result = CliRunner().invoke(app, ["transcode", *map(str, words), "--jobs", "1", "--json"])
    assert result.exit_code == 0, result.output
    summary: dict[str, object] = json.loads(result.stdout)
    return summary


def test_every_encoder_has_a_name() -> None:
    encodable = {row.uid for row in Registry.default().rows() if row.encode}
    assert encodable == set(TARGETS.values())


@pytest.mark.parametrize("name", EXACT)
def test_a_lossless_target_gives_the_pixels_back(
    sample_study: SampleStudy, tmp_path: Path, name: str
) -> None:
    there, back = tmp_path / "there", tmp_path / "back"
    there.mkdir()
    back.mkdir()
    sources = [sample_study.enhanced_ct, sample_study.us_cine]
    summary = transcode(*sources, there, "--to", name)
    assert summary["lossy"] == 0
    transcode(there, back, "--to", "explicit-le")
    for source in sources:
        original, made = pydicom.dcmread(source), pydicom.dcmread(back / source.name)
        middle = pydicom.dcmread(there / source.name)
        if middle.file_meta.TransferSyntaxUID != EXPLICIT_LE:
            assert middle.file_meta.TransferSyntaxUID == TARGETS[name]
        assert np.array_equal(made.pixel_array, original.pixel_array)
        assert made.PhotometricInterpretation == original.PhotometricInterpretation
        assert made.SOPInstanceUID == middle.SOPInstanceUID == original.SOPInstanceUID


@pytest.mark.parametrize("name", MAY_LOSE)
def test_a_lossy_target_says_so_and_comes_near(
    sample_study: SampleStudy, tmp_path: Path, name: str
) -> None:
    source = sample_study.us_cine  # 8 bits in colour: every lossy syntax has a form for it
    lossy, back = tmp_path / "lossy.dcm", tmp_path / "back.dcm"
    summary = transcode(source, lossy, "--to", name, "--quality", "psnr:38")
    assert (summary["transcoded"], summary["lossy"]) == (1, 1)
    made = pydicom.dcmread(lossy, stop_before_pixels=True)
    original = pydicom.dcmread(source)
    assert made.file_meta.TransferSyntaxUID == TARGETS[name]
    assert made.LossyImageCompression == "01"
    assert float(made.LossyImageCompressionRatio) > 1
    assert made.LossyImageCompressionMethod.startswith("ISO_")
    assert made.SOPInstanceUID != original.SOPInstanceUID
    transcode(lossy, back, "--to", "explicit-le")
    plain = pydicom.dcmread(back)
    assert plain.LossyImageCompressionMethod == made.LossyImageCompressionMethod
    # pydicom turns YBR_FULL, as which JPEG gives colours back, into RGB.
    error = ((plain.pixel_array.astype(float) - original.pixel_array) ** 2).mean()
    assert 10 * np.log10(255**2 / error) > 36
    assert transcode(source, lossy, "--to", name, "--quality", "psnr:38")["skipped"] == 1


def test_a_target_that_only_decodes_is_refused_before_anything_is_done(
    sample_study: SampleStudy, tmp_path: Path
) -> None:
    words = ["transcode", str(sample_study.us_cine), str(tmp_path / "x.dcm"), "--to"]
    result = CliRunner().invoke(app, [*words, "1.2.840.10008.1.2.4.51"])
    assert result.exit_code == 1
    assert "cannot be encoded" in result.stderr
    result = CliRunner().invoke(app, [*words, "htj2k", "--quality", "psnr:40"])
    assert result.exit_code == 2
    assert "takes no quality" in result.stderr
    assert list(tmp_path.iterdir()) == []
