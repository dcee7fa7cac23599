"""Receiving, examining and committing originals, without a server."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import hashlib
import json
import os
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import zstandard
from mersey.codecs.errors import MerseyError, ResourceError
from mersey.engine.archive.blobs import other_key
from mersey.engine.archive.catalogue import Catalogue
from mersey.engine.archive.directory_blobs import DirectoryBlobs
from mersey.engine.archive.entry import Entry
from mersey.engine.archive.examination import Examined, Refusal, examine
from mersey.engine.archive.ingest import Ingest
from mersey.engine.archive.metadata import unpack_metadata
from mersey.engine.archive.part10_body import file_segments
from mersey.engine.archive.receiving import Received, Receiving, no_space
from mersey.engine.archive.removal_lock import RemovalLock
from mersey.engine.archive.stored import Settled
from mersey.engine.runtime.intake import Intake, Kept
from mersey.engine.transfer.body import BlobSlice
from pydicom import config, dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import (
    ComprehensiveSRStorage,
    CTImageStorage,
    EncapsulatedPDFStorage,
    ExplicitVRLittleEndian,
)


@dataclass
class Store:
    blobs: DirectoryBlobs
    catalogue: Catalogue

    def receive(self, data: bytes) -> Received:
        receiving = Receiving(self.blobs.incoming)
        receiving.write(data)
        received = receiving.finish()
        receiving.release()
        return received

    def examined(self, data: bytes) -> Examined:
        found = examine(self.receive(data))
        assert isinstance(found, Examined), found
        return found

    def incoming(self) -> list[str]:
        return os.listdir(self.blobs.incoming)


@pytest.fixture
def store(tmp_path: Path):
    catalogue = Catalogue.open(tmp_path / "catalogue.sqlite")
    yield Store(DirectoryBlobs(tmp_path), catalogue)
    catalogue.close()


def file_of(dataset: Dataset, *, preamble: bytes = bytes(128)) -> bytes:
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.preamble = preamble
    written = BytesIO()
    dataset.save_as(written, enforce_file_format=True)
    return written.getvalue()


def object_of(uid: str = "1.2.3.4", *, sop_class: str = ComprehensiveSRStorage) -> Dataset:
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = sop_class, uid
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "1.2.3", "1.2.3.1"
    dataset.PatientID = "P1"
    return dataset


def ct_of(uid: str = "1.2.3.5", *, seed: int = 0) -> Dataset:
    dataset = object_of(uid, sop_class=CTImageStorage)
    dataset.Rows = dataset.Columns = 16
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit, dataset.PixelRepresentation, dataset.SamplesPerPixel = 15, 0, 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.PixelData = np.full((16, 16), seed, np.uint16).tobytes()
    dataset["PixelData"].VR = "OW"
    return dataset


def test_digests_are_of_the_bytes_that_flowed(store: Store) -> None:
    receiving = Receiving(store.blobs.incoming)
    data = os.urandom(300_001)
    for start in range(0, len(data), 100_000):
        receiving.write(memoryview(data)[start : start + 100_000])
    received = receiving.finish()
    assert received.size_bytes == len(data)
    assert received.sha256 == hashlib.sha256(data).hexdigest()
    assert received.crc32 == zlib.crc32(data)
    assert Path(received.path).read_bytes() == data
    receiving.abandon()
    assert not store.incoming()


def test_a_file_being_received_is_locked_and_collect_leaves_it(store: Store) -> None:
    receiving = Receiving(store.blobs.incoming)
    with open(receiving.path, "rb") as file, pytest.raises(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    store.blobs.collect(older_than_s=0)
    assert store.incoming() == [os.path.basename(receiving.path)]
    receiving.release()
    store.blobs.collect(older_than_s=0)
    assert not store.incoming()


def test_a_full_disk_is_known_as_one(store: Store, monkeypatch) -> None:
    receiving = Receiving(store.blobs.incoming)

    class Full:
        def write(self, *_: object) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(receiving, "_digest", Full())
    with pytest.raises(ResourceError, match="full") as caught:
        receiving.write(b"x")
    assert no_space(caught.value)
    receiving.abandon()
    assert not store.incoming()


def test_an_instance_is_stored_once_and_then_the_same(store: Store) -> None:
    data = file_of(ct_of())
    ingest = Ingest(store.blobs, store.catalogue)
    assert ingest.commit([store.examined(data)]) == [Settled("new")]
    assert [one.outcome for one in ingest.commit([store.examined(data)])] == ["same"]
    entry = store.catalogue.find("1.2.3.5")
    assert entry is not None
    assert store.blobs.read_at(entry.blob_key, 0, len(data) + 1) == data
    assert entry.sha256 == entry.served_sha256 == hashlib.sha256(data).hexdigest()
    assert entry.served_crc32 == zlib.crc32(data)
    assert not store.incoming()


def test_the_same_bytes_twice_in_one_batch_are_one_instance(store: Store) -> None:
    data = file_of(ct_of())
    ingest = Ingest(store.blobs, store.catalogue)
    results = ingest.commit([store.examined(data), store.examined(data)])
    assert [one.outcome for one in results] == ["new", "same"]
    assert list(store.blobs.keys()) == [hashlib.sha256(data).hexdigest() + ".dcm"]
    assert not store.incoming()


@pytest.mark.parametrize("policy", ["reject", "replace", "keep"])
def test_of_other_bytes_the_policy_decides_and_one_blob_is_left(store: Store, policy) -> None:
    first, second = file_of(ct_of(seed=1)), file_of(ct_of(seed=2))
    ingest = Ingest(store.blobs, store.catalogue, on_conflict=policy)
    ingest.commit([store.examined(first)])
    (result,) = ingest.commit([store.examined(second)])
    held = second if policy == "replace" else first
    if policy == "reject":
        assert isinstance(result, Refusal)
        assert (result.reason, result.sop_instance_uid) == ("conflict", "1.2.3.5")
    else:
        assert isinstance(result, Settled)
        assert result.outcome == {"replace": "replaced", "keep": "kept"}[policy]
    entry = store.catalogue.find("1.2.3.5")
    assert entry is not None
    assert entry.sha256 == hashlib.sha256(held).hexdigest()
    assert list(store.blobs.keys()) == [entry.blob_key]


def test_the_same_bytes_mend_an_instance_whose_blob_is_lost_however_it_was_kept(
    store: Store, tmp_path: Path
) -> None:
    data = file_of(ct_of())
    ingest = Ingest(store.blobs, store.catalogue)
    made = store.examined(data)
    packed = Path(made.path).with_name("packed")
    packed.write_bytes(zstandard.compress(data))
    key = other_key(made.stored.blob_key)
    stored = replace(made.stored, blob_key=key, rows=None)
    ingest.commit([Examined(stored, str(packed))])
    assert list(store.blobs.keys()) == [key]
    # Found there, the other way is not needed; lost, it is.
    for is_lost in (False, True):
        if is_lost:
            store.blobs.remove(key)
        (settled,) = ingest.commit([store.examined(data)])
        assert isinstance(settled, Settled)
        assert settled.outcome == "same"
        entry = store.catalogue.find("1.2.3.5")
        assert entry is not None
        assert entry.blob_key == (made.stored.blob_key if is_lost else key)
        assert list(store.blobs.keys()) == [entry.blob_key]


def test_a_blob_that_another_process_may_need_is_removed_later(store: Store) -> None:
    ingest = Ingest(store.blobs, store.catalogue, on_conflict="replace")
    ingest.commit([store.examined(file_of(ct_of(seed=1)))])
    lock = RemovalLock(store.blobs.incoming, store.catalogue.database)
    with lock.committing():
        ingest.commit([store.examined(file_of(ct_of(seed=2)))])
        assert len(list(store.blobs.keys())) == 2
        assert not ingest.remove_unneeded(patience_s=0.05)
    assert ingest.remove_unneeded()
    assert len(list(store.blobs.keys())) == 1


def test_the_way_in_tries_again_to_remove_what_another_process_kept(store: Store) -> None:
    ingest = Ingest(store.blobs, store.catalogue, on_conflict="replace")

    async def run() -> None:
        with ThreadPoolExecutor(1) as executor:
            intake = Intake(ingest, executor=executor, examiners=1)
            running = asyncio.create_task(intake.run())
            with RemovalLock(store.blobs.incoming, store.catalogue.database).committing():
                for seed in (1, 2):
                    data = file_of(ct_of(seed=seed))
                    arrival = intake.begin()
                    await arrival.write(data)
                    assert isinstance(await (await arrival.finish()), Kept)
                assert len(list(store.blobs.keys())) == 2
            for _ in range(2_000):
                if len(list(store.blobs.keys())) == 1:
                    break
                await asyncio.sleep(0.01)
            assert len(list(store.blobs.keys())) == 1
            running.cancel()
            await asyncio.wait([running])

    asyncio.run(run())


def test_a_file_that_is_adopted_again_has_one_name_on_its_way(store: Store) -> None:
    path = store.blobs.incoming.parent / "upload"
    data = file_of(ct_of())
    path.write_bytes(data)
    died = Receiving.adopt(path, store.blobs.incoming)
    left = store.blobs.incoming / (os.path.basename(died.path) + ".zst")
    left.touch()  # a worker was about to compress it
    died.release()  # as a process does that is killed
    again = Receiving.adopt(path, store.blobs.incoming)
    assert again.finish().sha256 == hashlib.sha256(data).hexdigest()
    assert store.incoming() == [os.path.basename(again.path)]
    assert store.blobs.collect(older_than_s=0) == 0
    again.abandon()
    assert not store.incoming()
    assert path.read_bytes() == data


def test_where_the_catalogue_fails_nothing_is_acknowledged_or_left(
    store: Store, monkeypatch
) -> None:
    ingest = Ingest(store.blobs, store.catalogue)

    def fail(*_: object, **__: object) -> None:
        raise ResourceError("no database")

    examined = store.examined(file_of(ct_of()))
    with monkeypatch.context() as patch:
        patch.setattr(Catalogue, "store", fail)
        (result,) = ingest.commit([examined])
    assert isinstance(result, Refusal)
    assert result.reason == "resources"
    assert store.catalogue.find("1.2.3.5") is None
    assert not store.incoming()
    ingest.commit([store.examined(file_of(ct_of("1.2.3.6")))])
    assert len(list(store.blobs.keys())) == 1


def test_the_preamble_is_kept_and_the_digest_of_what_is_served_is_known(store: Store) -> None:
    data = file_of(ct_of(), preamble=b"MZ" + bytes(126))
    stored = store.examined(data).stored
    served = bytes(128) + data[128:]
    assert stored.sha256 == hashlib.sha256(data).hexdigest()
    assert stored.served_sha256 == hashlib.sha256(served).hexdigest()
    assert stored.served_crc32 == zlib.crc32(served)


def test_what_is_served_with_file_meta_of_our_own_has_its_digest_too(store: Store) -> None:
    data = file_of(ct_of())
    length = int.from_bytes(data[140:144], "little")
    bare = data[144 + length :]
    examined = store.examined(bare)
    Ingest(store.blobs, store.catalogue).commit([examined])
    entry = store.catalogue.find("1.2.3.5")
    assert isinstance(entry, Entry)
    served = b"".join(
        store.blobs.read_at(part.key, part.offset_bytes, part.length_bytes)
        if isinstance(part, BlobSlice)
        else part
        for part in file_segments(entry)
        if isinstance(part, BlobSlice | bytes)
    )
    assert entry.served_sha256 == hashlib.sha256(served).hexdigest()
    assert entry.served_crc32 == zlib.crc32(served)


def test_a_report_is_kept_compressed_and_an_image_as_it_came(store: Store) -> None:
    report = object_of()
    report.TextValue = "no abnormality " * 5000
    data = file_of(report)
    ingest = Ingest(store.blobs, store.catalogue)
    ingest.commit([store.examined(data), store.examined(file_of(ct_of()))])
    entry = store.catalogue.find("1.2.3.4")
    assert entry is not None
    assert entry.blob_key == hashlib.sha256(data).hexdigest() + ".dcm.zst"
    kept = store.blobs.read_at(entry.blob_key, 0, 1 << 20)
    assert len(kept) < len(data) // 5
    assert zstandard.ZstdDecompressor().decompress(kept) == data
    assert entry.stamp.size_bytes == len(data)
    image = store.catalogue.find("1.2.3.5")
    assert image is not None
    assert image.blob_key.endswith(".dcm")
    assert not store.incoming()


def test_what_does_not_compress_is_kept_as_it_came(store: Store) -> None:
    document = object_of(sop_class=EncapsulatedPDFStorage)
    document.EncapsulatedDocument = os.urandom(50_000)
    assert store.examined(file_of(document)).stored.blob_key.endswith(".dcm")
    assert len(store.incoming()) == 1


def test_metadata_is_made_on_the_way(store: Store) -> None:
    stored = store.examined(file_of(ct_of())).stored
    assert json.loads(unpack_metadata(stored.metadata))["00100020"]["Value"] == ["P1"]


@pytest.mark.parametrize(
    "uid",
    ["../../etc/passwd", "1.2/3", "1.2\0.3", "1.2." + "3" * 10_000, "1.2.3x", ""],
    ids=["dots", "slash", "nul", "long", "letter", "empty"],
)
@pytest.mark.parametrize("keyword", ["SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"])
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_what_is_no_uid_is_refused(store: Store, keyword: str, uid: str) -> None:
    dataset = dcmread(BytesIO(file_of(ct_of("1.2.3.7"))))
    with config.disable_value_validation():
        setattr(dataset, keyword, uid)
        written = BytesIO()
        dcmwrite(written, dataset, enforce_file_format=False)
    found = examine(store.receive(written.getvalue()))
    assert isinstance(found, Refusal)
    assert found.reason == "unreadable"
    assert "UID" in found.message


def test_an_instance_of_another_study_is_refused(store: Store) -> None:
    found = examine(store.receive(file_of(ct_of())), study_uid="9.9")
    assert isinstance(found, Refusal)
    assert (found.reason, found.sop_instance_uid) == ("mismatch", "1.2.3.5")


@pytest.mark.parametrize("data", [b"", b"no DICOM at all", bytes(1000), file_of(ct_of())[:-20]])
def test_what_cannot_be_read_is_refused_with_a_reason(store: Store, data: bytes) -> None:
    found = examine(store.receive(data))
    assert isinstance(found, Refusal)
    assert found.reason == "unreadable"
    assert found.message


def test_errors_of_a_store_are_ours(tmp_path: Path) -> None:
    with pytest.raises(MerseyError, match="cannot be written"):
        Receiving(tmp_path / "nowhere")
