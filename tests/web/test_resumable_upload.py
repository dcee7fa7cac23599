"""Store requests that go on after they broke, by the IETF's draft."""

from __future__ import annotations

import base64
import hashlib
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from .uploading import Reply, Wire, broken_file, multipart, raw_file, stored_uids

PARTIAL = "application/partial-upload"
MAX_BYTES = 64 << 20


class Ietf(Wire):
    """A server's store endpoint, and the uploads that begin there."""

    def begin(self, body: bytes = b"", path: str = "/studies", **fields: str) -> Reply:
        said = {"Content_Type": "application/dicom", "Upload_Complete": "?0"}
        return self.ask("POST", f"/dicom-web{path}", body, **said | fields)

    def patch(self, path: str, offset: int, body: bytes, *, last: bool, **fields: str) -> Reply:
        said = {
            "Content_Type": PARTIAL,
            "Upload_Offset": str(offset),
            "Upload_Complete": "?1" if last else "?0",
        }
        return self.ask("PATCH", path, body, **said | fields)

    def head(self, path: str) -> Reply:
        return self.ask("HEAD", path)


def digest(data: bytes) -> str:
    return f"sha-256=:{base64.b64encode(hashlib.sha256(data).digest()).decode()}:"


def read_head(link: socket.socket) -> tuple[int, dict[str, str]]:
    """The next response's head, interim or not, and not a byte more."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = link.recv(1)
        assert byte, head
        head += byte
    lines = head.decode("latin-1").split("\r\n")[:-2]
    fields = dict(line.split(": ", 1) for line in lines[1:])
    return int(lines[0].split()[1]), {name.lower(): value for name, value in fields.items()}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="module")
def ietf(run_server, store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ietf]:
    empty = tmp_path_factory.mktemp("empty")
    with run_server(empty, store, max_upload_bytes=MAX_BYTES) as client:
        yield Ietf(client.address)


def test_options_tell_that_store_requests_can_go_on(ietf: Ietf) -> None:
    for path in ("/dicom-web/studies", "/dicom-web/studies/1.2.3"):
        reply = ietf.ask("OPTIONS", path)
        assert reply.status == 204
        assert reply.headers["upload-limit"] == f"max-size={MAX_BYTES}, max-age=86400"


def test_an_empty_request_tells_where_to_upload(ietf: Ietf) -> None:
    data = raw_file("1.2.3.2.1")
    begun = ietf.begin(Upload_Length=str(len(data)))
    assert (begun.status, begun.offset) == (201, 0)
    assert begun.headers["location"].startswith(f"{ietf.address}/dicom-web/uploads/")
    assert begun.headers["upload-complete"] == "?0"
    assert f"max-size={MAX_BYTES}" in begun.headers["upload-limit"]
    first = ietf.patch(begun.name, 0, data[:400], last=False)
    assert (first.status, first.offset) == (204, 400)
    assert first.headers["upload-complete"] == "?0"
    head = ietf.head(begun.name)
    assert (head.status, head.offset) == (204, 400)
    assert head.headers["upload-length"] == str(len(data))
    assert head.headers["upload-complete"] == "?0"
    assert head.headers["cache-control"] == "no-store"
    last = ietf.patch(begun.name, 400, data[400:], last=True)
    assert last.status == 200
    assert last.headers["upload-complete"] == "?1"
    assert last.headers["content-type"] == "application/dicom+json"
    assert stored_uids(last) == ["1.2.3.2.1"]
    assert ietf.head(begun.name).headers["upload-complete"] == "?1"
    assert ietf.ask("GET", begun.name).body == last.body


def test_the_last_answer_can_be_had_again(ietf: Ietf) -> None:
    data = raw_file("1.2.3.2.2")
    begun = ietf.begin(data[:10])
    assert (begun.status, begun.offset) == (201, 10)
    last = ietf.patch(begun.name, 10, data[10:], last=True)
    again = ietf.patch(begun.name, len(data), b"", last=True)
    assert (again.status, again.body) == (last.status, last.body) == (200, last.body)
    more = ietf.patch(begun.name, len(data), b"more", last=False)
    assert (more.status, more.headers["upload-complete"]) == (409, "?0")


def test_the_end_may_be_said_without_bytes(ietf: Ietf) -> None:
    kind, body = multipart(raw_file("1.2.3.2.3"), raw_file("1.2.3.2.4"))
    begun = ietf.begin(body, "/studies/1.2.3", Content_Type=kind)
    assert "upload-length" not in ietf.head(begun.name).headers
    last = ietf.patch(begun.name, len(body), b"", last=True)
    assert (last.status, stored_uids(last)) == (200, ["1.2.3.2.3", "1.2.3.2.4"])
    assert last.json()["00081190"]["Value"] == [f"{ietf.address}/dicom-web/studies/1.2.3"]


def test_who_knows_104_learns_the_place_while_sending(ietf: Ietf) -> None:
    data = raw_file("1.2.3.2.5", size_bytes=200_000)
    said = {
        "Content_Type": "application/dicom",
        "Upload_Complete": "?1",
        "Upload_Draft_Interop_Version": "8",
    }
    path = "/dicom-web/studies"
    with ietf.begun("POST", path, data[:90_000], length_bytes=len(data), **said) as link:
        status, fields = read_head(link)
        assert status == 104
        assert fields["upload-draft-interop-version"] == "8"
        assert "max-size" in fields["upload-limit"]
        place = fields["location"].removeprefix(ietf.address)
    head = ietf.head(place)
    assert 0 <= head.offset <= 90_000
    assert head.headers["upload-length"] == str(len(data))
    last = ietf.patch(place, head.offset, data[head.offset :], last=True)
    assert (last.status, stored_uids(last)) == (200, ["1.2.3.2.5"])


def test_a_request_that_does_not_break_is_answered_as_ever(ietf: Ietf) -> None:
    data = raw_file("1.2.3.2.6")
    said = {"Content_Type": "application/dicom", "Upload_Complete": "?1", "Connection": "close"}
    for version, interim in (("8", True), ("6", False), ("", False)):
        fields = said | {"Upload_Draft_Interop_Version": version}
        path = "/dicom-web/studies"
        with ietf.begun("POST", path, data, length_bytes=len(data), **fields) as link:
            status, found = read_head(link)
            if interim:
                assert status == 104
                status, found = read_head(link)
                assert found["upload-complete"] == "?1"
            assert (status, found["content-type"]) == (200, "application/dicom+json")


def test_http_1_0_gets_no_interim_response(ietf: Ietf) -> None:
    data = raw_file("1.2.3.2.7")
    host, _, port = ietf.address.removeprefix("http://").partition(":")
    head = (
        "POST /dicom-web/studies HTTP/1.0\r\nContent-Type: application/dicom\r\n"
        "Upload-Complete: ?1\r\nUpload-Draft-Interop-Version: 8\r\n"
        f"Content-Length: {len(data)}\r\n\r\n"
    )
    with socket.create_connection((host, int(port)), timeout=240) as link:
        link.sendall(head.encode() + data)
        assert read_head(link)[0] == 200


def test_a_wrong_offset_is_told_with_the_right_one(ietf: Ietf) -> None:
    begun = ietf.begin(b"12345")
    reply = ietf.patch(begun.name, 3, b"45678", last=False)
    assert reply.status == 409
    assert reply.headers["content-type"] == "application/problem+json"
    assert (reply.offset, reply.headers["upload-complete"]) == (5, "?0")
    problem = reply.json()
    assert problem["type"].endswith("#mismatching-upload-offset")
    assert (problem["expected-offset"], problem["provided-offset"]) == (5, 3)
    assert ietf.head(begun.name).offset == 5


def test_lengths_that_contradict_each_other_are_told(ietf: Ietf) -> None:
    said = {"Upload_Length": "10", "Upload_Complete": "?1", "Upload_Draft_Interop_Version": "8"}
    begun = ietf.begin(b"12345", **said)
    assert begun.status == 400
    assert begun.json()["type"].endswith("#inconsistent-upload-length")
    begun = ietf.begin(b"12345", Upload_Length="10")
    for fields, last, body in (
        ({"Upload_Length": "11"}, False, b""),
        ({}, True, b"678"),
        ({"Upload_Length": "7"}, True, b"67890"),
    ):
        reply = ietf.patch(begun.name, 5, body, last=last, **fields)
        assert reply.status == 400
        assert reply.json()["type"].endswith("#inconsistent-upload-length")
        assert ietf.head(begun.name).offset == 5


def test_an_upload_that_outgrows_its_length_is_given_up(ietf: Ietf) -> None:
    begun = ietf.begin(b"12345", Upload_Length="10")
    fields = {"Content_Type": PARTIAL, "Upload_Offset": "5", "Upload_Complete": "?0"}
    reply = ietf.ask("PATCH", begun.name, iter([b"678", b"9012"]), **fields)
    assert (reply.status, reply.json()["type"].rpartition("#")[2]) == (
        400,
        "inconsistent-upload-length",
    )
    assert ietf.head(begun.name).status == 410


def test_no_upload_is_longer_than_the_server_takes(ietf: Ietf) -> None:
    reply = ietf.begin(Upload_Length=str(MAX_BYTES + 1))
    assert reply.status == 413
    assert f"max-size={MAX_BYTES}" in reply.headers["upload-limit"]


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"Content_Type": "application/octet-stream"}, 415),
        ({"Content_Type": ""}, 415),
        ({"Upload_Offset": "five"}, 400),
        ({"Upload_Offset": "-5"}, 400),
        ({"Upload_Complete": "true"}, 400),
        ({"Upload_Complete": ""}, 400),
        ({"Content_Digest": digest(b"other")}, 400),
        ({"Content_Digest": "sha-256=:no:"}, 400),
    ],
)
def test_an_append_that_does_not_fit_changes_nothing(
    ietf: Ietf, fields: dict[str, str], status: int
) -> None:
    begun = ietf.begin(b"12345")
    said = {"Content_Type": PARTIAL, "Upload_Offset": "5", "Upload_Complete": "?0"} | fields
    reply = ietf.ask("PATCH", begun.name, b"67890", **said)
    assert reply.status == status
    assert reply.headers["content-type"] == "application/problem+json"
    assert ietf.head(begun.name).offset == 5
    if status == 415:
        assert reply.headers["accept-patch"] == PARTIAL


@pytest.mark.parametrize(
    ("path", "fields", "status"),
    [
        ("/studies", {"Content_Type": "text/html"}, 415),
        ("/studies", {"Content_Encoding": "gzip"}, 415),
        ("/studies/no-uid", {}, 404),
        ("/studies", {"Repr_Digest": "sha-256=:no:"}, 400),
    ],
)
def test_nothing_begins_that_cannot_end(
    ietf: Ietf, store: Path, path: str, fields: dict[str, str], status: int
) -> None:
    before = set((store / "uploads").iterdir())
    reply = ietf.begin(b"12345", path, **fields)
    assert reply.status == status
    assert "location" not in reply.headers
    assert set((store / "uploads").iterdir()) == before


def test_digests_of_the_pieces_and_of_the_whole_are_checked(ietf: Ietf) -> None:
    data = raw_file("1.2.3.2.8")
    begun = ietf.begin(Repr_Digest=digest(data))
    first = ietf.patch(begun.name, 0, data[:300], last=False, Content_Digest=digest(data[:300]))
    assert first.status == 204
    last = ietf.patch(begun.name, 300, data[300:], last=True)
    assert (last.status, stored_uids(last)) == (200, ["1.2.3.2.8"])
    other = ietf.begin(Repr_Digest=digest(b"other"))
    assert ietf.patch(other.name, 0, data, last=True).status == 400
    assert ietf.head(other.name).status == 410


def test_what_cannot_be_stored_is_told_as_by_a_store_request(ietf: Ietf) -> None:
    begun = ietf.begin()
    last = ietf.patch(begun.name, 0, broken_file("1.2.9.2"), last=True)
    assert (last.status, last.headers["upload-complete"]) == (409, "?1")
    assert last.headers["content-type"] == "application/dicom+json"
    empty = ietf.begin()
    assert ietf.patch(empty.name, 0, b"", last=True).status == 400


def test_of_two_appends_one_wins_and_who_comes_back_takes_over(ietf: Ietf) -> None:
    begun = ietf.begin()
    said = {"Content_Type": PARTIAL, "Upload_Offset": "0", "Upload_Complete": "?0"}
    with ietf.begun("PATCH", begun.name, bytes(1000), length_bytes=2000, **said) as link:
        while "upload-offset" in ietf.patch(begun.name, 1, b"x", last=False).headers:
            pass
        busy = ietf.patch(begun.name, 0, b"x", last=False)
        assert (busy.status, busy.headers["retry-after"]) == (409, "1")
        assert "upload-offset" not in busy.headers
        offset = ietf.head(begun.name).offset
        assert offset in (0, 1000)
        assert read_head(link)[0] == 409
        assert ietf.patch(begun.name, offset, b"x", last=False).offset == offset + 1


def test_an_upload_can_be_given_up(ietf: Ietf, store: Path) -> None:
    begun = ietf.begin(b"12345")
    assert ietf.ask("DELETE", begun.name).status == 204
    assert not (store / "uploads" / begun.name.rpartition("/")[2]).exists()
    for method in ("HEAD", "GET", "DELETE"):
        assert ietf.ask(method, begun.name).status == 404
    assert ietf.patch(begun.name, 5, b"x", last=False).status == 404


def test_uploads_of_the_two_protocols_do_not_mix(ietf: Ietf) -> None:
    begun = ietf.begin(b"12345")
    name = begun.name.rpartition("/")[2]
    assert ietf.ask("HEAD", f"/uploads/{name}", Tus_Resumable="1.0.0").status == 404
    tus = ietf.ask("POST", "/uploads", Tus_Resumable="1.0.0", Upload_Length="5")
    assert ietf.head("/dicom-web" + tus.name).status == 404


def test_a_store_request_that_is_refused_after_its_end_is_answered_at_once(ietf: Ietf) -> None:
    """What came whole is not waited for: nothing more would come."""
    kind = 'multipart/related; type="application/dicom"; boundary=bound'
    reply = ietf.ask("POST", "/dicom-web/studies", b"--bound--\r\n", Content_Type=kind)
    assert reply.status == 400
    assert "connection" not in reply.headers
