"""A study, a series or an instance as one resumable answer: multipart/related or a ZIP archive."""

from __future__ import annotations

import io
import json
import random
import re
import shutil
import subprocess
import urllib.request
import zipfile
import zlib
from contextlib import contextmanager
from pathlib import Path

import pytest
from mersey.engine.archive.directory_blobs import DirectoryBlobs
from mersey.engine.web import server
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

STUDY, SERIES = "/studies/1.2.3", "/studies/1.2.3/series/1.2.3.1"
ZIP = "application/zip"
MULTIPART = 'multipart/related; type="application/dicom"; transfer-syntax=*'
PROGRESSIVE = 'multipart/related; type="application/dicom"; transfer-syntax=1.2.840.10008.1.2.4.202'


def served_bytes(sample) -> bytes:
    data = sample.path.read_bytes()
    return bytes(128) + data[128:]


def whole(client, path, accept=ZIP, **headers):
    """The answer once it is a Body: the first one may have been streamed."""
    client.get(path, accept, **headers)
    answer = client.get(path, accept, **headers)
    assert answer.status == 200
    assert int(answer.headers["content-length"]) == len(answer.body)
    return answer


@contextmanager
def _serving(root: Path, run_server, make_instance, make_ct_samples):
    """A server over three explicit instances in two series, one with a preamble of its own."""
    folder = root / "files"
    folder.mkdir()
    samples = [
        make_instance(folder / "a.dcm", "1.2.3.1.1", make_ct_samples(1, 64, 1)),
        make_instance(folder / "b.dcm", "1.2.3.1.2", make_ct_samples(2, 48, 2)),
        make_instance(folder / "c.dcm", "1.2.3.2.3", make_ct_samples(1, 32, 3), series="1.2.3.2"),
    ]
    data = samples[0].path.read_bytes()
    samples[0].path.write_bytes(b"MZ" + b"\x90" * 126 + data[128:])
    with run_server(folder, root / "store") as client:
        yield client, samples


@pytest.fixture(scope="module")
def plain(tmp_path_factory, run_server, make_instance, make_ct_samples):
    """A server over three instances, whose renditions tests leave unbuilt."""
    root = tmp_path_factory.mktemp("plain")
    with _serving(root, run_server, make_instance, make_ct_samples) as served:
        yield served


@pytest.fixture
def own(tmp_path, run_server, make_instance, make_ct_samples):
    """The same, for one test alone."""
    with _serving(tmp_path, run_server, make_instance, make_ct_samples) as served:
        yield served


@pytest.mark.parametrize(
    ("path", "count"),
    [(STUDY, 3), (SERIES, 2), (f"{SERIES}/instances/1.2.3.1.1", 1)],
)
def test_an_archive_holds_what_is_served_of_each_instance(plain, path, count) -> None:
    client, samples = plain
    answer = client.get(path, ZIP)
    assert answer.status == 200
    assert answer.headers["content-type"] == ZIP
    name = path.rpartition("/")[2]
    assert answer.headers["content-disposition"] == f'attachment; filename="{name}.zip"'
    archive = zipfile.ZipFile(io.BytesIO(answer.body))
    assert archive.testzip() is None
    expected = [
        "1.2.3/1.2.3.1/00001_1.2.3.1.1.dcm",
        "1.2.3/1.2.3.1/00002_1.2.3.1.2.dcm",
        "1.2.3/1.2.3.2/00001_1.2.3.2.3.dcm",
    ]
    assert archive.namelist() == expected[:count]
    for name, sample in zip(archive.namelist(), samples, strict=False):
        assert archive.read(name) == served_bytes(sample)
        assert zlib.crc32(served_bytes(sample)) == archive.getinfo(name).CRC


def test_unzip_finds_nothing_wrong_with_it(plain, tmp_path) -> None:
    unzip = shutil.which("unzip")
    if unzip is None:
        pytest.skip("unzip is not installed here (.ci/run installs it)")
    client, _ = plain
    path = tmp_path / "study.zip"
    path.write_bytes(client.get(STUDY, ZIP).body)
    run = subprocess.run([unzip, "-t", str(path)], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout
    assert "No errors detected" in run.stdout


def test_the_accept_parameter_asks_for_an_archive_too(plain) -> None:
    client, _ = plain
    by_parameter = client.get(f"{STUDY}?accept=application%2Fzip", "text/html, */*")
    assert by_parameter.headers["content-type"] == ZIP
    assert by_parameter.body == client.get(STUDY, ZIP).body


def test_its_bytes_and_tag_stay_the_same_over_a_restart(
    tmp_path, run_server, make_instance, make_ct_samples
) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    make_instance(folder / "a.dcm", "1.2.3.1.1", make_ct_samples(2, 64))
    answers = []
    for _ in range(2):
        with run_server(folder, tmp_path / "store") as client:
            answers.append(client.get(STUDY, ZIP))
    assert answers[0].body == answers[1].body
    assert answers[0].headers["etag"] == answers[1].headers["etag"]


def test_head_tells_length_and_tag_without_reading_any_file(plain, monkeypatch) -> None:
    client, _ = plain

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("HEAD read a file")

    answer = whole(client, STUDY)
    monkeypatch.setattr("mersey.engine.web.responses.pieces", refuse)
    monkeypatch.setattr("mersey.engine.web.served_digests.ServedDigests.all_crc32", refuse)
    for accept in (ZIP, MULTIPART):
        head = client.ask(f"/dicom-web{STUDY}", method="HEAD", headers={"Accept": accept})
        assert head.status == 200
        assert head.body == b""
        if accept == ZIP:
            assert head.headers["content-length"] == answer.headers["content-length"]
            assert head.headers["etag"] == answer.headers["etag"]
            assert head.headers["accept-ranges"] == "bytes"


@pytest.mark.parametrize("accept", [ZIP, MULTIPART])
@pytest.mark.parametrize("field", ["bytes=0-0", "bytes=100-9999", "bytes=-500", "bytes=7000-"])
def test_any_part_of_a_study_can_be_had(plain, accept, field) -> None:
    client, _ = plain
    answer = whole(client, STUDY, accept)
    part = client.get(STUDY, accept, Range=field, If_Range=answer.headers["etag"])
    first, last = re.fullmatch(r"bytes=(\d*)-(\d*)", field).groups()
    total = len(answer.body)
    start = int(first) if first else total - int(last)
    stop = min(int(last) + 1, total) if first and last else total
    assert part.status == 206
    assert part.headers["content-range"] == f"bytes {start}-{stop - 1}/{total}"
    assert part.body == answer.body[start:stop]


@pytest.mark.parametrize("accept", [ZIP, MULTIPART])
def test_several_parts_come_as_byteranges(plain, accept) -> None:
    client, _ = plain
    answer = whole(client, STUDY, accept)
    parts = client.get(STUDY, accept, Range="bytes=5000-5099,10-19,-7")
    assert parts.status == 206
    boundary = parts.headers["content-type"].partition("boundary=")[2]
    assert parts.headers["content-type"].startswith("multipart/byteranges")
    pieces = parts.body.split(f"--{boundary}".encode())[1:-1]
    found = [piece.partition(b"\r\n\r\n")[2][:-2] for piece in pieces]
    body = answer.body
    assert found == [body[5000:5100], body[10:20], body[-7:]]
    joined = client.get(STUDY, accept, Range="bytes=0-99,50-149")
    assert joined.body == body[:150]


@pytest.mark.parametrize("accept", [ZIP, MULTIPART])
@pytest.mark.parametrize(
    "field",
    [
        "bytes=99999999-",
        "bytes=200-100",
        "bytes=" + ",".join(f"{n}-{n}" for n in range(0, 9000, 3)),
    ],
    ids=["beyond", "inverted", "thousands"],
)
def test_ranges_that_cannot_be_had_are_refused_with_the_length(plain, accept, field) -> None:
    client, _ = plain
    total = len(whole(client, STUDY, accept).body)
    answer = client.get(STUDY, accept, Range=field)
    assert answer.status == 416
    assert answer.headers["content-range"] == f"bytes */{total}"
    assert answer.body == b""


def test_preconditions_go_by_the_tag_of_the_study(plain) -> None:
    client, _ = plain
    etag = whole(client, STUDY).headers["etag"]
    assert client.get(STUDY, ZIP, If_None_Match=etag).status == 304
    assert client.get(STUDY, ZIP, If_Match=etag).status == 200
    assert client.get(STUDY, ZIP, If_Match='"another"').status == 412
    resumed = client.get(STUDY, ZIP, Range="bytes=10-", If_Range='"another"')
    assert resumed.status == 200
    assert client.get(STUDY, MULTIPART).headers["etag"] != etag


def test_where_the_study_changes_the_tag_does_and_nothing_is_mixed(
    own, make_instance, make_ct_samples
) -> None:
    client, samples = own
    before = whole(client, STUDY)
    new = make_instance(client.folder.parent / "new.dcm", "1.2.3.1.2", make_ct_samples(2, 48, 99))
    new.path.replace(samples[1].path)
    etag = before.headers["etag"]
    resumed = client.get(STUDY, ZIP, Range="bytes=5000-", If_Range=etag)
    assert resumed.status == 200
    assert resumed.headers["etag"] != etag
    archive = zipfile.ZipFile(io.BytesIO(resumed.body))
    assert archive.testzip() is None
    assert archive.read("1.2.3/1.2.3.1/00002_1.2.3.1.2.dcm") == samples[1].path.read_bytes()
    assert client.get(STUDY, ZIP, Range="bytes=5000-", If_Match=etag).status == 412


def test_the_crc_of_a_file_in_place_is_made_once(own, monkeypatch) -> None:
    client, _ = own
    first = client.get(STUDY, ZIP)

    def refuse(*_: object) -> None:
        raise AssertionError("a file was read for its CRC again")

    monkeypatch.setattr("mersey.engine.web.served_digests.ServedDigests._of_file", refuse)
    assert client.get(STUDY, ZIP).body == first.body


def test_an_archive_never_holds_what_is_not_for_the_web(client) -> None:
    archive = zipfile.ZipFile(io.BytesIO(whole(client, STUDY).body))
    assert archive.testzip() is None
    for name in archive.namelist():
        syntax = dcmread(io.BytesIO(archive.read(name))).file_meta.TransferSyntaxUID
        assert not syntax.is_implicit_VR
        assert syntax.is_little_endian


def test_an_archive_can_be_had_in_another_transfer_syntax(client, samples) -> None:
    accept = f"{ZIP}; transfer-syntax=1.2.840.10008.1.2.4.202"
    path = samples.ct.url
    archive = zipfile.ZipFile(io.BytesIO(client.get(path, accept).body))
    (name,) = archive.namelist()
    found = dcmread(io.BytesIO(archive.read(name)))
    assert found.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.4.202"
    assert found.SOPInstanceUID == "1.2.3.1.1"


@pytest.mark.parametrize("accept", [PROGRESSIVE, f"{ZIP}; transfer-syntax=1.2.840.10008.1.2.4.202"])
def test_what_has_to_be_made_is_streamed_and_is_a_body_from_then_on(own, accept) -> None:
    client, _ = own
    head = client.ask(f"/dicom-web{STUDY}", method="HEAD", headers={"Accept": accept})
    assert head.status == 200
    assert "content-length" not in head.headers
    streamed = client.get(STUDY, accept)
    assert streamed.status == 200
    assert streamed.headers["transfer-encoding"] == "chunked"
    assert "content-length" not in streamed.headers
    after = client.get(STUDY, accept)
    assert after.headers["accept-ranges"] == streamed.headers["accept-ranges"] == "bytes"
    assert after.headers["etag"] == streamed.headers["etag"] == head.headers["etag"]
    assert int(after.headers["content-length"]) == len(after.body)
    assert streamed.body == after.body
    assert client.get(STUDY, accept, Range="bytes=100-199").body == after.body[100:200]


def test_the_stream_holds_to_preconditions_on_what_it_will_be(own) -> None:
    client, _ = own
    assert client.get(STUDY, PROGRESSIVE, If_Match='"another"').status == 412
    streamed = client.get(STUDY, PROGRESSIVE, Range="bytes=5-", If_Range='"another"')
    assert streamed.status == 200
    etag = client.get(STUDY, PROGRESSIVE).headers["etag"]
    assert streamed.headers["etag"] == etag
    assert client.get(STUDY, PROGRESSIVE, If_None_Match=etag).status == 304


def test_what_cannot_be_made_cuts_the_stream_where_it_is_met(
    tmp_path, run_server, make_instance, make_ct_samples, samples, damage_codestream
) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    good = make_instance(folder / "a.dcm", "1.2.3.1.1", make_ct_samples(1, 64, 1))
    shutil.copy(samples.j2k.path, folder / "z.dcm")
    damage_codestream(folder / "z.dcm")
    with run_server(folder, tmp_path / "store") as client:
        with pytest.raises(Exception) as cut:  # noqa: PT011  http.client has several
            client.get(STUDY, PROGRESSIVE)
        assert type(cut.value).__name__ in ("IncompleteRead", "ConnectionResetError")
        # It is known by now, and told with a status.
        again = client.get(STUDY, PROGRESSIVE)
        assert again.status >= 400
        assert json.loads(again.body)["message"]
        assert client.get(good.url, "application/dicom").status == 200


def test_a_study_that_has_no_archive_is_not_found(plain) -> None:
    client, _ = plain
    assert client.get("/studies/9.9.9", ZIP).status == 404
    assert client.get("/studies/..", ZIP).status == 404
    assert client.get(STUDY, "application/zip; transfer-syntax=1.2.3").status == 406


def test_what_is_elsewhere_and_not_for_the_web_is_rewritten_from_a_copy(
    tmp_path, run_server, monkeypatch
) -> None:
    class Elsewhere(DirectoryBlobs):
        """A store whose blobs are no local files."""

        def path_of(self, key: str) -> None:
            return None

    monkeypatch.setattr(server, "open_blobs", lambda _, *, local: Elsewhere(local))
    raw = Dataset()
    raw.SOPClassUID = "1.2.840.10008.5.1.4.1.1.66"
    raw.SOPInstanceUID = "1.2.7.1.1"
    raw.StudyInstanceUID, raw.SeriesInstanceUID = "1.2.7", "1.2.7.1"
    raw.add_new(0x00291010, "OB", random.Random(1).randbytes(20_000))  # is not compressed
    raw.file_meta = FileMetaDataset()
    raw.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    path = tmp_path / "raw.dcm"
    raw.save_as(path, implicit_vr=True, little_endian=True, enforce_file_format=True)
    (tmp_path / "files").mkdir()
    with run_server(tmp_path / "files", tmp_path / "store") as client:
        request = urllib.request.Request(
            f"{client.address}/dicom-web/studies",
            data=path.read_bytes(),
            headers={"Content-Type": "application/dicom"},
        )
        with urllib.request.urlopen(request, timeout=240) as stored:
            assert stored.status == 200
        assert list((tmp_path / "store" / "blobs").rglob("*.dcm"))
        archive = zipfile.ZipFile(io.BytesIO(client.get("/studies/1.2.7", ZIP).body))
    (name,) = archive.namelist()
    found = dcmread(io.BytesIO(archive.read(name)))
    assert found.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert found[0x00291010].value == raw[0x00291010].value
