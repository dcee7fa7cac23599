"""Serving frames: what one request costs, from client to server and back on loopback.

The client is Python's http.client over one open connection: part of every figure is its own.
"""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
import openjpeg
import pytest
from footprint import Footprint
from long_files import LongFiles
from served import Served

RAW = 'application/octet-stream; transfer-syntax="1.2.840.10008.1.2.1"'
WHOLE = "application/dicom; transfer-syntax=*"
HTJ2K = "image/jphc; transfer-syntax=1.2.840.10008.1.2.4.202"


@pytest.fixture
def enhanced(files: LongFiles, tmp_path: Path) -> Path:
    """A folder that holds nothing but the enhanced CT of 300 frames."""
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "ct.dcm").hardlink_to(files.study.enhanced_ct)
    return folder


@pytest.mark.parametrize("number", [1, 150, 300])
def bench_serve_raw_frame(
    benchmark: Any, files: LongFiles, enhanced: Path, tmp_path: Path, number: int
) -> None:
    with Served(enhanced, tmp_path / "store") as served:
        (instance,) = served.instances(1)
        path = served.frame_path(instance, number)
        status, body = served.get(path, Accept=RAW)
        assert (status, body) == (200, files.frames[number - 1].tobytes())
        benchmark.pedantic(served.get, args=(path,), kwargs={"Accept": RAW}, rounds=300)
    benchmark.extra_info["p50 ms"] = round(benchmark.stats.stats.median * 1e3, 3)


def bench_serve_htj2k_frame_without_a_rendition(
    benchmark: Any, files: LongFiles, enhanced: Path, tmp_path: Path
) -> None:
    """Every frame asked for once, in an order of chance, while the rendition is built."""
    order = np.random.default_rng(1).permutation(len(files.frames)) + 1
    with Served(enhanced, tmp_path / "store") as served:
        (instance,) = served.instances(1)
        paths = [served.frame_path(instance, int(number)) for number in order]
        served.get(paths[0], Accept=RAW)
        seconds = []

        def ask_for_all() -> None:
            for number, path in zip(order, paths, strict=True):
                started = time.perf_counter()
                status, body = served.get(path, Accept=HTJ2K)
                seconds.append(time.perf_counter() - started)
                assert status == 200
                if number % 37 == 0:
                    assert np.array_equal(openjpeg.decode(body), files.frames[number - 1])

        benchmark.pedantic(ask_for_all, rounds=1)
    first = seconds[:20]
    benchmark.extra_info.update(
        {
            "p50 ms of the first 20": round(statistics.median(first) * 1e3, 2),
            "p50 ms": round(statistics.median(seconds) * 1e3, 2),
            "p95 ms": round(statistics.quantiles(seconds, n=20)[-1] * 1e3, 2),
            "first ms": round(seconds[0] * 1e3, 2),
        }
    )


def bench_serve_htj2k_frame_from_a_rendition(
    benchmark: Any, files: LongFiles, enhanced: Path, tmp_path: Path
) -> None:
    """Every frame from the stored rendition: compared with its digest the first time."""
    store = tmp_path / "store"
    with Served(enhanced, store) as served:
        (instance,) = served.instances(1)
        assert served.get(served.frame_path(instance, 1), Accept=HTJ2K)[0] == 200
        deadline = time.monotonic() + 60
        while not list(store.rglob("*.dcm")):
            assert time.monotonic() < deadline, "the rendition was not built"
            time.sleep(0.05)
    passes: list[list[float]] = []
    with Served(enhanced, store) as served:
        (instance,) = served.instances(1)
        paths = [served.frame_path(instance, 1 + index) for index in range(len(files.frames))]

        def ask_for_all() -> None:
            passes.append([])
            for index, path in enumerate(paths):
                started = time.perf_counter()
                status, body = served.get(path, Accept=HTJ2K)
                passes[-1].append(time.perf_counter() - started)
                assert status == 200
                if index % 37 == 0:
                    assert np.array_equal(openjpeg.decode(body), files.frames[index])

        benchmark.pedantic(ask_for_all, rounds=3)
    benchmark.extra_info.update(
        {
            "p50 ms with the digest": round(statistics.median(passes[0]) * 1e3, 3),
            "p50 ms": round(statistics.median(passes[-1]) * 1e3, 3),
            "p95 ms": round(statistics.quantiles(passes[-1], n=20)[-1] * 1e3, 3),
        }
    )


def bench_serve_memory_of_a_4_gib_file(benchmark: Any, files: LongFiles, tmp_path: Path) -> None:
    """The whole file and frames all over it, against the same with a file of one frame."""
    peaks = {}

    def read_all_over(frames: int) -> None:
        folder = tmp_path / f"folder-{frames}"
        folder.mkdir()
        files.enhanced_ct(frames).rename(folder / "ct.dcm")
        with (
            Served(folder, tmp_path / f"store-{frames}") as served,
            Footprint(served.process.pid) as footprint,
        ):
            (instance,) = served.instances(1)
            served.settle()
            for number in range(1, frames + 1, 63):
                status, body = served.get(served.frame_path(instance, number), Accept=RAW)
                assert status == 200
                assert body == files.frames[(number - 1) % len(files.frames)].tobytes()
            whole = served.frame_path(instance, 1).rsplit("/frames", 1)[0]
            assert served.download(whole, Accept=WHOLE) == (folder / "ct.dcm").stat().st_size
        (folder / "ct.dcm").unlink()
        peaks[frames] = footprint.peak_bytes

    read_all_over(1)
    benchmark.pedantic(read_all_over, args=(8191,), rounds=1)
    benchmark.extra_info.update(
        {
            "PSS MiB of the server with a file of 1 frame": round(peaks[1] / 2**20),
            "added MiB by the one of 4 GiB": round((peaks[8191] - peaks[1]) / 2**20),
        }
    )
