"""Surgery on codestreams of other people's encoders, in ../shared/data where that is present."""

from __future__ import annotations

import csv
from pathlib import Path

import pydicom
import pytest
from mersey.codecs.codestream import scan_codestream
from mersey.codecs.errors import CodestreamError, UnsupportedError
from mersey.codecs.surgery import to_progressive
from pydicom.encaps import generate_frames
from surgery_contract import assert_keeps_samples, assert_reduces_to_the_same

SUFFIXES = {".j2c", ".j2k", ".jhc", ".jp2", ".jph"}
MOST_BYTES_QUICK = 60_000

REFUSED = {
    "j2k/nonregression/issue399.j2k": (CodestreamError, "bytes follow the last packet of a tile"),
    "htj2k/conformance/ATK_DFS_IRV.j2c": (UnsupportedError, "Part 2 decomposition styles"),
}
"""The first is broken; the second is valid, of Part 2."""

NOT_DECODED = {
    f"htj2k/conformance/ds{name}.j2k"
    for name in (
        *("0_hm_15_b8", "0_ht_03_b11", "0_ht_03_b14", "0_ht_05_b11", "0_ht_13_b11"),
        *("0_ht_15_b11", "0_ht_15_b14", "1_ht_01_b11", "1_ht_01_b12", "1_ht_03_b11"),
    )
}
"""High throughput in several layers, mixed with Part 1, or with COC: neither OpenJPEG nor OpenJPH
decodes the originals. Their packets are compared, which their headers' walk has found."""


def streams(shared_data: Path, *, quick: bool) -> list[tuple[str, bytes]]:
    """Bare, whatever they came in."""
    found = []
    for path in sorted((shared_data / "j2k").rglob("*")) + sorted(
        (shared_data / "htj2k").rglob("*")
    ):
        if path.suffix not in SUFFIXES:
            continue
        data = path.read_bytes()
        if (len(data) <= MOST_BYTES_QUICK) == quick:
            name = path.relative_to(shared_data).as_posix()
            found.append((name, data[scan_codestream(data).jp2_offset :]))
    return found


def check_streams(shared_data: Path, *, quick: bool) -> None:
    compared = 0
    for name, data in streams(shared_data, quick=quick):
        if name in REFUSED:
            error, why = REFUSED[name]
            with pytest.raises(error, match=why):
                to_progressive(data)
            continue
        try:
            count = assert_keeps_samples(data) + assert_reduces_to_the_same(data)
        except AssertionError as error:
            raise AssertionError(f"{name}: {error}") from error
        assert (count > 0) == (name not in NOT_DECODED), name
        compared += count
    assert compared > 100


def test_small_real_streams_keep_their_samples(shared_data: Path) -> None:
    check_streams(shared_data, quick=True)


@pytest.mark.long
@pytest.mark.timeout(600)
def test_large_real_streams_keep_their_samples(shared_data: Path) -> None:
    check_streams(shared_data, quick=False)


J2K_SYNTAXES = {f"1.2.840.10008.1.2.4.{number}" for number in (90, 91, 201, 202, 203)}


def dicom_files(shared_data: Path) -> list[tuple[str, int]]:
    """Path and number of frames, of images that pydicom has decoded for the manifest."""
    csv.field_size_limit(1 << 30)
    with (shared_data / "MANIFEST.tsv").open(newline="", encoding="utf-8") as file:
        return [
            (row["path"], int(row["frames"] or 1))
            for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
            if row["path"].startswith("dicom/")
            and row["transfer_syntax"] in J2K_SYNTAXES
            and row["decoded_sha256"]
        ]


def check_frames(path: Path, frames: int, *, first_only: bool) -> int:
    ds = pydicom.dcmread(path, force=True)
    checked = 0
    for frame in generate_frames(ds.PixelData, number_of_frames=frames):
        data = bytes(frame)
        bare = data[scan_codestream(data).jp2_offset :]
        assert assert_keeps_samples(bare) > 0
        assert_reduces_to_the_same(bare)
        checked += 1
        if first_only:
            break
    return checked


def test_first_frames_of_dicom_files_keep_their_samples(shared_data: Path) -> None:
    checked = 0
    for name, frames in dicom_files(shared_data):
        path = shared_data / name
        if path.stat().st_size <= 10 * MOST_BYTES_QUICK:
            checked += check_frames(path, frames, first_only=True)
    assert checked >= 5


@pytest.mark.long
@pytest.mark.timeout(900)
def test_all_frames_of_dicom_files_keep_their_samples(shared_data: Path) -> None:
    assert sum(
        check_frames(shared_data / name, frames, first_only=False)
        for name, frames in dicom_files(shared_data)
    )
