"""Originals that leave an archive as files."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from mersey.codecs.errors import IntegrityError
from mersey.engine.archive.blobs import COMPRESSED
from mersey.engine.archive.exporting import export_instance, studies_of_patient, write_manifest

from .cared_archive import Archive, flip


def test_an_export_has_the_original_bytes_and_goes_on_where_it_stopped(
    archive: Archive, slices, tmp_path: Path
) -> None:
    archive.put(slices[0])
    archive.put(slices[1], ending=COMPRESSED)
    out = tmp_path / "out"
    entries = list(archive.catalogue.every_entry())
    done = [export_instance(entry, archive.blobs, out) for entry in entries]
    assert [one.action for one in done] == ["written", "written"]
    written = {(out / one.name).read_bytes() for one in done}
    assert written == set(slices[:2])
    flip(str(out / done[1].name), 5)
    again = [export_instance(entry, archive.blobs, out) for entry in entries]
    assert [one.action for one in again] == ["there", "written"]
    manifest = write_manifest(out, again)
    for line in manifest.read_text().splitlines():
        digest, name = line.split("  ")
        assert hashlib.sha256((out / name).read_bytes()).hexdigest() == digest


def test_nothing_is_exported_of_a_damaged_blob(archive: Archive, slices, tmp_path: Path) -> None:
    key = archive.put(slices[0])
    flip(archive.blobs.path_of(key), 2000)
    (entry,) = archive.catalogue.every_entry()
    with pytest.raises(IntegrityError, match="not those that were stored"):
        export_instance(entry, archive.blobs, tmp_path / "out")
    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file()]


def test_a_patient_is_found_by_the_whole_id_alone(archive: Archive, slices) -> None:
    archive.put(slices[0])
    (entry,) = archive.catalogue.every_entry()
    patient_id = entry.instance.text(0x00100020)
    assert studies_of_patient(archive.catalogue, patient_id) == [entry.uids[0]]
    assert studies_of_patient(archive.catalogue, patient_id[:-1] + "*") == []
