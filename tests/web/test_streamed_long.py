"""Answers of one instance with many frames: each is sent as it is encoded, whatever the way."""

from __future__ import annotations

import asyncio
import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import imagecodecs
import numpy as np
import pytest
from mersey.codecs.registry import Registry
from mersey.engine.runtime.frame_demand import FrameDemand
from mersey.engine.transfer.live_range import live_range
from mersey.engine.transfer.progressive_reader import ProgressiveReader
from pydicom import dcmread
from pydicom.encaps import encapsulate
from pydicom.uid import JPEG2000Lossless

RPCL = "1.2.840.10008.1.2.4.202"
SERIES = "/studies/1.2.3/series/1.2.3.1"
FRAMES = 300
"""Of 128 KiB, so that they are encoded in three runs."""
MARK = b"Mersey-Reduction: "


class RunGate:
    """Lets as many runs of frames be told of as a test says, and no more."""

    def __init__(self) -> None:
        self._allowed = threading.Semaphore(0)
        self.first: list[int] = []

    def allow(self, count: int = 1) -> None:
        self._allowed.release(count)

    async def passed(self, first: int) -> None:
        while not self._allowed.acquire(blocking=False):  # noqa: ASYNC110  it is of threads
            await asyncio.sleep(0.002)
        self.first.append(first)


@pytest.fixture
def run_gate(monkeypatch) -> RunGate:
    gate, made = RunGate(), FrameDemand.made

    async def gated(demand, first, count, pieces) -> None:
        await gate.passed(first)
        await made(demand, first, count, pieces)

    monkeypatch.setattr(FrameDemand, "made", gated)
    return gate


@pytest.fixture(scope="module")
def long_instance(tmp_path_factory, make_instance, make_ct_samples):
    folder = tmp_path_factory.mktemp("long")
    return make_instance(folder / "a.dcm", "1.2.3.1.1", make_ct_samples(FRAMES, 256))


@contextmanager
def asked(client, path: str, **headers: str) -> Iterator[http.client.HTTPResponse]:
    connection = http.client.HTTPConnection(urlsplit(client.address).netloc, timeout=240)
    try:
        connection.request("GET", f"/dicom-web{path}", headers=headers)
        yield connection.getresponse()
    finally:
        connection.close()


def read_until(response: http.client.HTTPResponse, *, count: int) -> bytes:
    """What comes until there are so many images; times out where it does not."""
    data = b""
    while data.count(MARK) < count:
        piece = response.read1(65536)
        assert piece, "the answer ended"
        data += piece
    return data


def test_frames_are_sent_as_they_are_encoded_those_wanted_first_before_others(
    long_instance, run_server, tmp_path, run_gate
) -> None:
    folder, path = long_instance.path.parent, f"{long_instance.url}/progressive"
    run_gate.allow()
    with run_server(folder, tmp_path / "store") as client:
        with asked(client, path) as response:
            etag = response.headers["etag"]
            data = read_until(response, count=40)
            assert run_gate.first == [128]  # the run with the frames in the middle
        # Whoever was cut off goes on, while the next run is still not told of.
        with asked(client, path, Range=live_range(len(data) - 9), **{"If-Range": etag}) as response:
            assert response.status == 206
            assert response.headers["etag"] == etag
            again = response.read(9)
            assert again == data[-9:]
            run_gate.allow(100)
            data += response.read()
        after = client.get(path)
        assert sorted(run_gate.first) == [0, 128, 256]
        assert after.headers["etag"] == etag
        assert after.body == data
        reader = ProgressiveReader(after.headers["content-type"])
        assert len(list(reader.feed(data))) > FRAMES
    decoder = Registry.default().decoder(RPCL)
    pixels = reader.description.instances[0].pixels
    for index in (0, 127, 128, 149, 255, 256, 299):
        image = decoder.decode(reader.prefix(index), pixels=pixels)
        assert np.array_equal(image, long_instance.samples[index])


def test_the_bytes_depend_on_no_order_of_making_and_no_server(
    long_instance, run_server, tmp_path, run_gate
) -> None:
    run_gate.allow(100)
    folder, path = long_instance.path.parent, f"{long_instance.url}/progressive"
    with run_server(folder, tmp_path / "one") as client:
        streamed = client.get(path)
        assert "content-length" not in streamed.headers
    with run_server(folder, tmp_path / "two") as client:
        client.get(long_instance.url, f"application/dicom; transfer-syntax={RPCL}")
        whole = client.get(path)
        assert int(whole.headers["content-length"]) == len(streamed.body)
    assert run_gate.first == [128, 0, 256, 0, 128, 256]
    assert whole.headers["etag"] == streamed.headers["etag"]
    assert whole.body == streamed.body


def test_a_frame_that_cannot_be_made_ends_its_instance_in_the_same_place_always(
    run_server, make_instance, make_ct_samples, tmp_path, build_gate
) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    samples = make_ct_samples(12, 64)
    damaged = make_instance(folder / "a.dcm", "1.2.3.1.1", samples)
    make_instance(folder / "b.dcm", "1.2.3.1.2", make_ct_samples(1, 64))
    dataset = dcmread(damaged.path)
    frames = [
        imagecodecs.jpeg2k_encode(frame, level=0, codecformat="j2k", reversible=True)
        for frame in samples
    ]
    frames[10] = frames[10][:51] + bytes(60) + frames[10][111:]
    dataset.PixelData = encapsulate(frames)
    dataset["PixelData"].VR = "OB"
    dataset.file_meta.TransferSyntaxUID = JPEG2000Lossless
    dataset.save_as(damaged.path)
    path, answers = f"{SERIES}/progressive?order=in-order", []
    # Made alone, as long as nothing is known of the others; then with all of it known before.
    for store in ("early", "late"):
        with run_server(folder, tmp_path / store) as client, asked(client, path) as response:
            data = read_until(response, count=8)
            build_gate.allow(100)
            answers.append((response.headers["etag"], data + response.read()))
            after = client.get(path)
            assert after.headers["etag"] != response.headers["etag"]
    (etag, body), other = answers
    assert other == (etag, body)
    assert body[: body.rindex(b"left_out")].count(MARK) == 10
