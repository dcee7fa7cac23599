"""Answers of renditions that are not there yet: each is sent as soon as it is made."""

from __future__ import annotations

import http.client
import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import numpy as np
import pytest
from mersey.codecs.registry import Registry
from mersey.engine.transfer.progressive_reader import ProgressiveReader

RPCL = "1.2.840.10008.1.2.4.202"
STUDY = "/studies/1.2.3"
SERIES = f"{STUDY}/series/1.2.3.1"
SLICES = 5
MULTIPART = f'multipart/related; type="application/dicom"; transfer-syntax={RPCL}'


@pytest.fixture
def slices(tmp_path, run_server, make_instance, make_ct_samples, build_gate):
    """A server over a series of slices of which no rendition is there, or is made by itself."""
    folder = tmp_path / "files"
    folder.mkdir()
    for number in range(1, SLICES + 1):
        uid = f"1.2.3.1.{number}"
        make_instance(folder / f"{number}.dcm", uid, make_ct_samples(1, 64, number))
    with run_server(folder, tmp_path / "store") as client:
        yield client
        build_gate.allow(100)


@contextmanager
def asked(client, path: str, accept: str = "*/*") -> Iterator[http.client.HTTPResponse]:
    """The answer to one GET, to be read as it comes."""
    connection = http.client.HTTPConnection(urlsplit(client.address).netloc, timeout=30)
    try:
        connection.request("GET", f"/dicom-web{path}", headers={"Accept": accept})
        yield connection.getresponse()
    finally:
        connection.close()


def read_until(response: http.client.HTTPResponse, mark: bytes, *, count: int) -> bytes:
    """What comes until `mark` came so often; times out where it does not."""
    data = b""
    while data.count(mark) < count:
        piece = response.read1(65536)
        assert piece, "the answer ended"
        data += piece
    return data


def test_each_smallest_image_is_sent_when_its_rendition_is_there(slices, build_gate) -> None:
    build_gate.allow()
    with asked(slices, f"{SERIES}/progressive") as response:
        data = b""
        for number in range(1, SLICES + 1):
            data += read_until(response, b"Mersey-Reduction: ", count=1)
            assert build_gate.built == number
            build_gate.allow()
        assert not {"etag", "content-length"} & {name.lower() for name, _ in response.getheaders()}
        assert response.headers["accept-ranges"] == "none"
        data += response.read()
    # Middle out, as was asked for.
    found = re.findall(rb"Content-Location: instances/1\.2\.3\.1\.([0-9])/", data)
    assert b"".join(found[:SLICES]) == b"34251"
    after = slices.get(f"{SERIES}/progressive")
    assert after.headers["etag"]
    assert after.body == data


def test_whole_instances_are_sent_one_by_one_as_they_are_made(slices, build_gate) -> None:
    build_gate.allow()
    with asked(slices, SERIES, MULTIPART) as response:
        data = b""
        for number in range(1, SLICES + 1):
            data += read_until(response, b"DICM", count=1)
            assert build_gate.built == number
            build_gate.allow()
        data += response.read()
    after = slices.get(SERIES, MULTIPART)
    assert after.headers["etag"]
    assert after.body == data


def test_what_is_there_is_not_waited_for_and_comes_in_its_place(slices, build_gate) -> None:
    build_gate.allow(2)
    for number in (3, 4):
        assert slices.get(f"{SERIES}/instances/1.2.3.1.{number}/progressive").status == 200
    with asked(slices, f"{SERIES}/progressive") as response:
        read_until(response, b"Mersey-Reduction: ", count=2)
        assert build_gate.built == 2
        build_gate.allow(100)
        response.read()


def test_a_range_of_what_is_being_made_is_not_taken_out_of_it(slices, build_gate) -> None:
    head = slices.ask(f"/dicom-web{SERIES}/progressive", method="HEAD")
    assert head.status == 200
    assert not {"etag", "content-length", "content-range"} & set(head.headers)
    build_gate.allow(100)
    streamed = slices.get(f"{SERIES}/progressive", Range="bytes=700-")
    assert streamed.status == 200
    after = slices.get(f"{SERIES}/progressive", Range="bytes=700-")
    assert after.status == 206
    # Whoever goes on without a tag has the same bytes all the same.
    assert streamed.body[700:] == after.body


def test_of_many_frames_the_first_are_made_before_all_are(
    tmp_path, run_server, make_instance, make_ct_samples, build_gate
) -> None:
    (tmp_path / "files").mkdir()
    samples = make_ct_samples(12, 64)
    sample = make_instance(tmp_path / "files" / "a.dcm", "1.2.3.1.1", samples)
    with run_server(tmp_path / "files", tmp_path / "store") as client:
        with asked(client, f"{sample.url}/progressive") as response:
            data = read_until(response, b"Mersey-Reduction: ", count=6)
            assert build_gate.built == 0
            build_gate.allow()
            data += response.read()
            reader = ProgressiveReader(response.headers["content-type"])
        assert len(list(reader.feed(data))) > 12
        after = client.get(f"{sample.url}/progressive")
        assert after.headers["etag"]
        assert after.body == data
    pixels = reader.description.instances[0].pixels
    for index, expected in enumerate(samples):
        image = Registry.default().decoder(RPCL).decode(reader.prefix(index), pixels=pixels)
        assert np.array_equal(image, expected)


def test_an_instance_that_cannot_be_made_is_named_and_the_others_come(
    tmp_path, run_server, make_instance, make_ct_samples, samples, damage_codestream, build_gate
) -> None:
    build_gate.allow(100)
    folder = tmp_path / "files"
    folder.mkdir()
    make_instance(folder / "a.dcm", "1.2.3.1.1", make_ct_samples(1, 64, 1))
    shutil.copy(samples.j2k.path, folder / "z.dcm")
    damage_codestream(folder / "z.dcm")
    with run_server(folder, tmp_path / "store") as client:
        with asked(client, f"{SERIES}/progressive") as response:
            reader = ProgressiveReader(response.headers["content-type"])
            list(reader.feed(response.read()))
        assert reader.is_finished
        assert list(reader.left_out) == ["1.2.3.1.6"]
        assert reader.missing(until=0) == []
        # From now on it is known from the beginning.
        after = client.get(f"{SERIES}/progressive")
        assert after.headers["etag"]
        content = json.loads(after.body.partition(b"\r\n\r\n")[2].partition(b"\r\n--")[0])
        assert [row["uid"] for row in content["instances"]] == ["1.2.3.1.1"]
        assert [row["uid"] for row in content["left_out"]] == ["1.2.3.1.6"]


def test_where_nothing_can_be_made_that_is_told_with_a_status(
    tmp_path, run_server, samples, damage_codestream, build_gate
) -> None:
    build_gate.allow(100)
    (tmp_path / "files").mkdir()
    shutil.copy(samples.j2k.path, tmp_path / "files" / "z.dcm")
    damage_codestream(tmp_path / "files" / "z.dcm")
    with run_server(tmp_path / "files", tmp_path / "store") as client:
        for _ in range(2):
            answer = client.get(f"{SERIES}/progressive")
            assert answer.status == 406
            assert json.loads(answer.body)["message"]
