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
from mersey.engine.transfer.live_range import LIVE_END, live_range
from mersey.engine.transfer.progressive_reader import ProgressiveReader

RPCL = "1.2.840.10008.1.2.4.202"
STUDY = "/studies/1.2.3"
SERIES = f"{STUDY}/series/1.2.3.1"
SLICES = 5
MULTIPART = f'multipart/related; type="application/dicom"; transfer-syntax={RPCL}'

WHOLES = {
    "progressive": (f"{SERIES}/progressive", "*/*"),
    "multipart": (SERIES, MULTIPART),
    "zip": (STUDY, f"application/zip; transfer-syntax={RPCL}"),
}


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
def asked(
    client, path: str, accept: str = "*/*", **headers: str
) -> Iterator[http.client.HTTPResponse]:
    """The answer to one GET, to be read as it comes."""
    connection = http.client.HTTPConnection(urlsplit(client.address).netloc, timeout=240)
    try:
        connection.request("GET", f"/dicom-web{path}", headers={"Accept": accept, **headers})
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
        assert "content-length" not in response.headers
        assert response.headers["accept-ranges"] == "bytes"
        data += response.read()
    # Middle out, as was asked for.
    found = re.findall(rb"Content-Location: instances/1\.2\.3\.1\.([0-9])/", data)
    assert b"".join(found[:SLICES]) == b"34251"
    after = slices.get(f"{SERIES}/progressive")
    assert after.headers["etag"] == response.headers["etag"]
    assert int(after.headers["content-length"]) == len(after.body)
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
    assert after.headers["etag"] == response.headers["etag"]
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


@pytest.mark.parametrize("whole", ["progressive", "multipart", "zip"])
def test_what_broke_goes_on_as_it_comes_under_the_same_tag(slices, build_gate, whole) -> None:
    path, accept = WHOLES[whole]
    build_gate.allow(2)
    with asked(slices, path, accept) as response:
        etag = response.headers["etag"]
        data = response.read(700)
    going_on = {"Range": live_range(len(data)), "If-Range": etag}
    with asked(slices, path, accept, **going_on) as response:
        assert response.status == 206
        assert response.headers["etag"] == etag
        assert response.headers["content-range"] == f"bytes {len(data)}-{LIVE_END}/*"
        data += response.read1()
        assert build_gate.built < SLICES
        build_gate.allow(100)
        data += response.read()
    after = slices.get(path, accept)
    assert (after.headers["etag"], after.body) == (etag, data)
    rest = slices.get(path, accept, Range=live_range(700), If_Range=etag)
    assert rest.headers["content-range"] == f"bytes 700-{len(data) - 1}/{len(data)}"
    assert rest.body == data[700:]


@pytest.mark.parametrize(
    ("whole", "field", "span"),
    [("progressive", "700-", (700, None)), ("zip", "9-99", (9, 100)), ("zip", "700-", (700, None))],
)
def test_a_range_with_an_end_waits_until_the_length_is_known(
    slices, build_gate, whole, field, span
) -> None:
    path, accept = WHOLES[whole]
    build_gate.allow(100)
    part = slices.get(path, accept, Range=f"bytes={field}")
    assert build_gate.built == SLICES
    after = slices.get(path, accept)
    start, stop = span[0], span[1] or len(after.body)
    assert part.status == 206
    assert part.headers["etag"] == after.headers["etag"]
    assert part.headers["content-range"] == f"bytes {start}-{stop - 1}/{len(after.body)}"
    assert part.body == after.body[start:stop]


def test_nothing_of_another_tag_is_gone_on_with(slices, build_gate) -> None:
    build_gate.allow(100)
    answer = slices.get(f"{SERIES}/progressive", Range=live_range(700), If_Range='"another"')
    assert answer.status == 200
    assert answer.body == slices.get(f"{SERIES}/progressive").body


@pytest.mark.parametrize("field", [live_range(10**9), "bytes=1000000000-"])
def test_a_range_behind_the_end_of_what_is_being_made_is_told_where_that_is(
    slices, build_gate, field
) -> None:
    build_gate.allow(100)
    answer = slices.get(f"{SERIES}/progressive", Range=field)
    length = len(slices.get(f"{SERIES}/progressive").body)
    assert (answer.status, answer.body) == (416, b"")
    assert answer.headers["content-range"] == f"bytes */{length}"


def test_a_range_that_selects_all_is_sent_as_it_comes(slices, build_gate) -> None:
    build_gate.allow()
    with asked(slices, f"{SERIES}/progressive", Range="bytes=0-") as response:
        assert response.status == 200
        data = read_until(response, b"Mersey-Reduction: ", count=1)
        assert build_gate.built == 1
        build_gate.allow(100)
        data += response.read()
    assert data == slices.get(f"{SERIES}/progressive").body


def test_its_head_tells_the_tag_and_no_length(slices, build_gate) -> None:
    head = slices.ask(f"/dicom-web{SERIES}/progressive", method="HEAD")
    assert head.status == 200
    assert not {"content-length", "content-range"} & set(head.headers)
    assert build_gate.built == 0
    build_gate.allow(100)
    after = slices.get(f"{SERIES}/progressive")
    assert after.headers["etag"] == head.headers["etag"]
    known = slices.get(f"{SERIES}/progressive", If_None_Match=head.headers["etag"])
    assert known.status == 304


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
        assert after.headers["etag"] == response.headers["etag"]
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
        assert after.headers["etag"] != response.headers["etag"]
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
