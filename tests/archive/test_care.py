"""The care of an archive: verify, collect, rebuild and export, over blobs in a folder."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

import pytest
import zstandard
from mersey.codecs.errors import IntegrityError, ResourceError, UsageError
from mersey.engine.archive.blobs import COMPRESSED, PLAIN, Ready
from mersey.engine.archive.catalogue import Catalogue
from mersey.engine.archive.catalogues import CATALOGUE_NAME
from mersey.engine.archive.collecting import (
    collect_blobs,
    collect_old_catalogues,
    collect_renditions,
)
from mersey.engine.archive.describing import Described, describe_blob
from mersey.engine.archive.examination import Examined
from mersey.engine.archive.exporting import export_instance, studies_of_patient, write_manifest
from mersey.engine.archive.ingest import Ingest
from mersey.engine.archive.rebuilding import rebuild
from mersey.engine.archive.removal_lock import RemovalLock
from mersey.engine.archive.store_folder import take_stats
from mersey.engine.archive.stored import Settled
from mersey.engine.archive.tables import instances
from mersey.engine.archive.verifying import check_blobs, mend, missing_blobs
from sqlalchemy import select, update


class FolderBlobs:
    """Blobs in one flat folder: the seam, and nothing more."""

    def __init__(self, root: Path) -> None:
        self._root = root / "blobs"
        self._aside = root / "quarantine"
        self.incoming = root / "incoming"
        for folder in (self._root, self._aside, self.incoming):
            folder.mkdir(parents=True, exist_ok=True)

    def commit(self, ready: Sequence[Ready]) -> None:
        for one in ready:
            os.replace(one.path, self._root / one.key)

    def size(self, key: str) -> int | None:
        path = self._root / key
        return path.stat().st_size if path.exists() else None

    def path_of(self, key: str) -> str | None:
        return str(self._root / key)

    def read_at(self, key: str, offset_bytes: int, length_bytes: int, /) -> bytes:
        return (self._root / key).read_bytes()[offset_bytes:][:length_bytes]

    def remove(self, key: str) -> None:
        (self._root / key).unlink(missing_ok=True)

    def quarantine(self, key: str) -> None:
        os.replace(self._root / key, self._aside / key)

    def keys(self) -> Iterator[str]:
        yield from sorted(os.listdir(self._root))

    def dated_keys(self) -> Iterator[tuple[str, int]]:
        return ((key, (self._root / key).stat().st_mtime_ns) for key in self.keys())

    def collect(self, *, older_than_s: float) -> int:
        return 0


@dataclass
class Archive:
    root: Path
    blobs: FolderBlobs
    catalogue: Catalogue

    def describe(self, key: str) -> Future[Described]:
        future: Future[Described] = Future()
        future.set_result(describe_blob(self.blobs, key))
        return future

    def examined(self, data: bytes, *, ending: str = PLAIN) -> Examined:
        """A file that is to be stored, as ingest would have it."""
        digest = hashlib.sha256(data).hexdigest()
        kept = data if ending == PLAIN else zstandard.ZstdCompressor().compress(data)
        path = self.blobs.incoming / f"{digest}.{time.monotonic_ns()}"
        path.write_bytes(data)
        os.replace(path, self.blobs.incoming / "probe.dcm")
        probe = FolderBlobs(self.root / "probe")
        probe.commit([Ready(str(self.blobs.incoming / "probe.dcm"), digest + PLAIN)])
        described = describe_blob(probe, digest + PLAIN)
        assert described.stored is not None, described.message
        made = described.stored
        path.write_bytes(kept)
        stored = type(made)(
            made.instance,
            digest + ending,
            made.size_bytes,
            made.sha256,
            made.served_sha256,
            made.served_crc32,
            made.metadata,
        )
        return Examined(stored, str(path))

    def put(self, data: bytes, *, ending: str = PLAIN) -> str:
        one = self.examined(data, ending=ending)
        (settled,) = Ingest(self.blobs, self.catalogue, on_conflict="replace").commit([one])
        assert isinstance(settled, Settled)
        return one.stored.blob_key

    def rows(self) -> list[tuple[object, ...]]:
        columns = [column for column in instances.c if column.name != "received"]
        statement = select(*columns).order_by(instances.c.sop_instance_uid)
        with self.catalogue.database.reading() as connection:
            return [tuple(row) for row in connection.execute(statement)]

    def check(self):
        return list(
            check_blobs(
                self.blobs, self.catalogue, self.blobs.keys(), describe=self.describe, ahead=2
            )
        )


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    catalogue = Catalogue.open(tmp_path / CATALOGUE_NAME)
    held = Archive(tmp_path, FolderBlobs(tmp_path), catalogue)
    yield held
    held.catalogue.close()


@pytest.fixture
def slices(sample_study) -> list[bytes]:
    return [path.read_bytes() for path in sample_study.ct_series]


def flip(path: str, offset_bytes: int) -> None:
    data = bytearray(Path(path).read_bytes())
    data[offset_bytes] ^= 4
    Path(path).write_bytes(data)


def test_a_whole_archive_has_no_findings(archive: Archive, slices) -> None:
    archive.put(slices[0])
    archive.put(slices[1], ending=COMPRESSED)
    checked = archive.check()
    assert [one.findings for one in checked] == [(), ()]
    assert list(missing_blobs(archive.blobs, archive.catalogue)) == []
    assert not list(archive.blobs.incoming.iterdir())


@pytest.mark.parametrize("ending", [PLAIN, COMPRESSED])
def test_a_flipped_byte_of_a_blob_is_found_and_the_blob_put_into_quarantine(
    archive: Archive, slices, ending: str
) -> None:
    key = archive.put(slices[0], ending=ending)
    flip(archive.blobs.path_of(key), 2000)
    (checked,) = archive.check()
    (finding,) = checked.findings
    assert finding.found == "damaged"
    assert archive.catalogue.find(finding.uid) is not None
    assert mend(checked, archive.blobs, archive.catalogue) == ["put into quarantine"]
    assert archive.blobs.size(key) is None
    assert (archive.root / "quarantine" / key).exists()
    assert archive.catalogue.find(finding.uid) is not None
    (missing,) = missing_blobs(archive.blobs, archive.catalogue)
    assert (missing.found, missing.name, missing.uid) == ("missing", key, finding.uid)


@pytest.mark.parametrize(
    "wrong",
    [{"served_crc32": 7}, {"instance_number": 99}, {"record": b"x"}, {"metadata_json": b"x"}],
)
def test_a_row_that_says_something_else_than_its_blob_is_made_anew(
    archive: Archive, slices, wrong
) -> None:
    archive.put(slices[0])
    before = archive.rows()
    archive.catalogue.database.write(
        lambda connection: connection.execute(update(instances).values(**wrong))
    )
    (checked,) = archive.check()
    assert [one.found for one in checked.findings] == ["other record"]
    assert mend(checked, archive.blobs, archive.catalogue) == ["made anew"]
    assert archive.rows() == before
    assert archive.check()[0].findings == ()


def test_a_blob_that_no_instance_refers_to_is_told_and_left_to_gc(archive: Archive, slices) -> None:
    key = archive.put(slices[0])
    archive.catalogue.remove([row[0] for row in archive.rows()])
    (checked,) = archive.check()
    assert [one.found for one in checked.findings] == ["unknown"]
    assert mend(checked, archive.blobs, archive.catalogue) == [""]
    assert archive.blobs.size(key) is not None


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
    assert gc(archive, grace_s=60) == 0
    now = time.time()
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
        thread.join(30)
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
    thread.join(30)
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


def rebuilt(archive: Archive, **settings):
    archive.catalogue.close()
    try:
        return rebuild(
            archive.blobs, archive.root, None, describe=archive.describe, ahead=2, **settings
        )
    finally:
        archive.catalogue = Catalogue.open(archive.root / CATALOGUE_NAME)


def test_a_rebuilt_catalogue_equals_the_one_before(archive: Archive, slices) -> None:
    archive.put(slices[0])
    archive.put(slices[1], ending=COMPRESSED)
    archive.put(slices[2])
    before, counts = archive.rows(), archive.catalogue.count()
    done = rebuilt(archive)
    assert (done.blobs, done.instances, done.replaced, done.unread) == (3, 3, 0, [])
    assert archive.rows() == before
    assert archive.catalogue.count() == counts
    assert not archive.catalogue.needs_rebuild
    assert not list(archive.root.glob("*rebuilding*"))
    assert len(list(archive.root.glob("*.old"))) == 1


def test_of_two_blobs_of_an_instance_the_newer_one_is_kept(archive: Archive, slices) -> None:
    other = bytearray(slices[0])
    other[-1] ^= 1
    old = archive.put(slices[0])
    data = Path(archive.blobs.path_of(old)).read_bytes()
    new = archive.put(bytes(other))
    Path(archive.blobs.path_of(old)).write_bytes(data)
    os.utime(archive.blobs.path_of(old), (1000, 1000))
    done = rebuilt(archive)
    assert (done.instances, done.replaced) == (1, 1)
    assert [entry.blob_key for entry in archive.catalogue.every_entry()] == [new]


def test_a_rebuilt_catalogue_knows_when_each_blob_came(archive: Archive, slices) -> None:
    keys = [archive.put(data) for data in slices[:3]]
    for key, at_s in zip(keys, (3000, 1000, 2000), strict=True):
        os.utime(archive.blobs.path_of(key), (at_s, at_s))
    rebuilt(archive)
    newest = archive.catalogue.newest(3)
    assert [entry.blob_key for entry in newest] == [keys[0], keys[2], keys[1]]
    stats = take_stats(archive.blobs, archive.catalogue, archive.root)
    assert (stats.oldest_s, stats.newest_s) == (1000, 3000)


def test_a_rebuild_tells_of_damaged_blobs_and_goes_on(archive: Archive, slices) -> None:
    damaged, good = archive.put(slices[0]), archive.put(slices[1])
    flip(archive.blobs.path_of(damaged), 3000)
    done = rebuilt(archive)
    assert done.unread == [(damaged, "its bytes are not those of its key")]
    assert [entry.blob_key for entry in archive.catalogue.every_entry()] == [good]


def test_a_rebuild_that_is_cut_short_leaves_the_old_catalogue(archive: Archive, slices) -> None:
    archive.put(slices[0])
    before = archive.rows()

    def stop(_count: int, _size: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rebuilt(archive, on_progress=stop)
    assert archive.rows() == before
    rebuilt(archive)
    assert archive.rows() == before


def test_a_catalogue_that_a_server_has_open_is_not_rebuilt(archive: Archive, slices) -> None:
    archive.put(slices[0])
    with pytest.raises(ResourceError, match="open"):
        rebuild(archive.blobs, archive.root, None, describe=archive.describe, ahead=2)
    assert len(archive.rows()) == 1


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
