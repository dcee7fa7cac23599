"""Metadata is pydicom's DICOM JSON, made without pydicom; where it differs, here is why."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pydicom
import pytest
from mersey.codecs.errors import DicomError, MerseyError
from mersey.engine.archive.metadata import make_metadata, pack_metadata, unpack_metadata
from mersey.engine.dicom.indexing import index_instance
from mersey.engine.dicom.instance import Layout

from . import reference_metadata

# Files on which we differ on purpose (`json_writer` says why), and the tags that differ.
BROKEN_SEQUENCE = {"DICOMDIR-nooffset": {"00041220"}}
BIG_ENDIAN_WORDS = {"pydicomdata__OBXXXX1A_expb.dcm": {"00281201", "00281202", "00281203"}}
DIFFERENT = BROKEN_SEQUENCE | BIG_ENDIAN_WORDS


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """pydicom logs what it makes of damaged values."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def layout_of(data: bytes) -> Layout:
    return index_instance(
        lambda offset, length: data[offset : offset + length], size_bytes=len(data)
    ).layout


def ours(data: bytes, layout: Layout | None = None) -> dict[str, Any]:
    packed = pack_metadata(
        lambda offset, length: data[offset : offset + length], layout or layout_of(data)
    )
    found: dict[str, Any] = json.loads(unpack_metadata(packed))
    return found


def pydicoms(path: Path, layout: Layout) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        unpack_metadata(reference_metadata.make_metadata(str(path), layout))
    )
    return found


def compare(files: Iterable[Path]) -> int:
    """Assert that we write what pydicom writes; how many files could be compared."""
    count = 0
    for path in files:
        data = path.read_bytes()
        try:
            layout = layout_of(data)
        except MerseyError:
            continue
        found = json.loads(unpack_metadata(make_metadata(str(path), layout)))
        try:
            expected = pydicoms(path, layout)
        except MerseyError:
            continue  # we read more than pydicom does
        left_out = DIFFERENT.get(path.name, set())
        assert list(found) == list(expected), path.name
        for tag in expected.keys() - left_out:
            assert found[tag] == expected[tag], (path.name, tag)
        assert all(found[tag] != expected[tag] for tag in left_out), path.name
        count += 1
    return count


def test_metadata_of_pydicoms_files_is_pydicoms() -> None:
    folder = Path(pydicom.__file__).parent / "data"
    assert compare(sorted(path for path in folder.rglob("*") if path.is_file())) > 100


def test_metadata_of_the_sample_study_is_pydicoms(sample_study) -> None:
    assert compare(sample_study.files) == len(sample_study.files)


@pytest.mark.long
def test_metadata_of_real_files_is_pydicoms(shared_data: Path) -> None:
    files = (path for path in shared_data.rglob("*") if path.is_file())
    assert compare(path for path in files if path.stat().st_size < 1 << 26) > 300


def test_a_closed_file_is_an_error_that_says_so(tmp_path: Path, sample_study) -> None:
    layout = layout_of(sample_study.us_cine.read_bytes())
    with pytest.raises(DicomError, match="cannot be read"):
        make_metadata(str(tmp_path / "absent.dcm"), layout)


def test_a_file_that_shrank_is_an_error(sample_study) -> None:
    data = sample_study.us_cine.read_bytes()
    layout = layout_of(data)
    assert layout.pixel_offset is not None
    with pytest.raises(DicomError, match="the data ends at byte"):
        ours(data[: layout.pixel_offset - 40], layout)


def test_metadata_reads_no_pixel_data(sample_study) -> None:
    data = sample_study.enhanced_ct.read_bytes()
    layout = layout_of(data)
    assert layout.value_offset is not None
    assert layout.end_offset is not None
    blank = bytearray(data)
    length = layout.end_offset - layout.value_offset
    blank[layout.value_offset : layout.end_offset] = bytes(length)
    assert ours(bytes(blank), layout) == ours(data, layout)


def test_the_same_file_gives_the_same_bytes(sample_study) -> None:
    path = str(sample_study.enhanced_ct)
    layout = layout_of(sample_study.enhanced_ct.read_bytes())
    assert make_metadata(path, layout) == make_metadata(path, replace(layout))
