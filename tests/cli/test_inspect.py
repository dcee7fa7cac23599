"""`mersey inspect` says what a file is, and only what it was asked for."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
from mersey.codecs.codestream import scan_codestream
from mersey.codecs.errors import UsageError
from mersey.engine.cli import inspection
from mersey.engine.cli.inspection import inspect_file
from mersey.engine.cli.main import app
from mersey.engine.runtime.source_file import SourceFile
from pydicom import dcmread
from pydicom.data import get_charset_files, get_testdata_file
from pydicom.encaps import get_frame
from sample_study import SampleStudy
from typer.testing import CliRunner

_KEYS = {
    "file", "size_bytes", "kind", "identity", "patient", "image", "frames", "codestream",
    "warnings",
}  # fmt: skip


def _json(*words: str) -> dict[str, Any]:
    result = CliRunner().invoke(app, ["inspect", "--json", *words])
    assert result.exit_code == 0, result.output
    report: dict[str, Any] = json.loads(result.stdout)
    return report


def test_identity_image_and_frames_of_an_uncompressed_file(sample_study: SampleStudy) -> None:
    report = _json(str(sample_study.enhanced_ct))
    ds = dcmread(sample_study.enhanced_ct)
    assert set(report) == _KEYS
    assert report["kind"] == "dicom"
    assert report["size_bytes"] == sample_study.enhanced_ct.stat().st_size
    assert report["identity"] == {
        "sop_class": "Enhanced CT Image Storage",
        "sop_class_uid": ds.SOPClassUID,
        "sop_instance_uid": ds.SOPInstanceUID,
        "series_instance_uid": ds.SeriesInstanceUID,
        "study_instance_uid": ds.StudyInstanceUID,
        "modality": "CT",
        "transfer_syntax": "Explicit VR Little Endian",
        "transfer_syntax_uid": "1.2.840.10008.1.2.1",
    }
    assert report["image"]["bits_stored"] == 12
    assert report["image"]["frame_bytes_decoded"] == 128 * 128 * 2
    frames = report["frames"]
    assert (frames["count"], frames["encapsulated"]) == (6, False)
    assert [row["number"] for row in frames["first"]] == [1, 2, 3, 4, 5]
    raw = sample_study.enhanced_ct.read_bytes()
    second = frames["first"][1]
    assert raw[second["offset_bytes"] :][: second["length_bytes"]] == ds.pixel_array[1].tobytes()
    assert report["codestream"] is None
    assert report["warnings"] == []


def test_cut_points_of_a_progressive_file_come_from_the_main_header_alone(
    progressive_ct: Path,
) -> None:
    report = _json(str(progressive_ct))
    frame = get_frame(dcmread(progressive_ct).PixelData, 0, number_of_frames=6)
    layout = scan_codestream(frame)
    codestream = report["codestream"]
    assert codestream["family"] == "HTJ2K"
    assert codestream["progression"] == "RPCL"
    assert codestream["tlm"] is True
    assert codestream["bytes_read"] < len(frame) // 4
    assert [row["bytes"] for row in codestream["cut_points"]] == list(layout.cut_points or ())
    assert [(row["width"], row["height"]) for row in codestream["cut_points"]][:3] == [
        (128, 128), (64, 64), (32, 32),
    ]  # fmt: skip
    assert codestream["cut_points"][0]["percent"] == 100
    assert report["frames"]["most_fragments_in_a_frame"] == 1


def test_headers_and_item_tags_are_all_that_is_read_of_a_large_file(
    sample_study: SampleStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[SourceFile] = []

    class Watched(SourceFile):
        def __init__(self, path: Path) -> None:
            super().__init__(path)
            opened.append(self)

    monkeypatch.setattr(inspection, "SourceFile", Watched)
    inspect_file(sample_study.enhanced_ct)
    header_bytes = sample_study.enhanced_ct.stat().st_size - 6 * 128 * 128 * 2
    assert opened[0].bytes_read < header_bytes + 70_000 < opened[0].size_bytes


def test_patient_values_are_shown_only_when_asked_for(sample_study: SampleStudy) -> None:
    path = str(sample_study.ct_series[0])
    for words in ([path], ["--json", path]):
        shown = CliRunner().invoke(app, ["inspect", *words]).stdout
        assert "Phantom" not in shown
        assert "MERSEY-SAMPLE" not in shown
    asked = _json(path, "--patient")["patient"]
    assert asked == {
        "name": "Phantom^Thorax", "id": "MERSEY-SAMPLE", "birth_date": "", "sex": "O",
    }  # fmt: skip
    assert "Phantom^Thorax" in CliRunner().invoke(app, ["inspect", path, "--patient"]).stdout


def test_patient_names_come_in_their_character_set() -> None:
    (path,) = get_charset_files("chrGreek.dcm")
    assert inspect_file(Path(path), patient=True)["patient"]["name"] == "Διονυσιος"


def test_the_table_for_people_holds_the_same_numbers(progressive_ct: Path) -> None:
    shown = CliRunner().invoke(app, ["inspect", str(progressive_ct)]).stdout
    point = _json(str(progressive_ct))["codestream"]["cut_points"][2]
    row = ["2", "32", "32", f"{point['bytes']:,}", f"{point['percent']:.2f}"]
    assert row in [line.split() for line in shown.splitlines()]
    assert "HTJ2K with RPCL Options (Lossless Only)" in shown
    assert all(line == line.rstrip() for line in shown.splitlines())


def test_an_object_without_pixels_has_identity_only() -> None:
    path = get_testdata_file("rtplan.dcm", download=False)
    report = _json(str(path))
    assert report["identity"]["sop_class"] == "RT Plan Storage"
    assert report["image"] is report["frames"] is report["codestream"] is None


@pytest.mark.parametrize("codec_format", ["J2K", "JP2"])
def test_a_bare_codestream_is_described_too(tmp_path: Path, codec_format: str) -> None:
    image = np.arange(96 * 64, dtype=np.uint16).reshape(96, 64)
    path = tmp_path / "bare"
    path.write_bytes(imagecodecs.jpeg2k_encode(image, level=0, codecformat=codec_format))
    report = _json(str(path))
    assert report["kind"] == "codestream"
    assert report["identity"] is None
    codestream = report["codestream"]
    assert (codestream["width"], codestream["height"]) == (64, 96)
    assert (codestream["jp2_offset"] > 0) == (codec_format == "JP2")


def test_a_codestream_that_denies_the_data_set_is_warned_of(
    progressive_ct: Path, tmp_path: Path
) -> None:
    ds = dcmread(progressive_ct)
    ds.Rows = 64
    path = tmp_path / "rows.dcm"
    ds.save_as(path)
    assert "Rows is 64, the codestream of frame 1 says 128" in _json(str(path))["warnings"]


def test_a_first_frame_that_is_no_codestream_is_a_warning(
    progressive_ct: Path, tmp_path: Path
) -> None:
    raw = bytearray(progressive_ct.read_bytes())
    start = raw.index(b"\xff\x4f\xff\x51")
    raw[start : start + 4] = b"junk"
    path = tmp_path / "junk.dcm"
    path.write_bytes(raw)
    report = _json(str(path))
    assert report["codestream"] is None
    assert any(warning.startswith("frame 1:") for warning in report["warnings"])


@pytest.mark.parametrize("length", [0, 1, 3, 131, 200, 1000, 5000])
def test_a_truncated_file_is_one_line_on_stderr(
    progressive_ct: Path, tmp_path: Path, length: int
) -> None:
    path = tmp_path / "short.dcm"
    path.write_bytes(progressive_ct.read_bytes()[:length])
    result = CliRunner().invoke(app, ["inspect", str(path)])
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.startswith("mersey: error: ")
    assert result.stderr.count("\n") == 1


def test_what_a_terminal_would_obey_is_escaped(sample_study: SampleStudy, tmp_path: Path) -> None:
    path = tmp_path / "escape.dcm"
    raw = sample_study.ct_series[0].read_bytes()
    path.write_bytes(raw.replace(b"CS\x02\0CT", b"CS\x06\0CT\x1b[2J", 1))
    shown = CliRunner().invoke(app, ["inspect", str(path)]).stdout
    assert "\x1b" not in shown
    assert "\\x1b[2J" in shown


def test_a_pipe_is_refused_and_does_not_hang(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(UsageError, match="not a regular file"):
        inspect_file(pipe)


def test_every_broken_file_ends_in_a_report_or_one_line(shared_data: Path) -> None:
    for path in sorted((shared_data / "broken").rglob("*")):
        if path.is_file():
            result = CliRunner().invoke(app, ["inspect", str(path)])
            assert result.exit_code in (0, 1), (path, result.exception)
            assert result.stderr.count("\n") == result.exit_code, (path, result.stderr)
