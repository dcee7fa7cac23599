"""tus 1.0 as its clients speak it, and as they should not."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from .tus_client import STREAM, Tus, begun_append, checksum, metadata
from .uploading import broken_file, multipart, raw_file, stored_uids

MAX_BYTES = 64 << 20


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="module")
def tus(run_server, store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tus]:
    empty = tmp_path_factory.mktemp("empty")
    with run_server(empty, store, max_upload_bytes=MAX_BYTES) as client:
        yield Tus(client.address)


def test_the_server_says_what_it_can(tus: Tus) -> None:
    reply = tus.ask("OPTIONS", "/uploads")
    assert reply.status == 204
    assert reply.headers["tus-version"] == "1.0.0"
    assert reply.headers["tus-max-size"] == str(MAX_BYTES)
    assert set(reply.headers["tus-extension"].split(",")) >= {
        "creation",
        "creation-with-upload",
        "creation-defer-length",
        "expiration",
        "checksum",
        "termination",
        "concatenation",
    }
    assert reply.headers["tus-checksum-algorithm"] == "sha256,sha1,crc32"


def test_pages_of_others_may_upload(tus: Tus) -> None:
    preflight = {"Access_Control_Request_Method": "PATCH", "Origin": "http://elsewhere"}
    reply = tus.ask("OPTIONS", "/uploads", **preflight)
    assert {"PATCH", "DELETE", "HEAD"} <= set(
        reply.headers["access-control-allow-methods"].split(", ")
    )
    allowed = reply.headers["access-control-allow-headers"].lower()
    for name in ("tus-resumable", "upload-offset", "upload-metadata", "upload-checksum"):
        assert name in allowed
    exposed = tus.create(5, Origin="http://elsewhere").headers["access-control-expose-headers"]
    assert {"Location", "Upload-Offset", "Upload-Length"} <= set(exposed.split(", "))


def test_a_file_comes_in_pieces_and_is_stored(tus: Tus) -> None:
    data = raw_file("1.2.3.1.1")
    begun = tus.create(len(data), Upload_Metadata=metadata(filename="a.dcm"))
    assert (begun.status, begun.offset) == (201, 0)
    assert begun.headers["location"].startswith(f"{tus.address}/uploads/")
    assert begun.headers["upload-expires"].endswith("GMT")
    first = tus.patch(begun.name, 0, data[:500])
    assert (first.status, first.offset, first.body) == (204, 500, b"")
    assert first.headers["tus-resumable"] == "1.0.0"
    head = tus.head(begun.name)
    assert (head.status, head.offset) == (200, 500)
    assert head.headers["upload-length"] == str(len(data))
    assert head.headers["upload-metadata"] == metadata(filename="a.dcm")
    assert head.headers["cache-control"] == "no-store"
    last = tus.patch(begun.name, 500, data[500:])
    assert (last.status, last.offset) == (204, len(data))
    told = tus.ask("GET", begun.name)
    assert told.status == 200
    assert told.headers["content-type"] == "application/dicom+json"
    assert stored_uids(told) == ["1.2.3.1.1"]
    found = tus.ask("GET", "/dicom-web/instances?SOPInstanceUID=1.2.3.1.1")
    assert len(found.json()) == 1
    assert tus.head(begun.name).offset == len(data)


def test_who_accepts_the_store_response_gets_it_with_the_last_bytes(tus: Tus) -> None:
    data = raw_file("1.2.3.1.2")
    begun = tus.create(len(data))
    last = tus.patch(begun.name, 0, data, Accept="application/dicom+json")
    assert last.status == 200
    assert stored_uids(last) == ["1.2.3.1.2"]
    again = tus.patch(begun.name, len(data), b"", Accept="application/dicom+json")
    assert (again.status, again.body) == (200, last.body)


def test_an_upload_begins_with_its_bytes(tus: Tus) -> None:
    data = raw_file("1.2.3.1.3")
    begun = tus.create(len(data), data[:700])
    assert (begun.status, begun.offset) == (201, 700)
    assert tus.patch(begun.name, 700, data[700:]).status == 204
    whole = tus.create(len(data), data)
    assert (whole.status, whole.offset) == (201, len(data))
    assert stored_uids(whole) == ["1.2.3.1.3"]


def test_the_length_may_come_later(tus: Tus) -> None:
    data = raw_file("1.2.3.1.4")
    begun = tus.create(None)
    assert tus.patch(begun.name, 0, data[:100]).status == 204
    head = tus.head(begun.name)
    assert head.headers["upload-defer-length"] == "1"
    assert "upload-length" not in head.headers
    last = tus.patch(begun.name, 100, data[100:], Upload_Length=str(len(data)))
    assert last.status == 204
    assert stored_uids(tus.ask("GET", begun.name)) == ["1.2.3.1.4"]


def test_a_whole_store_request_may_be_uploaded(tus: Tus) -> None:
    kind, body = multipart(raw_file("1.2.3.1.5"), raw_file("1.2.3.1.6"))
    begun = tus.create(len(body), Upload_Metadata=metadata(filetype=kind))
    for start in range(0, len(body), 900):
        reply = tus.patch(begun.name, start, body[start : start + 900])
        assert reply.status == 204
    assert stored_uids(tus.ask("GET", begun.name)) == ["1.2.3.1.5", "1.2.3.1.6"]


def test_an_upload_may_name_the_study_it_belongs_to(tus: Tus) -> None:
    data = raw_file("1.2.3.1.7")
    for study, status in (("1.2.3", 201), ("1.2.4", 422), ("no uid", 400)):
        begun = tus.create(len(data), data, Upload_Metadata=metadata(StudyInstanceUID=study))
        assert begun.status in (status, 404 if study == "no uid" else status)


def test_what_is_refused_is_not_tried_again_by_clients(tus: Tus) -> None:
    data = broken_file("1.2.9.1")
    begun = tus.create(len(data))
    last = tus.patch(begun.name, 0, data)
    assert last.status == 422
    assert "0008119A" in last.json() or "00081198" in last.json()
    head = tus.head(begun.name)
    assert head.status == 422
    assert "upload-offset" not in head.headers
    assert tus.ask("GET", begun.name).status == 409


def test_uploads_are_made_of_parts_in_their_order(tus: Tus) -> None:
    data = raw_file("1.2.3.1.8", size_bytes=5000)
    pieces = [data[:1000], data[1000:3000], data[3000:]]
    parts = [tus.create(len(piece), Upload_Concat="partial") for piece in pieces]
    early = tus.say("POST", "/uploads", Upload_Concat=f"final;{parts[0].name}")
    assert early.status == 400
    for part, piece in reversed(list(zip(parts, pieces, strict=True))):
        assert tus.patch(part.name, 0, piece).status == 204
    assert tus.head(parts[0].name).headers["upload-concat"] == "partial"
    urls = " ".join([parts[0].name, *(part.headers["location"] for part in parts[1:])])
    final = tus.say("POST", "/uploads", Upload_Concat=f"final;{urls}")
    assert (final.status, stored_uids(final)) == (201, ["1.2.3.1.8"])
    head = tus.head(final.name)
    assert head.offset == len(data)
    assert head.headers["upload-concat"].startswith("final;http")
    assert tus.patch(final.name, len(data), b"more").status == 403
    assert tus.head(parts[0].name).status == 404


@pytest.mark.parametrize("algorithm", ["sha256", "sha1", "crc32"])
def test_bytes_with_another_checksum_are_not_kept(tus: Tus, algorithm: str) -> None:
    begun = tus.create(20)
    assert tus.patch(begun.name, 0, b"right").status == 204
    wrong = tus.patch(begun.name, 5, b"wrong", Upload_Checksum=checksum(algorithm, b"right"))
    assert wrong.status == 460
    assert tus.head(begun.name).offset == 5
    right = tus.patch(begun.name, 5, b"right", Upload_Checksum=checksum(algorithm, b"right"))
    assert (right.status, right.offset) == (204, 10)


def test_what_a_checksum_speaks_for_is_kept_whole_or_not_at_all(tus: Tus) -> None:
    begun = tus.create(2000)
    said = {"Upload_Offset": "0", "Content_Type": STREAM, "Tus_Resumable": "1.0.0"}
    said["Upload_Checksum"] = checksum("sha1", bytes(2000))
    with tus.begun("PATCH", begun.name, bytes(1000), length_bytes=2000, **said):
        pass
    assert tus.head(begun.name).offset == 0


def test_what_came_before_the_connection_broke_is_kept(tus: Tus) -> None:
    data = raw_file("1.2.3.1.9", size_bytes=300_000)
    begun = tus.create(len(data))
    said = {"Upload_Offset": "0", "Content_Type": STREAM, "Tus_Resumable": "1.0.0"}
    with tus.begun("PATCH", begun.name, data[:200_000], length_bytes=len(data), **said):
        pass
    offset = tus.head(begun.name).offset
    assert offset <= 200_000
    assert tus.patch(begun.name, offset, data[offset:]).status == 204
    assert stored_uids(tus.ask("GET", begun.name)) == ["1.2.3.1.9"]


def test_of_two_appends_one_wins(tus: Tus) -> None:
    begun = tus.create(3000)
    with begun_append(tus, begun.name) as link:
        for _ in range(5):
            assert tus.patch(begun.name, 0, b"x").status == 423
        link.sendall(bytes(1000))
        assert b" 204 " in link.recv(65536).partition(b"\r\n")[0]
    assert tus.head(begun.name).offset == 2000


def test_a_client_that_comes_back_ends_the_connection_it_lost(tus: Tus) -> None:
    begun = tus.create(3000)
    with begun_append(tus, begun.name) as link:
        offset = tus.head(begun.name).offset
        assert offset in (0, 1000)
        assert b" 423 " in link.recv(65536).partition(b"\r\n")[0]
        assert tus.patch(begun.name, offset, bytes(1000)).offset == offset + 1000


def test_an_upload_can_be_given_up_while_it_comes(tus: Tus, store: Path) -> None:
    begun = tus.create(2000)
    with begun_append(tus, begun.name):
        assert tus.say("DELETE", begun.name).status == 204
    for method in ("HEAD", "DELETE"):
        assert tus.say(method, begun.name).status == 404
    assert not (store / "uploads" / begun.name.rpartition("/")[2]).exists()


def test_what_expired_is_gone(tus: Tus, store: Path) -> None:
    begun = tus.create(2000)
    journal = store / "uploads" / begun.name.rpartition("/")[2] / "journal"
    os.utime(journal, (0, 10**9))
    assert tus.head(begun.name).status == 410
    assert tus.patch(begun.name, 0, b"x").status == 410


def test_methods_may_hide_in_a_post(tus: Tus) -> None:
    begun = tus.create(10)
    said = {"Upload_Offset": "0", "Content_Type": STREAM}
    patched = tus.say("POST", begun.name, b"12345", X_HTTP_Method_Override="PATCH", **said)
    assert (patched.status, patched.offset) == (204, 5)
    assert tus.say("POST", begun.name, X_HTTP_Method_Override="DELETE").status == 204
    assert tus.head(begun.name).status == 404


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"Tus_Resumable": "0.2.2", "Upload_Length": "5"}, 412),
        ({"Tus_Resumable": "", "Upload_Length": "5"}, 412),
        ({}, 400),
        ({"Upload_Length": "-5"}, 400),
        ({"Upload_Length": "five"}, 400),
        ({"Upload_Length": "5", "Upload_Defer_Length": "1"}, 400),
        ({"Upload_Defer_Length": "2"}, 400),
        ({"Upload_Length": str(MAX_BYTES + 1)}, 413),
        ({"Upload_Length": "5", "Upload_Metadata": "a,a"}, 400),
        ({"Upload_Length": "5", "Upload_Metadata": "a \x80"}, 400),
        ({"Upload_Length": "5", "Upload_Metadata": metadata(filetype="text/html")}, 415),
        ({"Upload_Length": "5", "Upload_Concat": "none"}, 400),
        ({"Upload_Concat": "final;/uploads/" + "0" * 48}, 404),
        ({"Upload_Concat": "final;/uploads/../../x"}, 404),
    ],
)
def test_nothing_begins_that_cannot_end(
    tus: Tus, store: Path, fields: dict[str, str], status: int
) -> None:
    before = set((store / "uploads").glob("*"))
    reply = tus.say("POST", "/uploads", **fields)
    assert reply.status == status
    assert "location" not in reply.headers
    assert set((store / "uploads").glob("*")) == before
    if status == 412:
        assert reply.headers["tus-version"] == "1.0.0"


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"Upload_Offset": "3"}, 409),
        ({"Upload_Offset": "99999999999"}, 409),
        ({"Upload_Offset": ""}, 400),
        ({"Upload_Offset": "-1"}, 400),
        ({"Content_Type": "application/octet-stream"}, 415),
        ({"Upload_Length": "99"}, 400),
        ({"Upload_Checksum": "md5 AAAA"}, 400),
        ({"Upload_Checksum": "sha1 no"}, 400),
        ({"Content_Encoding": "gzip"}, 415),
        ({"Tus_Resumable": "2.0.0"}, 412),
    ],
)
def test_an_append_that_does_not_fit_changes_nothing(
    tus: Tus, fields: dict[str, str], status: int
) -> None:
    begun = tus.create(10)
    assert tus.patch(begun.name, 0, b"12345").status == 204
    said = {"Upload_Offset": "5", "Content_Type": STREAM} | fields
    assert tus.say("PATCH", begun.name, b"67890", **said).status == status
    assert tus.head(begun.name).offset == 5
    assert tus.patch(begun.name, 5, b"678").offset == 8


def test_no_more_bytes_are_taken_than_were_said_to_come(tus: Tus) -> None:
    begun = tus.create(10)
    assert tus.patch(begun.name, 0, b"12345678901").status == 413
    assert tus.head(begun.name).offset == 0
    chunked = {"Upload_Offset": "0", "Content_Type": STREAM, "Tus_Resumable": "1.0.0"}
    reply = tus.ask("PATCH", begun.name, iter([b"123456", b"7890123"]), **chunked)
    assert reply.status == 413
    assert tus.head(begun.name).offset <= 10


def test_no_upload_is_longer_than_the_server_takes(tus: Tus) -> None:
    begun = tus.create(None)
    said = {"Upload_Offset": "0", "Content_Type": STREAM, "Tus_Resumable": "1.0.0"}
    with tus.begun("PATCH", begun.name, b"x", length_bytes=MAX_BYTES + 1, **said) as link:
        assert b" 413 " in link.recv(65536).partition(b"\r\n")[0]
    assert tus.head(begun.name).offset == 0


@pytest.mark.parametrize(
    "path", ["/uploads/" + "0" * 48, "/uploads/x", "/uploads/..%2f..%2fetc", "/uploads/%00"]
)
def test_what_nobody_began_is_unknown(tus: Tus, path: str) -> None:
    assert tus.head(path).status == 404
    assert tus.patch(path, 0, b"x").status == 404
    assert tus.say("DELETE", path).status == 404


def test_an_upload_of_nothing_is_refused_as_a_store_request_is(tus: Tus) -> None:
    assert tus.create(0).status == 400


def test_uploads_outlive_the_server(
    run_server, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    empty, store = tmp_path_factory.mktemp("none"), tmp_path / "store"
    data, other = raw_file("1.2.3.1.20"), raw_file("1.2.3.1.21")
    with run_server(empty, store) as client:
        first = Tus(client.address)
        begun = first.create(len(data), data[:400])
        done = first.create(len(other), other)
        assert done.status == 201
    # The server ends after the upload was complete and before its answer was kept.
    (store / "uploads" / done.name.rpartition("/")[2] / "result").unlink()
    (store / "uploads" / done.name.rpartition("/")[2] / "data").write_bytes(other)
    with run_server(empty, store) as client:
        second = Tus(client.address)
        assert second.head(begun.name).offset == 400
        assert second.patch(begun.name, 400, data[400:]).status == 204
        assert second.head(done.name).status == 200
        told = second.ask("GET", done.name)
        assert stored_uids(told) == ["1.2.3.1.21"]
        found = second.ask("GET", "/dicom-web/instances")
        assert len(found.json()) == 2
