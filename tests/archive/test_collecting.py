"""What nothing refers to is removed, and nothing that an ingest is about to refer to."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
from mersey.codecs.errors import UsageError
from mersey.engine.archive.blobs import Ready
from mersey.engine.archive.catalogue import Catalogue
from mersey.engine.archive.catalogues import CATALOGUE_NAME
from mersey.engine.archive.collecting import (
    collect_blobs,
    collect_old_catalogues,
    collect_renditions,
)
from mersey.engine.archive.ingest import Ingest
from mersey.engine.archive.removal_lock import RemovalLock
from mersey.engine.archive.stored import Settled

from .cared_archive import Archive, FolderBlobs


def gc(archive: Archive, *, grace_s: float = 0.0, dry_run: bool = False) -> int:
    return collect_blobs(
        archive.blobs, archive.catalogue, folder=archive.root, grace_s=grace_s, dry_run=dry_run
    ).count


def test_gc_removes_what_nothing_refers_to_once_it_is_old(archive: Archive, slices) -> None:
    kept, orphan = archive.put(slices[0]), archive.put(slices[1])
    entry = next(one for one in archive.catalogue.every_entry() if one.blob_key == orphan)
    archive.catalogue.remove([entry.instance.sop_instance_uid])
    assert gc(archive, grace_s=3600) == 0
    assert gc(archive, dry_run=True) == 1
    assert set(archive.blobs.keys()) == {kept, orphan}
    assert gc(archive) == 1
    assert list(archive.blobs.keys()) == [kept]


def test_gc_removes_no_blob_while_the_catalogue_is_to_be_rebuilt(tmp_path: Path, slices) -> None:
    catalogue = Catalogue.open(tmp_path / CATALOGUE_NAME)
    archive = Archive(tmp_path, FolderBlobs(tmp_path), catalogue)
    key = archive.put(slices[0])
    catalogue.close()
    archive.catalogue = Catalogue.open(tmp_path / CATALOGUE_NAME, anew=True)
    with pytest.raises(UsageError, match="rebuild"):
        gc(archive)
    archive.catalogue.close()
    assert list(archive.blobs.keys()) == [key]


def test_remote_blobs_are_kept_for_the_grace_period_from_when_they_were_first_seen(
    archive: Archive, slices, monkeypatch
) -> None:
    archive.put(slices[0])
    archive.catalogue.remove([row[0] for row in archive.rows()])
    monkeypatch.setattr(archive.blobs, "path_of", lambda _: None)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now)
    assert gc(archive, grace_s=60) == 0
    monkeypatch.setattr(time, "time", lambda: now + 59)
    assert gc(archive, grace_s=60) == 0
    monkeypatch.setattr(time, "time", lambda: now + 61)
    assert gc(archive, grace_s=60) == 1


def test_gc_never_takes_a_blob_from_an_ingest_in_flight(archive: Archive, slices) -> None:
    """Ingest stores and forgets the same bytes again and again; gc runs against it, no grace."""
    stop = threading.Event()
    failures: list[BaseException] = []

    def collect() -> None:
        try:
            while not stop.is_set():
                gc(archive)
        except BaseException as error:  # noqa: BLE001  told by the test
            failures.append(error)

    thread = threading.Thread(target=collect)
    thread.start()
    try:
        made = archive.examined(slices[0])
        uid = made.stored.instance.sop_instance_uid
        ingest = Ingest(archive.blobs, archive.catalogue)
        for _ in range(60):
            Path(made.path).write_bytes(slices[0])
            (settled,) = ingest.commit([made])
            assert isinstance(settled, Settled)
            assert archive.blobs.size(made.stored.blob_key) is not None
            archive.catalogue.remove([uid])
    finally:
        stop.set()
        thread.join(240)
    assert not failures


def test_gc_waits_for_an_ingest_between_its_blob_and_its_catalogue(
    archive: Archive, slices
) -> None:
    made = archive.examined(slices[0])
    with RemovalLock(archive.blobs.incoming, archive.catalogue.database).committing():
        archive.blobs.commit([Ready(made.path, made.stored.blob_key)])
        thread = threading.Thread(target=lambda: gc(archive))
        thread.start()
        thread.join(0.2)
        archive.catalogue.store([made.stored], on_conflict="reject")
    thread.join(240)
    assert archive.blobs.size(made.stored.blob_key) is not None


def test_renditions_of_other_keys_and_old_catalogues_go(archive: Archive) -> None:
    for key in ("aa" * 32, "bb" * 32):
        path = archive.root / "renditions" / key[:2] / f"{key}.dcm"
        path.parent.mkdir(parents=True)
        path.write_bytes(b"123")
        path.with_suffix(".digests").write_bytes(b"45")
    root = archive.root / "renditions"
    assert collect_renditions(root, {"aa" * 32}, grace_s=60).count == 0
    found = collect_renditions(root, {"aa" * 32}, grace_s=-1)
    assert (found.count, found.size_bytes) == (1, 5)
    assert [path.stem for path in root.rglob("*.dcm")] == ["aa" * 32]
    (archive.root / f"{CATALOGUE_NAME}.2001.old").write_bytes(b"")
    assert collect_old_catalogues(archive.root, grace_s=60).count == 0
    assert collect_old_catalogues(archive.root, grace_s=-1).count == 1
    assert (archive.root / CATALOGUE_NAME).exists()
