"""Every kind of answer has a length, a tag, parts and digests: HEAD, Range, RFC 9530."""

from __future__ import annotations

import base64
import hashlib

import pytest

_SERIES = "/studies/1.2.3/series/1.2.3.1"
_ONE = f"{_SERIES}/instances/1.2.3.1.1"
_DICOM = 'multipart/related; type="application/dicom"; transfer-syntax=*'
KINDS = {
    "frame": (f"{_ONE}/frames/2", "application/octet-stream"),
    "progressive frame": (f"{_ONE}/frames/2", "image/jphc"),
    "frame list": (f"{_ONE}/frames/1,3,2", 'multipart/related; type="application/octet-stream"'),
    "bulk data": (f"{_ONE}/bulkdata/7FE00010", "application/octet-stream"),
    "instance": (_ONE, "application/dicom"),
    "instance in parts": (_ONE, _DICOM),
    "series": (_SERIES, _DICOM),
    "study": ("/studies/1.2.3", _DICOM),
    "archive of an instance": (_ONE, "application/zip"),
    "archive of a series": (_SERIES, "application/zip"),
    "archive of a study": ("/studies/1.2.3", "application/zip"),
    "metadata": (f"{_ONE}/metadata", "application/dicom+json"),
    "picture": (f"{_ONE}/frames/1/rendered", "image/png"),
}


def _told(data: bytes) -> str:
    return f"sha-256=:{base64.b64encode(hashlib.sha256(data).digest()).decode()}:"


@pytest.fixture(params=KINDS)
def kind(request, client):
    """Path, what is accepted, and the whole answer, once all of it is there."""
    path, accept = KINDS[request.param]
    client.get(path, accept)
    answer = client.get(path, accept)
    assert answer.status == 200
    return path, accept, answer


def test_head_tells_what_get_does_and_sends_nothing(client, kind) -> None:
    path, accept, answer = kind
    head = client.ask(f"/dicom-web{path}", method="HEAD", headers={"Accept": accept})
    assert (head.status, head.body) == (200, b"")
    for field in ("content-length", "content-type", "etag", "accept-ranges"):
        assert head.headers[field] == answer.headers[field]
    assert int(head.headers["content-length"]) == len(answer.body)


def test_the_digests_of_the_whole_and_of_a_part_are_told_to_those_who_ask(client, kind) -> None:
    path, accept, answer = kind
    wants = {"Want_Repr_Digest": "sha-256=1", "Want_Content_Digest": "sha-256=1"}
    assert not [field for field in answer.headers if field.endswith("-digest")]
    for field, status in ((None, 200), ("bytes=5-24", 206), ("bytes=1-2,9-12", 206)):
        asked = wants | ({} if field is None else {"Range": field})
        part = client.get(path, accept, **asked)
        assert part.status == status
        assert part.headers["repr-digest"] == _told(answer.body)
        assert part.headers["content-digest"] == _told(part.body)
    etag = answer.headers["etag"]
    assert "repr-digest" not in client.get(path, accept, **wants, If_None_Match=etag).headers


def test_a_range_is_refused_or_ignored_as_is_right_for_every_kind(client, kind) -> None:
    path, accept, answer = kind
    total = len(answer.body)
    refused = client.get(path, accept, Range=f"bytes={total}-")
    assert (refused.status, refused.body) == (416, b"")
    assert refused.headers["content-range"] == f"bytes */{total}"
    assert client.get(path, accept, Range="bytes=-0").status == 416
    assert client.get(path, accept, Range="bytes=4-2").status == 416
    for ignored in ("bytes=", "items=0-5", "bytes=a-b"):
        assert client.get(path, accept, Range=ignored).body == answer.body
    other = client.get(path, accept, Range="bytes=3-", If_Range='"another"')
    assert (other.status, other.body) == (200, answer.body)
