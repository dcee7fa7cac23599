"""DICOM JSON metadata: what it costs to make, beside pydicom, and to serve on loopback.

pydicom's time is that of `to_json_dict` and `json.dumps` on a data set that is read anew, as its
values are converted when first asked for; reading the file is counted on both sides.
"""

from __future__ import annotations

import io
import json
import statistics
import time
import warnings
from pathlib import Path
from typing import Any

import pydicom
import pytest
from long_files import LongFiles
from mersey.engine.archive.metadata import pack_metadata, unpack_metadata
from mersey.engine.dicom.indexing import index_instance
from mersey.engine.dicom.instance import Layout, ReadAt
from mersey.engine.dicom.json_reading import data_set_json
from mersey.engine.dicom.tags import PIXEL_DATA
from served import Served

_PYDICOM_ROUNDS = 5


def _opened(path: Path) -> tuple[ReadAt, Layout, bytes]:
    """How to read what is not Pixel Data of a file, and the same as pydicom takes it."""
    data = path.read_bytes()

    def read_at(offset_bytes: int, length_bytes: int, /) -> bytes:
        return data[offset_bytes : offset_bytes + length_bytes]

    layout = index_instance(read_at, size_bytes=len(data)).layout
    return read_at, layout, data[: layout.pixel_offset]


def _by_pydicom(header: bytes) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = pydicom.dcmread(io.BytesIO(header))
        return json.dumps(dataset.to_json_dict())


def _without_empty_value(members: dict[str, Any]) -> dict[str, Any]:
    """An empty sequence has no Value (PS3.18 §F.2.5); pydicom gives it an empty one."""
    return {name: value for name, value in members.items() if name != "Value" or value}


@pytest.mark.parametrize("frames", [1, 300])
def bench_metadata_from_bytes(benchmark: Any, files: LongFiles, frames: int) -> None:
    study = files.study
    path = study.enhanced_ct if frames > 1 else study.ct_series[0]
    read_at, layout, header = _opened(path)
    found = json.loads(data_set_json(read_at, layout))
    assert found.pop(f"{PIXEL_DATA:08X}")["BulkDataURI"]
    assert found == json.loads(_by_pydicom(header), object_hook=_without_empty_value)
    seconds = []
    for _ in range(_PYDICOM_ROUNDS):
        started = time.perf_counter()
        _by_pydicom(header)
        seconds.append(time.perf_counter() - started)
    benchmark.pedantic(data_set_json, args=(read_at, layout), rounds=50, warmup_rounds=2)
    ours, pydicoms = benchmark.stats.stats.median, statistics.median(seconds)
    benchmark.extra_info.update(
        {
            "ms": round(ours * 1e3, 2),
            "pydicom ms": round(pydicoms * 1e3, 1),
            "times faster": round(pydicoms / ours, 1),
        }
    )


def bench_metadata_packed_for_the_catalogue(benchmark: Any, files: LongFiles) -> None:
    """What ingest pays for the enhanced CT: the JSON, and zstd."""
    read_at, layout, _ = _opened(files.study.enhanced_ct)
    packed = pack_metadata(read_at, layout)
    assert unpack_metadata(packed).decode() == data_set_json(read_at, layout)
    benchmark.pedantic(pack_metadata, args=(read_at, layout), rounds=50, warmup_rounds=2)
    benchmark.extra_info.update(
        {"ms": round(benchmark.stats.stats.median * 1e3, 2), "bytes": len(packed)}
    )


def _series_of(files: LongFiles, folder: Path, count: int) -> None:
    """A CT series of `count` instances, the sample's over and over under other UIDs."""
    folder.mkdir()
    slices = [pydicom.dcmread(path) for path in files.study.ct_series]
    for number in range(count):
        ds = slices[number % len(slices)]
        ds.SOPInstanceUID = f"2.25.{number + 1}"
        ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
        ds.InstanceNumber = number + 1
        ds.save_as(folder / f"{number}.dcm", enforce_file_format=True)


@pytest.mark.parametrize(("level", "count"), [("instance", 1), ("series", 300)])
def bench_serve_metadata(
    benchmark: Any, files: LongFiles, tmp_path: Path, level: str, count: int
) -> None:
    folder = tmp_path / "folder"
    if level == "series":
        _series_of(files, folder, count)
    else:
        folder.mkdir()
        (folder / "ct.dcm").hardlink_to(files.study.enhanced_ct)
    with Served(folder, tmp_path / "store") as served:
        instances = served.instances(count)
        study, series, uid = (
            instances[0][tag]["Value"][0] for tag in ("0020000D", "0020000E", "00080018")
        )
        path = f"/studies/{study}/series/{series}"
        path += f"/instances/{uid}/metadata" if level == "instance" else "/metadata"
        status, body = served.get(path)
        assert status == 200
        assert len(json.loads(body)) == count
        assert served.get(path) == (200, body)
        benchmark.pedantic(served.get, args=(path,), rounds=50, warmup_rounds=3)
    benchmark.extra_info.update(
        {"p50 ms": round(benchmark.stats.stats.median * 1e3, 2), "bytes": len(body)}
    )
