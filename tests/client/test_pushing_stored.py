"""Pushing what a store holds: byte for byte, from blobs as they are, compressed or elsewhere."""

from __future__ import annotations

import asyncio
import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from mersey.codecs.errors import UsageError
from mersey.engine.client.pushing import PushSettings, push
from mersey.engine.client.stored_studies import StoredStudies
from pydicom import dcmread
from pydicom.uid import EncapsulatedPDFStorage

if TYPE_CHECKING:
    from sample_study import SampleStudy

SETTINGS = PushSettings(jobs=1, wire="zstd")
MERSEY = Path(sys.executable).with_name("mersey")


@pytest.fixture(scope="module")
def files(sample_study: SampleStudy, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of two studies, by SOP Instance UID; the second one is a document."""
    found = {
        str(dcmread(path, stop_before_pixels=True).SOPInstanceUID): path.read_bytes()
        for path in sample_study.files
    }
    document = dcmread(sample_study.files[0], stop_before_pixels=True)
    document.SOPClassUID = document.file_meta.MediaStorageSOPClassUID = EncapsulatedPDFStorage
    document.SOPInstanceUID = document.file_meta.MediaStorageSOPInstanceUID = "1.2.77.1.1"
    document.StudyInstanceUID, document.SeriesInstanceUID = "1.2.77", "1.2.77.1"
    document.EncapsulatedDocument = b"%PDF-1.4 and so on. " * 3000
    path = tmp_path_factory.mktemp("document") / "document.dcm"
    document.save_as(path)
    return found | {"1.2.77.1.1": path.read_bytes()}


@pytest.fixture(scope="module")
def held(
    files: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory, serve_folder
) -> Iterator[tuple[str, Path]]:
    """A running server that has stored them: its address, and its store."""
    folder, store = tmp_path_factory.mktemp("files"), tmp_path_factory.mktemp("held")
    for uid, data in files.items():
        (folder / f"{uid}.dcm").write_bytes(data)
    with serve_folder(tmp_path_factory.mktemp("empty"), store) as address:
        report = asyncio.run(push([folder], address, settings=SETTINGS))
        assert report.new == len(files)
        yield address, store


def stored(store: Path) -> set[str]:
    return {path.name.partition(".")[0] for path in (store / "blobs").rglob("*.dcm*")}


def digests(files: dict[str, bytes]) -> set[str]:
    return {hashlib.sha256(data).hexdigest() for data in files.values()}


@pytest.mark.parametrize("transfers", [True, False])
def test_all_of_it_arrives_byte_for_byte(files, held, tmp_path, serve_folder, transfers) -> None:
    """At a Mersey, and at an archive that knows no more than DICOMweb."""
    assert any(path.suffix == ".zst" for path in (held[1] / "blobs").rglob("*.*"))
    (tmp_path / "empty").mkdir()
    there = tmp_path / "there"
    with serve_folder(tmp_path / "empty", there, transfers=transfers) as address:
        report = asyncio.run(push(StoredStudies(held[1]), address, settings=SETTINGS))
        assert (report.new, report.failed) == (len(files), {})
        assert report.commitment == len(files)
        assert stored(there) == digests(files)
        again = asyncio.run(push(StoredStudies(held[1]), address, settings=SETTINGS))
        assert (again.new, again.same) == (0, len(files))


def test_the_command_pushes_the_studies_that_are_named(files, held, tmp_path, serve_folder) -> None:
    (tmp_path / "empty").mkdir()
    there = tmp_path / "there"
    with serve_folder(tmp_path / "empty", there) as address:
        options = ("--store", str(held[1]), "--study", "1.2.77", "--json", "--jobs", "1")
        ran = subprocess.run(
            [MERSEY, "push", *options, address],
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
    assert ran.returncode == 0, ran.stderr
    report = json.loads(ran.stdout)
    assert (report["instances"], report["new"], report["failed"]) == (1, 1, {})
    assert stored(there) == digests({"": files["1.2.77.1.1"]})


@pytest.mark.parametrize("transfers", [True, False])
def test_a_blob_that_is_gone_is_told_and_the_rest_arrives(
    files, held, tmp_path, serve_folder, transfers
) -> None:
    damaged = tmp_path / "damaged"
    shutil.copytree(held[1], damaged, ignore=shutil.ignore_patterns("copies"))
    (uid, *_) = files
    (blob,) = (damaged / "blobs").rglob(f"{hashlib.sha256(files[uid]).hexdigest()}.*")
    blob.unlink()
    (tmp_path / "empty").mkdir()
    there = tmp_path / "there"
    with serve_folder(tmp_path / "empty", there, transfers=transfers) as address:
        report = asyncio.run(push(StoredStudies(damaged), address, settings=SETTINGS))
    assert set(report.failed) == {uid}
    assert report.new == len(files) - 1
    assert stored(there) == digests({key: data for key, data in files.items() if key != uid})


def test_what_is_no_store_or_no_study_is_refused_and_left_alone(held, tmp_path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    for source in (
        StoredStudies(empty),
        StoredStudies(tmp_path / "absent"),
        StoredStudies(held[1], ("1.2.3.4.5",)),
    ):
        with pytest.raises(UsageError):
            asyncio.run(push(source, held[0], settings=SETTINGS))
    assert list(empty.iterdir()) == []
