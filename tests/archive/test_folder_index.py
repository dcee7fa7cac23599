"""Folders indexed in place: what a second look costs, and what it notices."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from threading import Event

import pytest
from mersey.codecs.errors import ResourceError
from mersey.engine.archive.catalogue import Catalogue
from mersey.engine.archive.folder_index import FolderIndex
from mersey.engine.archive.record import pack_instance, unpack_instance
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian


def write(path: Path, uid: str, *, series: str = "1.2.1", study: str = "1.2") -> None:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = CTImageStorage
    dataset.SOPInstanceUID = uid
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = study, series
    dataset.Modality = "CT"
    dataset.Rows = dataset.Columns = 4
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8, 8, 7
    dataset.PixelRepresentation = 0
    dataset.PixelData = uid.encode().ljust(16)
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)


@pytest.fixture
def catalogue(tmp_path: Path) -> Iterator[Catalogue]:
    opened = Catalogue.open(tmp_path / "index.sqlite")
    yield opened
    opened.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "files"
    for number in range(1, 5):
        write(root / f"d{number % 2}" / f"{number}.dcm", f"1.2.1.{number}")
    (root / "notes.txt").write_text("no image")
    return root


@pytest.fixture
def threads() -> Iterator[Executor]:
    with ThreadPoolExecutor(2) as executor:
        yield executor


def test_a_scan_finds_instances_and_counts_the_rest(catalogue, folder, threads) -> None:
    (folder / "cut.dcm").write_bytes((folder / "d1" / "1.dcm").read_bytes()[:200])
    os.mkfifo(folder / "pipe")
    (folder / "loop").symlink_to(folder)
    (folder / "dangling").symlink_to(folder / "nowhere")
    progress = FolderIndex(catalogue, [folder]).scan(executor=threads)
    assert (progress.instances, progress.other, progress.done) == (4, 1, True)
    assert [Path(path).name for path, _ in progress.broken] == ["cut.dcm"]
    assert catalogue.count() == (1, 1, 4)
    entry = catalogue.find("1.2.1.3")
    assert entry is not None
    assert entry.path == str(folder / "d1" / "3.dcm")


def test_a_second_scan_opens_nothing_that_did_not_change(catalogue, folder, threads) -> None:
    index = FolderIndex(catalogue, [folder])
    index.scan(executor=threads)

    class Refusing(Executor):
        def submit(self, fn, /, *args, **kwargs) -> Future:
            raise AssertionError(f"{args} was opened")

    progress = index.scan(executor=Refusing())
    assert (progress.seen, progress.unchanged, progress.gone) == (5, 5, 0)


def test_changed_new_and_vanished_files_are_noticed(catalogue, folder, threads) -> None:
    index = FolderIndex(catalogue, [folder])
    index.scan(executor=threads)
    write(folder / "d1" / "1.dcm", "1.2.1.100", series="1.2.2")
    write(folder / "new" / "9.dcm", "1.2.1.9")
    (folder / "d0" / "2.dcm").unlink()
    progress = index.scan(executor=threads)
    assert (progress.instances, progress.gone) == (2, 1)
    assert catalogue.find("1.2.1.1") is None
    assert catalogue.find("1.2.1.2") is None
    assert catalogue.find("1.2.1.100") is not None
    assert catalogue.count() == (1, 2, 4)


def test_a_folder_that_has_gone_takes_its_instances_along(catalogue, folder, threads) -> None:
    index = FolderIndex(catalogue, [folder])
    index.scan(executor=threads)
    for name in ("d0", "d1"):
        (folder / name).rename(folder.parent / name)
    progress = index.scan(executor=threads)
    assert progress.gone == 4
    assert catalogue.count() == (0, 0, 0)


def test_a_touched_file_is_another_version(catalogue, folder, threads) -> None:
    index = FolderIndex(catalogue, [folder])
    index.scan(executor=threads)
    before = catalogue.find("1.2.1.1")
    os.utime(folder / "d1" / "1.dcm", ns=(1, 1))
    index.scan(executor=threads)
    after = catalogue.find("1.2.1.1")
    assert before is not None
    assert after is not None
    assert before.fingerprint != after.fingerprint


def test_of_two_files_with_one_instance_the_first_is_served_until_it_goes(
    catalogue, folder, threads
) -> None:
    index = FolderIndex(catalogue, [folder])
    index.scan(executor=threads)
    copy = folder / "copy.dcm"
    copy.write_bytes((folder / "d1" / "1.dcm").read_bytes())
    progress = index.scan(executor=threads)
    assert (progress.instances, progress.duplicates) == (0, 1)
    entry = catalogue.find("1.2.1.1")
    assert entry is not None
    assert entry.path == str(folder / "d1" / "1.dcm")
    (folder / "d1" / "1.dcm").unlink()
    index.scan(executor=threads)
    index.scan(executor=threads)
    entry = catalogue.find("1.2.1.1")
    assert entry is not None
    assert entry.path == str(copy)


def test_a_file_whose_name_is_not_text_is_served(catalogue, folder, threads) -> None:
    name = os.fsdecode(b"caf\xe9.dcm")
    (folder / name).write_bytes((folder / "d1" / "1.dcm").read_bytes())
    (folder / "d1" / "1.dcm").unlink()
    FolderIndex(catalogue, [folder]).scan(executor=threads)
    entry = catalogue.find("1.2.1.1")
    assert entry is not None
    assert entry.path == str(folder / name)


def test_a_file_that_kills_its_worker_costs_itself_alone(catalogue, folder, threads) -> None:
    class Dying(Executor):
        def submit(self, fn, /, *args, **kwargs) -> Future:
            if "3.dcm" not in args[1]:
                return threads.submit(fn, *args, **kwargs)
            future: Future = Future()
            future.set_exception(ResourceError("the worker process died"))
            return future

    progress = FolderIndex(catalogue, [folder]).scan(executor=Dying())
    assert progress.instances == 3
    assert [(Path(path).name, why) for path, why in progress.broken] == [
        ("3.dcm", "the worker process died")
    ]


def test_a_scan_that_is_stopped_keeps_what_it_found_and_forgets_nothing(
    catalogue, folder, threads
) -> None:
    index = FolderIndex(catalogue, [folder])
    index.scan(executor=threads)
    stop = Event()
    stop.set()
    assert not index.scan(executor=threads, stop=stop).done
    assert catalogue.count() == (1, 1, 4)


def test_a_catalogue_of_another_version_is_made_anew(tmp_path, folder, threads) -> None:
    path = tmp_path / "old.sqlite"
    first = Catalogue.open(path)
    FolderIndex(first, [folder]).scan(executor=threads)
    first.close()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE versions SET version = 1")
    second = Catalogue.open(path)
    assert second.count() == (0, 0, 0)
    FolderIndex(second, [folder]).scan(executor=threads)
    assert second.count() == (1, 1, 4)
    second.close()


def test_an_instance_comes_back_from_its_record_as_it_was(catalogue, folder, threads) -> None:
    FolderIndex(catalogue, [folder]).scan(executor=threads)
    entry = catalogue.find("1.2.1.1")
    assert entry is not None
    instance = entry.instance
    again = unpack_instance(pack_instance(instance))
    assert again.attributes == instance.attributes
    assert again.layout == instance.layout
    assert again.pixels == instance.pixels
    assert again.frames is not None
    assert instance.frames is not None
    assert again.frames[0] == instance.frames[0]


def test_metadata_of_another_version_of_a_file_is_not_kept(catalogue, folder, threads) -> None:
    index = FolderIndex(catalogue, [folder])
    index.scan(executor=threads)
    entry = catalogue.find("1.2.1.1")
    assert entry is not None
    os.utime(folder / "d1" / "1.dcm", ns=(1, 1))
    index.scan(executor=threads)
    catalogue.keep_metadata({"1.2.1.1": (entry.stamp, b"old")})
    assert catalogue.metadata(["1.2.1.1"]) == {}
    renewed = catalogue.find("1.2.1.1")
    assert renewed is not None
    catalogue.keep_metadata({"1.2.1.1": (renewed.stamp, b"new")})
    assert catalogue.metadata(["1.2.1.1", "9"]) == {"1.2.1.1": b"new"}


def test_a_file_that_moved_to_a_folder_that_is_scanned_first_is_found(
    catalogue: Catalogue, folder: Path, threads: Executor
) -> None:
    index = FolderIndex(catalogue, [folder])
    index.scan(executor=threads)
    (folder / "a").mkdir()
    (folder / "d1" / "1.dcm").rename(folder / "a" / "1.dcm")
    index.scan(executor=threads)
    entry = catalogue.find("1.2.1.1")
    assert entry is not None
    assert entry.path == str(folder / "a" / "1.dcm")


def test_a_second_look_at_some_paths_leaves_the_rest_alone(
    catalogue: Catalogue, folder: Path, threads: Executor
) -> None:
    index = FolderIndex(catalogue, [folder])
    index.scan(executor=threads)
    write(folder / "new" / "9.dcm", "1.2.1.9")
    write(folder / "d0" / "8.dcm", "1.2.1.8")
    assert index.look_again([str(folder / "new")], executor=threads) == [str(folder / "new")]
    assert catalogue.find("1.2.1.9") is not None
    assert catalogue.find("1.2.1.8") is None
    assert index.look_again([str(folder / "d0" / "8.dcm")], executor=threads) == []
    assert catalogue.find("1.2.1.8") is not None


def test_what_lies_outside_or_behind_a_link_is_passed_over(
    catalogue: Catalogue, folder: Path, threads: Executor, tmp_path: Path
) -> None:
    write(tmp_path / "outside" / "9.dcm", "1.2.1.9")
    (folder / "link").symlink_to(tmp_path / "outside")
    index = FolderIndex(catalogue, [folder])
    index.look_again(
        [str(tmp_path / "outside" / "9.dcm"), str(folder / "link" / "9.dcm")], executor=threads
    )
    assert catalogue.find("1.2.1.9") is None
