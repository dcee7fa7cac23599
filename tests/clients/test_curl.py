"""curl as a user has it: search, metadata, frames, ranges, resumption."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import imagecodecs
import numpy as np
import openjpeg
import pytest
from mersey.codecs.codestream import scan_codestream
from pydicom import dcmread

from .serving import Server

if TYPE_CHECKING:
    from sample_study import SampleStudy

pytestmark = pytest.mark.long

JPHC = "Accept: image/jphc; transfer-syntax=1.2.840.10008.1.2.4.202"
ACCEPT_FILE = "Accept: application/dicom; transfer-syntax=*"


@dataclass(frozen=True, slots=True)
class Answer:
    """What curl printed of the last response, and what it saved."""

    code: int
    status: int
    headers: dict[str, str]
    body: bytes


type Curl = Callable[..., Answer]


@pytest.fixture
def ask(curl: str, tmp_path: Path) -> Curl:
    """Run curl with the words given; the body is saved to a file, which may be there already."""
    saved = tmp_path / "saved"

    def run(url: str, *words: str) -> Answer:
        shown = tmp_path / "headers"
        run = subprocess.run(
            [curl, "-s", "-g", "-D", str(shown), "-o", str(saved), *words, url],
            capture_output=True,
            timeout=240,
            check=False,
        )
        head = shown.read_bytes().decode("latin-1").split("\r\n\r\n")[-2]
        lines = head.split("\r\n")
        fields = dict(re.split(r":\s*", line, maxsplit=1) for line in lines[1:])
        headers = {name.lower(): value for name, value in fields.items()}
        body = saved.read_bytes() if saved.exists() else b""
        return Answer(run.returncode, int(lines[0].split()[1]), headers, body)

    return run


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """Where `ask` saves bodies."""
    return tmp_path / "saved"


def instance_url(server: Server, path: Path) -> str:
    dataset = dcmread(path, stop_before_pixels=True)
    return (
        f"{server.root}/studies/{dataset.StudyInstanceUID}/series/{dataset.SeriesInstanceUID}"
        f"/instances/{dataset.SOPInstanceUID}"
    )


def halved(codestream: bytes, times: int) -> np.ndarray:
    """What OpenJPEG makes of a codestream or of its beginning."""
    return imagecodecs.jpeg2k_decode(codestream, skipres=times)


def test_a_search_finds_the_study_by_wildcard_and_date(
    ask: Curl, server: Server, study: SampleStudy
) -> None:
    answer = ask(f"{server.root}/studies?PatientName=phan*&StudyDate=20260101-20260131&limit=5")
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/dicom+json"
    (found,) = json.loads(answer.body)
    assert found["0020000D"]["Value"] == [study.study_instance_uid]
    assert json.loads(ask(f"{server.root}/studies?PatientName=nobody").body) == []


def test_metadata_has_the_attributes_and_refers_to_the_pixels(
    ask: Curl, server: Server, study: SampleStudy
) -> None:
    url = instance_url(server, study.ct_series[0])
    (dataset,) = json.loads(ask(f"{url}/metadata", "-H", "Accept: application/dicom+json").body)
    assert dataset["00280030"]["Value"] == [0.78125, 0.78125]
    assert dataset["7FE00010"]["BulkDataURI"].startswith(url)
    assert not any(tag.startswith("0002") for tag in dataset)


def test_a_frame_is_the_source_to_another_decoder(
    ask: Curl, server: Server, study: SampleStudy
) -> None:
    answer = ask(f"{instance_url(server, study.enhanced_ct)}/frames/4", "-H", JPHC)
    assert answer.status == 200
    found = openjpeg.decode(answer.body)
    np.testing.assert_array_equal(found, dcmread(study.enhanced_ct).pixel_array[3])


def test_a_range_up_to_a_cut_point_is_a_whole_smaller_image(
    ask: Curl, server: Server, study: SampleStudy
) -> None:
    url = f"{instance_url(server, study.ct_series[3])}/frames/1"
    whole = ask(url, "-H", JPHC).body
    points = scan_codestream(whole).cut_points
    assert points is not None
    for times in (1, 2, 3, 4):
        answer = ask(url, "-H", JPHC, "-r", f"0-{points[times] - 1}")
        assert answer.status == 206
        assert answer.headers["content-range"] == f"bytes 0-{points[times] - 1}/{len(whole)}"
        assert len(answer.body) == points[times] < len(whole) / 2
        found = halved(answer.body + b"\xff\xd9", times)
        assert found.shape == (512 >> times, 512 >> times)
        np.testing.assert_array_equal(found, halved(whole, times))


@pytest.mark.parametrize("fsiz", ["100,100", "128x128"])
def test_fsiz_gets_the_smallest_image_that_covers_it(
    ask: Curl, server: Server, study: SampleStudy, fsiz: str
) -> None:
    url = f"{instance_url(server, study.ct_series[3])}/frames/1"
    answer = ask(f"{url}?fsiz={fsiz}", "-H", JPHC)
    assert (answer.status, answer.headers["x-decode-level"]) == (200, "2")
    whole = ask(url, "-H", JPHC).body
    assert len(answer.body) < len(whole) / 5
    np.testing.assert_array_equal(openjpeg.decode(answer.body), halved(whole, 2))


def test_if_range_continues_the_same_frame_and_begins_another_anew(
    ask: Curl, server: Server, study: SampleStudy
) -> None:
    url = f"{instance_url(server, study.ct_series[0])}/frames/1"
    whole = ask(url, "-H", JPHC)
    tag = whole.headers["etag"]
    rest = ask(url, "-H", JPHC, "-r", "5000-", "-H", f"If-Range: {tag}")
    assert (rest.status, rest.body) == (206, whole.body[5000:])
    anew = ask(url, "-H", JPHC, "-r", "5000-", "-H", 'If-Range: "other"')
    assert (anew.status, anew.body) == (200, whole.body)


@pytest.mark.parametrize("rest", ["/frames/1", ""])
def test_a_download_that_was_cut_goes_on(
    ask: Curl, server: Server, study: SampleStudy, saved: Path, rest: str
) -> None:
    accept = JPHC if rest else ACCEPT_FILE
    url = instance_url(server, study.ct_series[1]) + rest
    whole = ask(url, "-H", accept)
    cut = len(whole.body) // 3
    for restart in (False, True):
        saved.write_bytes(whole.body[:cut])
        if restart:
            server.restart()
        answer = ask(url, "-H", accept, "-C", "-")
        assert (answer.code, answer.status) == (0, 206)
        total = len(whole.body)
        assert answer.headers["content-range"] == f"bytes {cut}-{total - 1}/{total}"
        assert answer.headers["etag"] == whole.headers["etag"]
        assert answer.body == whole.body


@contextmanager
def breaking(server: Server, *, after_bytes: int) -> Iterator[str]:
    """A way to the server on which one connection breaks after so many bytes of answers."""
    port = int(server.address.rpartition(":")[2])

    def relay() -> None:
        near, _ = listener.accept()
        with near, socket.create_connection(("127.0.0.1", port)) as far:
            far.sendall(near.recv(65536))
            left = after_bytes
            while left > 0 and (piece := far.recv(min(left, 65536))):
                near.sendall(piece)
                left -= len(piece)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=relay)
        thread.start()
        try:
            yield f"127.0.0.1:{port}:127.0.0.1:{listener.getsockname()[1]}"
        finally:
            thread.join()


def test_a_connection_that_breaks_loses_nothing_that_came(
    ask: Curl, server: Server, study: SampleStudy, saved: Path
) -> None:
    url = instance_url(server, study.us_cine)
    whole = ask(url, "-H", ACCEPT_FILE).body
    saved.unlink()
    with breaking(server, after_bytes=1_000_000) as way:
        broken = ask(url, "-H", ACCEPT_FILE, "--connect-to", way)
    assert broken.code == 18  # curl's: closed with outstanding read data remaining
    assert 900_000 < len(broken.body) < len(whole)
    assert whole.startswith(broken.body)
    answer = ask(url, "-H", ACCEPT_FILE, "-C", "-")
    assert (answer.code, answer.status, answer.body) == (0, 206, whole)


def test_a_download_that_is_complete_already_is_refused_without_harm(
    ask: Curl, server: Server, study: SampleStudy
) -> None:
    url = f"{instance_url(server, study.ct_series[1])}/frames/1"
    whole = ask(url, "-H", JPHC).body
    answer = ask(url, "-H", JPHC, "-C", "-")
    assert answer.status == 416
    assert answer.headers["content-range"] == f"bytes */{len(whole)}"
    assert answer.body == whole


def test_head_tells_the_size_without_the_frame(
    ask: Curl, server: Server, study: SampleStudy
) -> None:
    url = f"{instance_url(server, study.ct_series[0])}/frames/1"
    whole = ask(url, "-H", JPHC)
    head = ask(url, "-H", JPHC, "-I")
    assert head.status == 200
    for name in ("content-length", "content-type", "etag", "accept-ranges"):
        assert head.headers[name] == whole.headers[name]
    assert int(head.headers["content-length"]) == len(whole.body)


def test_compression_that_curl_offers_is_not_taken_for_frames(
    ask: Curl, server: Server, study: SampleStudy
) -> None:
    url = f"{instance_url(server, study.ct_series[0])}/frames/1"
    answer = ask(url, "-H", JPHC, "--compressed")
    assert "content-encoding" not in answer.headers
    assert int(answer.headers["content-length"]) == len(answer.body)


def test_a_study_comes_whole_and_every_file_in_it_is_readable(
    ask: Curl, progressive: Server, study: SampleStudy, tmp_path: Path
) -> None:
    accept = 'Accept: multipart/related; type="application/dicom"; transfer-syntax=*'
    answer = ask(f"{progressive.root}/studies/{study.study_instance_uid}", "-H", accept)
    boundary = answer.headers["content-type"].partition("boundary=")[2].encode()
    parts = answer.body.split(b"--" + boundary)[1:-1]
    assert len(parts) == len(study.files)
    found = set()
    for part in parts:
        path = tmp_path / "part.dcm"
        path.write_bytes(part.partition(b"\r\n\r\n")[2][:-2])
        dataset = dcmread(path)
        assert dataset.pixel_array.size
        found.add(dataset.SOPInstanceUID)
    wanted = {dcmread(path, stop_before_pixels=True).SOPInstanceUID for path in study.files}
    assert found == wanted
