"""A server in a thread, over a series of slices, and a wire that breaks where a test wants."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from pydicom import dcmread

SLICES = 7
SIZE = 160


@dataclass(frozen=True, slots=True)
class ServedSeries:
    """A series of single-frame CT slices, its files in order, and its address."""

    url: str
    folder: Path
    files: tuple[Path, ...]
    samples: np.ndarray

    @property
    def base(self) -> str:
        return self.url.partition("/studies/")[0]


@dataclass(slots=True)
class Wire:
    """Forwards to a server; each connection breaks once it has carried the next of `cuts`.

    One whose cut is None does not.
    """

    target: tuple[str, int]
    cuts: list[int | None] = field(default_factory=list)
    carried: list[int] = field(default_factory=list)
    address: str = ""

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[str]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        host, port = server.sockets[0].getsockname()
        async with server:
            yield f"{host}:{port}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(*self.target)
        up = asyncio.create_task(self._forward(reader, back))
        limit = self.cuts.pop(0) if self.cuts else None
        number = len(self.carried)
        self.carried.append(0)
        try:
            while data := await there.read(4096):
                if limit is not None:
                    data = data[: limit - self.carried[number]]
                self.carried[number] += len(data)
                writer.write(data)
                await writer.drain()
                if self.carried[number] == limit:
                    break
        except ConnectionError:
            pass
        finally:
            up.cancel()
            back.close()
            writer.transport.abort() if limit is not None else writer.close()

    @staticmethod
    async def _forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(4096):
                writer.write(data)
                await writer.drain()
        writer.close()


class ServerThread:
    """`mersey serve` in a thread of its own, stopped by cancelling."""

    def __init__(self, folder: Path, store: Path, **settings: bool) -> None:
        self._folder, self._store, self._settings = folder, store, settings
        self._ready, self._scanned = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main()))
        self.address = ""

    def __enter__(self) -> str:
        self._thread.start()
        assert self._ready.wait(240)
        assert self._scanned.wait(240)
        return self.address

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join(240)
        assert not self._thread.is_alive()

    async def _main(self) -> None:
        from mersey.engine.web.server import ServeSettings, serve

        def on_listening(address: str) -> None:
            self.address = address
            self._ready.set()

        self._loop = asyncio.get_running_loop()
        settings = ServeSettings((self._folder,), self._store, port=0, jobs=1, **self._settings)
        self._task = asyncio.create_task(
            serve(
                settings,
                on_listening=on_listening,
                on_scan=lambda progress: self._scanned.set() if progress.done else None,
            )
        )
        with contextlib.suppress(asyncio.CancelledError):
            await self._task


@pytest.fixture(scope="session")
def slices(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the slices of one CT series, not to be changed."""
    from phantom import Thorax
    from sample_study import write_sample_study

    folder = tmp_path_factory.mktemp("slices")
    write_sample_study(folder / "study", small=True)
    (template, *_) = sorted((folder / "study" / "ct-series").glob("*.dcm"))
    thorax = Thorax(size=SIZE, slices=SLICES, seed=3)
    (folder / "files").mkdir()
    for index in range(SLICES):
        dataset = dcmread(template)
        dataset.SOPInstanceUID = f"1.2.7.{index + 1}"
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "1.2.7", "1.2.7.0"
        dataset.InstanceNumber = index + 1
        dataset.Rows = dataset.Columns = SIZE
        dataset.PixelData = thorax.frame(index).tobytes()
        dataset.save_as(folder / "files" / f"{index + 1}.dcm")
    return folder / "files"


@pytest.fixture(scope="session")
def served(slices: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedSeries]:
    """That series on a server."""
    files = tuple(sorted(slices.glob("*.dcm")))
    samples = np.stack([dcmread(file).pixel_array for file in files])
    with ServerThread(slices, tmp_path_factory.mktemp("store")) as address:
        url = f"{address}/dicom-web/studies/1.2.7/series/1.2.7.0"
        yield ServedSeries(url, slices, files, samples)


@pytest.fixture(scope="session")
def serve_folder() -> type[ServerThread]:
    """A context manager: a server over a folder, with a store of its own; its address."""
    return ServerThread


@pytest.fixture
def wire(served: ServedSeries) -> Wire:
    """A wire to the server of `served`."""
    parts = urlsplit(served.url)
    assert parts.hostname is not None
    assert parts.port is not None
    return Wire((parts.hostname, parts.port))


@pytest.fixture(scope="module")
def pool():
    """One worker process."""
    from mersey.engine.runtime.worker_pool import WorkerPool

    with WorkerPool(jobs=1) as pool:
        yield pool
