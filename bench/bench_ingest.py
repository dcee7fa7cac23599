"""Ingest by STOW-RS: what one server takes in a second, durably, beside the disk alone.

Requests come over loopback, ready made, from Python's http.client. Every round stores other
instances. The bytes are then compared with what the store holds. `write + fsync` is the same
bytes into one file on the same file system in the same run.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import psutil
import pytest
from footprint import Footprint
from long_files import LongFiles
from served import Served

_TYPE = 'multipart/related; type="application/dicom"; boundary=bound-of-a-part'
_ROUNDS = 4
_CONNECTIONS = 4


@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", ["300 in one request", "300 requests", "one of 157 MB"])
def bench_ingest(benchmark: Any, files: LongFiles, tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    rounds = [_originals(files, kind, number) for number in range(_ROUNDS)]
    in_one = kind != "300 requests"
    requests = [
        [_body(originals)] if in_one else [_body([one]) for one in originals]
        for originals in rounds
    ]
    size_bytes = sum(map(len, rounds[0]))
    with ExitStack() as stack:
        served = stack.enter_context(Served(folder, tmp_path / "store"))
        served.settle()
        post = stack.enter_context(closing(_Poster(served)))
        before = _cpu_s(served.process.pid)
        waiting = iter(requests)
        with (
            Footprint(served.process.pid) as footprint,
            ThreadPoolExecutor(_CONNECTIONS) as threads,
        ):

            def store() -> None:
                statuses = set(threads.map(post, next(waiting)))
                assert statuses == {200}

            benchmark.pedantic(store, rounds=_ROUNDS)
        used = _cpu_s(served.process.pid) - before
        kept = {path.read_bytes() for path in (tmp_path / "store" / "blobs").glob("*/*")}
        assert {_digest(one) for one in kept} == {
            _digest(one) for originals in rounds for one in originals
        }
    seconds = benchmark.stats.stats.median
    benchmark.extra_info.update(
        {
            "MB/s": round(size_bytes / 1e6 / seconds),
            "write + fsync MB/s": round(size_bytes / 1e6 / _written_s(rounds[0], tmp_path)),
            "server's CPU s per GB": round(used / (_ROUNDS * size_bytes / 1e9), 2),
            "peak PSS MiB": round(footprint.peak_bytes / 2**20),
        }
    )


@pytest.mark.timeout(600)
def bench_ingest_memory_of_a_4_gib_instance(
    benchmark: Any, files: LongFiles, tmp_path: Path
) -> None:
    """One instance of 8,191 frames, alone in its request, against the same with one frame."""
    peaks: dict[int, int] = {}

    def store(frames: int) -> None:
        path = files.enhanced_ct(frames)
        (tmp_path / "folder").mkdir(exist_ok=True)
        with (
            Served(tmp_path / "folder", tmp_path / f"store-{frames}", "--no-prebuild") as served,
            path.open("rb") as file,
        ):
            served.settle()
            with Footprint(served.process.pid) as footprint:
                headers = {
                    "Content-Type": "application/dicom",
                    "Content-Length": str(path.stat().st_size),
                }
                served.connection.request("POST", "/dicom-web/studies", file, headers)
                response = served.connection.getresponse()
                assert response.status == 200, response.read()
                response.read()
            peaks[frames] = footprint.peak_bytes
        (blob,) = (tmp_path / f"store-{frames}" / "blobs").glob("*/*")
        with blob.open("rb") as kept, path.open("rb") as sent:
            digests = {hashlib.file_digest(one, "sha256").hexdigest() for one in (kept, sent)}
        assert digests == {blob.stem}
        path.unlink()
        blob.unlink()

    store(1)
    benchmark.pedantic(store, args=(8191,), rounds=1)
    benchmark.extra_info.update(
        {
            "peak PSS MiB with one frame": round(peaks[1] / 2**20),
            "added MiB by the one of 4 GiB": round((peaks[8191] - peaks[1]) / 2**20),
        }
    )


class _Poster:
    """Sends a body, each thread over a connection of its own."""

    def __init__(self, served: Served) -> None:
        self._host, self._port = served.connection.host, served.connection.port
        self._own = threading.local()
        self._opened: list[http.client.HTTPConnection] = []

    def close(self) -> None:
        for connection in self._opened:
            connection.close()

    def __call__(self, body: bytes) -> int:
        connection = getattr(self._own, "connection", None)
        if connection is None:
            connection = http.client.HTTPConnection(self._host, self._port, timeout=120)
            self._own.connection = connection
            self._opened.append(connection)
        connection.request("POST", "/dicom-web/studies", body, {"Content-Type": _TYPE})
        response = connection.getresponse()
        response.read()
        return int(response.status)


def _originals(files: LongFiles, kind: str, number: int) -> list[bytes]:
    """Instances that no other round stores: the last digits of their UIDs are this round's."""
    if kind == "one of 157 MB":
        data = files.study.enhanced_ct.read_bytes()
        return [_renamed(data, number * 1000)]
    slices = [Path(path).read_bytes() for path in files.study.ct_series]
    return [_renamed(slices[i % len(slices)], number * 1000 + i) for i in range(300)]


def _renamed(data: bytes, number: int) -> bytes:
    from pydicom import dcmread
    from pydicom.filebase import DicomBytesIO

    with_head = dcmread(DicomBytesIO(data), stop_before_pixels=True)
    uid = str(with_head.SOPInstanceUID)  # long enough: its last digits stay digits
    return data.replace(uid.encode(), f"{uid[:-7]}{10**6 + number}".encode())


def _body(originals: list[bytes]) -> bytes:
    head = b"--bound-of-a-part\r\nContent-Type: application/dicom\r\n\r\n"
    return b"".join(head + one + b"\r\n" for one in originals) + b"--bound-of-a-part--\r\n"


def _digest(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def _cpu_s(process_id: int) -> float:
    server = psutil.Process(process_id)
    times = [one.cpu_times() for one in (server, *server.children(recursive=True))]
    return sum(one.user + one.system for one in times)


def _written_s(originals: list[bytes], folder: Path) -> float:
    """The seconds that the same bytes take into one file."""

    def write() -> None:
        with (folder / "written").open("wb", buffering=0) as file:
            for one in originals:
                file.write(one)
            os.fsync(file.fileno())

    return min(_timed(write) for _ in range(3))


def _timed(work: Callable[[], None]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
