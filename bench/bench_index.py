"""Finding the frames of a file: pushed through the parser, and with seeks, as the server does."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pydicom
import pytest
from long_files import LongFiles
from mersey.engine.archive.catalogue import Catalogue
from mersey.engine.archive.folder_index import FolderIndex
from mersey.engine.archive.record import pack_instance, unpack_instance
from mersey.engine.dicom.indexing import index_instance
from mersey.engine.dicom.instance import Instance
from mersey.engine.dicom.part10_reader import Part10Reader
from mersey.engine.runtime.worker_pool import WorkerPool

_PIECE = 1 << 18
_FILES = 2000


def _index(path: Path) -> Instance:
    with path.open("rb") as file:
        descriptor = file.fileno()
        return index_instance(
            lambda offset, length: os.pread(descriptor, length, offset),
            size_bytes=path.stat().st_size,
        )


def _push(data: bytes) -> Instance:
    reader = Part10Reader(size_bytes=len(data))
    for start in range(0, len(data), _PIECE):
        reader.feed(data[start : start + _PIECE])
    return reader.finish()


def _path(files: LongFiles, frames: int) -> Path:
    return files.study.ct_series[0] if frames == 1 else files.enhanced_ct(frames)


def _assert_right(instance: Instance, path: Path, frames: int) -> None:
    ds = pydicom.dcmread(path, stop_before_pixels=True)
    assert instance.sop_instance_uid == ds.SOPInstanceUID
    assert instance.frames is not None
    assert instance.frames.count == frames
    last = instance.frames[frames - 1].spans[-1]
    assert last.offset_bytes + last.length_bytes == path.stat().st_size


@pytest.mark.parametrize("frames", [1, 300], ids=["512x512x16-1f-raw", "512x512x16-300f-raw"])
def bench_index_with_seeks(benchmark: Any, files: LongFiles, frames: int) -> None:
    path = _path(files, frames)
    _assert_right(_index(path), path, frames)
    benchmark(_index, path)
    benchmark.extra_info["files/s"] = round(1 / benchmark.stats.stats.median)


@pytest.mark.parametrize("frames", [1, 300], ids=["512x512x16-1f-raw", "512x512x16-300f-raw"])
def bench_parse_pushed(benchmark: Any, files: LongFiles, frames: int) -> None:
    path = _path(files, frames)
    data = path.read_bytes()
    _assert_right(_push(data), path, frames)
    benchmark(_push, data)
    benchmark.extra_info["pixel_bytes"] = frames * files.frames[0].nbytes


@pytest.mark.parametrize("frames", [1, 300], ids=["512x512x16-1f-raw", "512x512x16-300f-raw"])
def bench_index_record_packed_and_unpacked(benchmark: Any, files: LongFiles, frames: int) -> None:
    """What the catalogue keeps of an instance, both ways."""
    instance = _index(_path(files, frames))
    assert unpack_instance(pack_instance(instance)).frames is not None
    benchmark(lambda: unpack_instance(pack_instance(instance)))


@pytest.mark.parametrize("jobs", [1, 2])
def bench_index_folder_of_small_files(benchmark: Any, tmp_path: Path, jobs: int) -> None:
    """A first scan, catalogue and all; the files are in the cache of the kernel."""
    _small_files(tmp_path / "folder")
    catalogues: list[Catalogue] = []

    def fresh() -> tuple[tuple[Any, ...], dict[str, Any]]:
        catalogues.append(Catalogue.open(tmp_path / f"{len(catalogues)}.sqlite"))
        return (FolderIndex(catalogues[-1], [tmp_path / "folder"]),), {"executor": pool}

    with WorkerPool(jobs=jobs) as pool:
        progress = benchmark.pedantic(FolderIndex.scan, setup=fresh, rounds=3, warmup_rounds=1)
    for catalogue in catalogues:
        catalogue.close()
    assert progress.instances == _FILES
    rate = _FILES / benchmark.stats.stats.median
    benchmark.extra_info.update({"files/s": round(rate), "jobs": jobs})


def _small_files(folder: Path) -> None:
    from pydicom.data import get_testdata_file

    folder.mkdir()
    model = Path(str(get_testdata_file("CT_small.dcm")))
    data, uid = model.read_bytes(), pydicom.dcmread(model).SOPInstanceUID.encode()
    for number in range(_FILES):
        other = uid[:-6] + f"{100000 + number}".encode()
        (folder / f"{number:05}.dcm").write_bytes(data.replace(uid, other))
