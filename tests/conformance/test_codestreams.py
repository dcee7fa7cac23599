"""The conformance streams of ISO/IEC 15444-4, OpenJPH and OpenJPEG, by the command line.

Every stream decodes to the samples that MANIFEST.tsv has from OpenJPEG, or stands in one of
the tables below with the reason. The irreversible 9-7 wavelet is computed in floating point,
where decoders may differ by one.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterator
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from mersey.engine.cli import codestream_decoding
from mersey.engine.cli.main import app
from mersey.engine.runtime.frame_decode import decode_frame
from mersey.engine.runtime.worker_pool import WorkerPool
from typer.testing import CliRunner

_DIFFERENT_COMPONENTS = "components of different sizes, which no DICOM image has"
_OPENJPEG_FAILS = "OpenJPEG fails on it, and OpenJPH does too: MANIFEST.tsv has no digest either"

REFUSED = {
    "htj2k/conformance/ATK_DFS_IRV.j2c": "Part 2 decomposition styles",
    "htj2k/conformance/ds0_hm_15_b8.j2k": _OPENJPEG_FAILS,
    "htj2k/conformance/ds0_ht_03_b11.j2k": _OPENJPEG_FAILS,
    "htj2k/conformance/ds0_ht_03_b14.j2k": _OPENJPEG_FAILS,
    "htj2k/conformance/ds0_ht_05_b11.j2k": _DIFFERENT_COMPONENTS,
    "htj2k/conformance/ds0_ht_13_b11.j2k": "257 components, Samples per Pixel is at most 4",
    "htj2k/conformance/ds0_ht_15_b11.j2k": _OPENJPEG_FAILS,
    "htj2k/conformance/ds0_ht_15_b14.j2k": _OPENJPEG_FAILS,
    "htj2k/conformance/ds1_ht_01_b11.j2k": _DIFFERENT_COMPONENTS,
    "htj2k/conformance/ds1_ht_01_b12.j2k": _DIFFERENT_COMPONENTS,
    "htj2k/conformance/ds1_ht_03_b11.j2k": _DIFFERENT_COMPONENTS,
    "htj2k/conformance/ds1_ht_07_b11.j2k": _DIFFERENT_COMPONENTS,
    "htj2k/openjph/simple_dec_irv97_64x64_tiles_LRCP33x33.jph": (
        "1,650 tiles: OpenJPH wants more than the memory of a worker"
    ),
    "j2k/conformance/p0_05.j2k": _DIFFERENT_COMPONENTS,
    "j2k/conformance/p0_13.j2k": "257 components, Samples per Pixel is at most 4",
    "j2k/conformance/p1_01.j2k": _DIFFERENT_COMPONENTS,
    "j2k/conformance/p1_03.j2k": _DIFFERENT_COMPONENTS,
    "j2k/conformance/p1_07.j2k": _DIFFERENT_COMPONENTS,
    "j2k/nonregression/issue414.jp2": "5 components, Samples per Pixel is at most 4",
}
"""Streams that end with exit code 1, one line, and no file."""

OF_THE_WRAPPER = {
    "j2k/conformance/file5.jp2": "a colour space",
    "j2k/conformance/file9.jp2": "a palette",
    "j2k/nonregression/issue171.jp2": "a colour space",
    "j2k/nonregression/issue235.jp2": "a palette",
    "j2k/nonregression/issue254.jp2": "a palette",
    "j2k/nonregression/issue412.jp2": "a palette",
}
"""MANIFEST.tsv has what the JP2 wrapper makes of the samples; DICOM frames have none, and the
data set says what the samples mean (PS3.5 §A.4.4). Ours are the codestream's own."""


BROKEN_REFUSED = {
    "broken/htj2k/security_multitilepart_cblk_length.j2k",
    "broken/htj2k/security_threaded_decode_abort_color.j2k",
}
"""OpenJPEG makes an image of them, OpenJPH notices that they are malformed: so do we."""


@pytest.fixture
def one_pool(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Worker processes as the command has them, but not a new one for every file."""
    with WorkerPool(jobs=2) as pool:
        monkeypatch.setattr(
            codestream_decoding,
            "decode_safely",
            lambda work: pool.submit(decode_frame, work).result(),
        )
        yield


def streams(shared_data: Path, *folders: str) -> dict[str, dict[str, str]]:
    with (shared_data / "MANIFEST.tsv").open(newline="", encoding="utf-8") as file:
        rows = {row["path"]: row for row in csv.DictReader(file, delimiter="\t")}
    return {
        path: row
        for path, row in rows.items()
        if path.startswith(folders) and row["kind"] in ("j2k_codestream", "jp2/jph")
    }


def bare_codestream(data: bytes) -> bytes:
    """The codestream in a JP2 file (ISO/IEC 15444-1 Annex I)."""
    return data[data.index(b"\xff\x4f\xff\x51") :]


def same_but_for_rounding(samples: np.ndarray, data: bytes, digest: str) -> bool:
    reference = imagecodecs.jpeg2k_decode(data, planar=False)
    assert hashlib.sha256(reference.tobytes()).hexdigest() == digest
    return bool(abs(reference.astype(np.int64) - samples).max() <= 1)


@pytest.mark.usefixtures("one_pool")
def test_every_stream_decodes_to_the_digest_or_is_listed(shared_data: Path, tmp_path: Path) -> None:
    rows = streams(shared_data, "htj2k/", "j2k/")
    assert len(rows) > 90
    assert set(rows) >= {*REFUSED, *OF_THE_WRAPPER}
    out = tmp_path / "out.npy"
    wrong = []
    for path, row in rows.items():
        words = ["codestream", "decode", str(shared_data / path), str(out)]
        result = CliRunner().invoke(app, words)
        if path in REFUSED:
            assert result.exit_code == 1, path
            assert result.stderr.startswith("mersey: error: ") or not result.stderr, path
            assert not out.exists(), path
            continue
        assert result.exit_code == 0, (path, result.output)
        samples = np.load(out)
        out.unlink()
        data = (shared_data / path).read_bytes()
        if path in OF_THE_WRAPPER:
            expected = imagecodecs.jpeg2k_decode(bare_codestream(data), planar=False)
            right = np.array_equal(samples, expected)
        elif hashlib.sha256(samples.tobytes()).hexdigest() == row["decoded_sha256"]:
            right = True
        else:
            is_lossy = "irv97" in path or path.endswith("kodim23_mono.j2c")
            right = is_lossy and same_but_for_rounding(samples, data, row["decoded_sha256"])
        if not right:
            wrong.append(path)
    assert wrong == []


@pytest.mark.usefixtures("one_pool")
def test_every_broken_stream_ends_with_an_image_or_one_line(
    shared_data: Path, tmp_path: Path
) -> None:
    rows = streams(shared_data, "broken/htj2k/", "broken/j2k/")
    assert len(rows) > 40
    out = tmp_path / "out.npy"
    for path, row in rows.items():
        result = CliRunner().invoke(
            app, ["codestream", "decode", str(shared_data / path), str(out)]
        )
        if result.exit_code == 0:
            samples = np.load(out)
            out.unlink()
            digest = hashlib.sha256(samples.tobytes()).hexdigest()
            assert row["decoded_sha256"] in ("", digest), path
        else:
            assert result.exit_code == 1, path
            assert result.stderr.startswith("mersey: error: "), path
            assert result.stderr.count("\n") == 1, path
            assert not row["decoded_sha256"] or path in BROKEN_REFUSED
            assert not out.exists()


@pytest.mark.usefixtures("one_pool")
@pytest.mark.parametrize(
    ("path", "reduce"),
    [
        ("htj2k/medical/CT1.j2c", 1),
        ("htj2k/medical/CT1.j2c", 5),
        ("htj2k/medical/US1.j2c", 2),
        ("j2k/conformance/p0_03.j2k", 1),
    ],
)
def test_a_smaller_image_is_the_one_openjpeg_makes(
    shared_data: Path, tmp_path: Path, path: str, reduce: int
) -> None:
    data = (shared_data / path).read_bytes()
    expected = imagecodecs.jpeg2k_decode(data, planar=False, skipres=reduce)
    out = tmp_path / "out.npy"
    words = ["codestream", "decode", str(shared_data / path), str(out), "--reduce", str(reduce)]
    assert CliRunner().invoke(app, words).exit_code == 0
    assert np.array_equal(np.load(out), expected)
