"""A server on loopback over a folder of files we make, and a plain client."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    CTImageStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    SegmentationStorage,
)


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    def parts(self) -> list[tuple[str, bytes]]:
        """The Content-Type and the bytes of each part of a multipart answer."""
        boundary = self.headers["content-type"].partition("boundary=")[2].encode()
        assert self.body.startswith(b"--" + boundary + b"\r\n")
        assert self.body.endswith(b"\r\n--" + boundary + b"--\r\n")
        found = []
        inner = self.body[: -len(b"\r\n--" + boundary + b"--\r\n")]
        for piece in (b"\r\n" + inner).split(b"\r\n--" + boundary + b"\r\n")[1:]:
            head, _, data = piece.partition(b"\r\n\r\n")
            fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
            assert int(fields["Content-Length"]) == len(data)
            found.append((fields["Content-Type"], data))
        return found


@dataclass(frozen=True, slots=True)
class Client:
    """Asks the server at `address`, one connection a request."""

    address: str
    folder: Path

    def ask(
        self, path: str, *, method: str = "GET", headers: Mapping[str, str] | None = None
    ) -> Answer:
        connection = http.client.HTTPConnection(urlsplit(self.address).netloc, timeout=30)
        try:
            connection.request(method, path, headers=dict(headers or {}))
            response = connection.getresponse()
            fields = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, fields, response.read())
        finally:
            connection.close()

    def get(self, path: str, accept: str | None = None, **headers: str) -> Answer:
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        if accept is not None:
            fields["Accept"] = accept
        return self.ask(f"/dicom-web{path}", headers=fields)


class RunningServer:
    """`mersey serve` in a thread of its own, stopped by cancelling."""

    def __init__(self, folder: Path, store: Path, **settings: Any) -> None:
        self._folder, self._store = folder, store
        self._settings = settings
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run)
        self.address = ""
        self._scanned = threading.Event()

    def __enter__(self) -> Client:
        self._thread.start()
        assert self._ready.wait(30)
        assert self._scanned.wait(60), self._failure
        return Client(self.address, self._folder)

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join(30)
        assert not self._thread.is_alive()
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        from mersey.engine.web.server import ServeSettings, serve

        async def main() -> None:
            self._loop = asyncio.get_running_loop()
            settings = ServeSettings((self._folder,), self._store, port=0, jobs=1, **self._settings)
            self._task = asyncio.create_task(
                serve(settings, on_listening=self._on_listening, on_scan=self._on_scan)
            )
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

        try:
            asyncio.run(main())
        except BaseException as error:  # noqa: BLE001  raised again where the test is
            self._failure = error
        finally:
            self._ready.set()

    def _on_listening(self, address: str) -> None:
        self.address = address
        self._ready.set()

    def _on_scan(self, progress) -> None:
        if progress.done:
            self._scanned.set()


@pytest.fixture(scope="session")
def run_server():
    """A context manager: run a server over a folder, with a store of its own."""
    return RunningServer


def base_dataset(uid: str, *, series: str = "1.2.3.1", study: str = "1.2.3") -> Dataset:
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.SOPClassUID = CTImageStorage
    dataset.SOPInstanceUID = uid
    dataset.StudyInstanceUID = study
    dataset.SeriesInstanceUID = series
    dataset.PatientName = "Müller^Jörg"
    dataset.PatientID = "P1"
    dataset.StudyDate = "20240310"
    dataset.StudyTime = "103015"
    dataset.AccessionNumber = "A1"
    dataset.StudyDescription = "Thorax"
    dataset.Modality = "CT"
    dataset.SeriesNumber = 2
    dataset.SeriesDescription = "Axial"
    dataset.InstanceNumber = int(uid.rpartition(".")[2])
    return dataset


def add_pixels(dataset: Dataset, samples: np.ndarray, *, stored: int, planar: int = 0) -> None:
    """Describe (frames, rows, columns[, 3]) samples; the bytes are the caller's to set."""
    dataset.NumberOfFrames = samples.shape[0]
    dataset.Rows, dataset.Columns = samples.shape[1:3]
    dataset.SamplesPerPixel = 3 if samples.ndim == 4 else 1
    dataset.PhotometricInterpretation = "RGB" if samples.ndim == 4 else "MONOCHROME2"
    if samples.ndim == 4:
        dataset.PlanarConfiguration = planar
    dataset.BitsAllocated = samples.dtype.itemsize * 8
    dataset.BitsStored = stored
    dataset.HighBit = stored - 1
    dataset.PixelRepresentation = 0
    dataset.PixelSpacing = [0.5, 0.5]


def write(path: Path, dataset: Dataset, uid: str = ExplicitVRLittleEndian) -> None:
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = uid
    dataset.save_as(
        path,
        implicit_vr=uid == ImplicitVRLittleEndian,
        little_endian=uid != ExplicitVRBigEndian,
        enforce_file_format=True,
    )


def ct_samples(frames: int, size: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:size, :size]
    ramp = (rows * 3 + columns * 2)[None] + 20 * np.arange(frames)[:, None, None]
    return np.clip(ramp + rng.integers(0, 40, (frames, size, size)), 0, 4095).astype("<u2")


@dataclass(frozen=True, slots=True)
class Sample:
    """An instance that the server has, and its samples in Python."""

    url: str
    path: Path
    samples: np.ndarray


@dataclass(frozen=True, slots=True)
class Samples:
    ct: Sample
    single: Sample
    implicit: Sample
    big_endian: Sample
    planar: Sample
    j2k: Sample
    bits: Sample
    odd: Sample


def _url(uid: str, series: str = "1.2.3.1", study: str = "1.2.3") -> str:
    return f"/studies/{study}/series/{series}/instances/{uid}"


def make_ct(path: Path, uid: str, samples: np.ndarray, **where: str) -> Sample:
    dataset = base_dataset(uid, **where)
    add_pixels(dataset, samples, stored=12)
    dataset.PixelData = samples.tobytes()
    write(path, dataset)
    return Sample(_url(uid, **where), path, samples)


def _make_samples(folder: Path) -> Samples:
    folder.mkdir()
    (folder / "deeper").mkdir()
    (folder / "notes.txt").write_text("no image")
    (folder / "cut.dcm").write_bytes(bytes(128) + b"DICM\x02\0")
    ct = make_ct(folder / "ct.dcm", "1.2.3.1.1", ct_samples(7, 256))
    single = make_ct(folder / "deeper" / "single.dcm", "1.2.3.1.2", ct_samples(1, 96, 1))

    dataset = base_dataset("1.2.3.1.3")
    samples = ct_samples(2, 64, 2)
    add_pixels(dataset, samples, stored=12)
    dataset.PixelData = samples.tobytes()
    dataset.add_new(0x00291010, "OB", bytes(range(256)) * 20)
    item = Dataset()
    item.add_new(0x00291011, "OB", b"nested" * 300)
    dataset.RequestAttributesSequence = Sequence([item])
    write(folder / "implicit.dcm", dataset, ImplicitVRLittleEndian)
    implicit = Sample(_url("1.2.3.1.3"), folder / "implicit.dcm", samples)

    dataset = base_dataset("1.2.3.1.4")
    samples = ct_samples(2, 64, 3)
    add_pixels(dataset, samples, stored=12)
    dataset.PixelData = samples.astype(">u2").tobytes()
    write(folder / "big_endian.dcm", dataset, ExplicitVRBigEndian)
    big_endian = Sample(_url("1.2.3.1.4"), folder / "big_endian.dcm", samples)

    dataset = base_dataset("1.2.3.2.5", series="1.2.3.2")
    dataset.Modality = "US"
    rgb = np.random.default_rng(4).integers(0, 256, (2, 40, 48, 3), dtype=np.uint8)
    add_pixels(dataset, rgb, stored=8, planar=1)
    dataset.PixelData = np.moveaxis(rgb, 3, 1).tobytes()
    write(folder / "planar.dcm", dataset)
    planar = Sample(_url("1.2.3.2.5", "1.2.3.2"), folder / "planar.dcm", rgb)

    import imagecodecs
    from pydicom.encaps import encapsulate

    dataset = base_dataset("1.2.3.1.6")
    samples = ct_samples(2, 80, 5)
    add_pixels(dataset, samples, stored=12)
    frames = [
        imagecodecs.jpeg2k_encode(frame, codecformat="j2k", reversible=True, bitspersample=12)
        for frame in samples
    ]
    dataset.PixelData = encapsulate(frames)
    dataset["PixelData"].VR = "OB"
    write(folder / "j2k.dcm", dataset, JPEG2000Lossless)
    j2k = Sample(_url("1.2.3.1.6"), folder / "j2k.dcm", samples)

    dataset = base_dataset("1.2.3.3.7", series="1.2.3.3")
    dataset.SOPClassUID = SegmentationStorage
    dataset.Modality = "SEG"
    mask = np.random.default_rng(6).integers(0, 2, (3, 5, 7), dtype=np.uint8)
    add_pixels(dataset, mask, stored=1)
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 1, 1, 0
    packed = np.packbits(mask.ravel(), bitorder="little").tobytes()
    dataset.PixelData = packed + b"\0" * (len(packed) % 2)
    write(folder / "bits.dcm", dataset)
    bits = Sample(_url("1.2.3.3.7", "1.2.3.3"), folder / "bits.dcm", mask)

    odd = make_ct(folder / "odd.dcm", "1.2.3.1.8", ct_samples(1, 77, 7))
    return Samples(ct, single, implicit, big_endian, planar, j2k, bits, odd)


@pytest.fixture(scope="session")
def samples(tmp_path_factory) -> Samples:
    """The files that `client`'s server serves."""
    return _make_samples(tmp_path_factory.mktemp("served") / "files")


@pytest.fixture(scope="session")
def client(samples: Samples, tmp_path_factory, run_server) -> Iterator[Client]:
    """A client of a server over `samples`."""
    with run_server(samples.ct.path.parent, tmp_path_factory.mktemp("store")) as running:
        yield running


@pytest.fixture(scope="session")
def make_instance():
    """Write a multi-frame CT: (path, uid, samples) to Sample."""
    return make_ct


@pytest.fixture(scope="session")
def make_ct_samples():
    """Synthetic samples: (frames, size, seed) to an array."""
    return ct_samples


@pytest.fixture(scope="session")
def damage_codestream():
    """Take COD and QCD out of the first codestream of a file: it can be decoded no more."""

    def damage(path: Path) -> None:
        data = bytearray(path.read_bytes())
        after_siz = data.index(b"\xff\x4f\xff\x51") + 51
        data[after_siz : after_siz + 60] = bytes(60)
        path.write_bytes(data)

    return damage


class BuildGate:
    """Lets as many renditions be built as a test says, and no more."""

    def __init__(self) -> None:
        self._allowed = threading.Semaphore(0)
        self.built = 0

    def allow(self, count: int = 1) -> None:
        """Let `count` more be built."""
        self._allowed.release(count)

    async def passed(self) -> None:
        """One waits until it may be built."""
        await asyncio.to_thread(self._allowed.acquire, timeout=30)
        self.built += 1


@pytest.fixture
def build_gate(monkeypatch: pytest.MonkeyPatch) -> BuildGate:
    """Renditions of servers in this process are built only as far as the gate lets them."""
    from mersey.engine.web.rendition_builder import RenditionBuilder

    gate, transcode = BuildGate(), RenditionBuilder._transcode

    async def gated(builder: RenditionBuilder, order: Any) -> None:
        await gate.passed()
        await transcode(builder, order)

    monkeypatch.setattr(RenditionBuilder, "_transcode", gated)
    return gate


@pytest.fixture
def wait_until():
    """Wait for a condition that another process or thread brings about."""

    def wait(condition, *, limit_s: float = 30.0) -> None:
        end = time.monotonic() + limit_s
        while not condition():
            assert time.monotonic() < end, "it never came"
            time.sleep(0.01)

    return wait
