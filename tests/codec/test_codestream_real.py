"""Codestreams of other people's encoders, in ../shared/data where that is present."""

from __future__ import annotations

from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from codestreams import blank_bodies_from
from mersey.codecs.codestream import scan_codestream
from mersey.codecs.errors import CodestreamError

SUFFIXES = {".j2c", ".j2k", ".jhc", ".jp2", ".jph"}


def codestreams(folder: Path) -> list[Path]:
    found = sorted(path for path in folder.rglob("*") if path.suffix in SUFFIXES)
    if not found:
        pytest.skip(f"no codestreams in {folder.name}")
    return found


@pytest.mark.parametrize("folder", ["j2k", "htj2k"])
def test_every_valid_stream_is_scanned(shared_data: Path, folder: str) -> None:
    for path in codestreams(shared_data / folder):
        layout = scan_codestream(path.read_bytes())
        assert layout.length_bytes is not None, path.name
        assert layout.complete_reduce == 0, path.name
        reasons = ("order of their resolutions", "POC", "DFS")
        if layout.cut_points is None:
            assert any(reason in layout.why_no_cut_points for reason in reasons), path.name
        else:
            assert layout.cut_evidence == "packets", path.name


@pytest.mark.parametrize("folder", ["j2k", "htj2k"])
def test_every_broken_stream_is_scanned_or_refused(shared_data: Path, folder: str) -> None:
    for path in codestreams(shared_data / "broken" / folder):
        data = path.read_bytes()
        if error := refusal(data):
            assert error.offset_bytes is not None, path.name
            assert error.offset_bytes <= len(data), path.name


def refusal(data: bytes) -> CodestreamError | None:
    try:
        scan_codestream(data)
    except CodestreamError as error:
        return error
    return None


@pytest.mark.parametrize("folder", ["j2k", "htj2k"])
def test_nothing_behind_a_cut_is_needed(shared_data: Path, folder: str) -> None:
    """Of each stream that OpenJPEG decodes at that reduction; most do."""
    compared = 0
    for path in codestreams(shared_data / folder):
        data = path.read_bytes()
        layout = scan_codestream(data)
        if layout.cut_points is None or layout.width * layout.height > 2_000_000:
            continue
        for reduce in range(1, layout.decompositions + 1):
            whole = decoded(data, reduce)
            if whole is None:
                continue
            blanked = blank_bodies_from(data, layout, layout.cut_points[reduce], empty_packet(data))
            np.testing.assert_array_equal(decoded(blanked, reduce), whole, err_msg=path.name)
            compared += 1
    assert compared > 50


def decoded(data: bytes, reduce: int) -> np.ndarray | None:
    try:
        return np.asarray(imagecodecs.jpeg2k_decode(data, skipres=reduce))
    except (imagecodecs.Jpeg2kError, NotImplementedError, ValueError):
        return None


def empty_packet(data: bytes) -> bytes:
    """With EPH where COD (A.6.1) says that it is used."""
    scod = data[data.index(b"\xff\x52", data.index(b"\xff\x4f\xff\x51")) + 4]
    return b"\0\xff\x92" if scod & 4 else b"\0"


@pytest.mark.parametrize("folder", ["j2k", "htj2k"])
def test_headers_of_prefixes_agree_with_the_whole(shared_data: Path, folder: str) -> None:
    for path in codestreams(shared_data / folder):
        data = path.read_bytes()
        whole = scan_codestream(data)
        if not whole.has_tlm or whole.cut_points is None:
            continue
        head = scan_codestream(
            data[: whole.jp2_offset + whole.main_header_bytes + 2], complete=False
        )
        assert head.cut_points in (None, whole.cut_points), path.name
