"""Repr-Digest and Content-Digest (RFC 9530): of the whole, and of what is sent."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from typing import Any

import pytest
from mersey.engine.transfer.body import Body
from mersey.engine.web import body_digests
from mersey.engine.web.body_digests import MAX_SENT_BYTES, BodyDigests
from mersey.engine.web.responses import BodyResponse

_DATA = bytes(range(256)) * 100
_WANTS = {"want-repr-digest": "sha-256=5", "want-content-digest": "sha-256=5"}


def _told(data: bytes) -> str:
    return f"sha-256=:{base64.b64encode(hashlib.sha256(data).digest()).decode()}:"


def _ask(
    body: Body, *, method: str = "GET", sha256: str = "", **fields: str
) -> tuple[int, dict[str, str], bytes]:
    """The status, the fields and the bytes of one answer."""
    sent: list[dict[str, Any]] = []
    headers = [(name.replace("_", "-").encode(), value.encode()) for name, value in fields.items()]

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(3600)
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    response = BodyResponse(body, content_type="application/dicom", sha256=sha256)
    scope = {"type": "http", "method": method, "headers": headers}
    asyncio.run(response.reading(None, digests=BodyDigests())(scope, receive, send))
    told = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], told, b"".join(bytes(one["body"]) for one in sent[1:])


def _body(data: bytes = _DATA) -> Body:
    return Body.of((data[:1000], data[1000:]), etag='"a"')


def test_nobody_who_does_not_ask_is_told() -> None:
    _, fields, data = _ask(_body())

    assert data == _DATA
    assert not [name for name in fields if "digest" in name]


def test_the_whole_has_one_digest_for_both() -> None:
    status, fields, data = _ask(_body(), **_WANTS)

    assert (status, data) == (200, _DATA)
    assert fields["repr-digest"] == fields["content-digest"] == _told(_DATA)
    assert fields["content-length"] == str(len(_DATA))


def test_a_part_has_its_own_digest_beside_that_of_the_whole() -> None:
    status, fields, data = _ask(_body(), range="bytes=900-1999", **_WANTS)

    assert (status, data) == (206, _DATA[900:2000])
    assert fields["content-digest"] == _told(_DATA[900:2000])
    assert fields["repr-digest"] == _told(_DATA)


def test_several_parts_have_the_digest_of_what_is_sent() -> None:
    status, fields, data = _ask(_body(), range="bytes=0-9,100-109", **_WANTS)

    assert status == 206
    assert fields["content-digest"] == _told(data)


def test_head_tells_of_the_whole_and_sends_nothing() -> None:
    status, fields, data = _ask(_body(), method="HEAD", **_WANTS)

    assert (status, data) == (200, b"")
    assert fields["repr-digest"] == _told(_DATA)
    assert "content-digest" not in fields


def test_a_digest_that_is_known_is_not_made_again() -> None:
    known = hashlib.sha256(b"as ingest told it").hexdigest()

    _, fields, _ = _ask(_body(), sha256=known, **_WANTS)

    assert fields["repr-digest"] == _told(b"as ingest told it")


@pytest.mark.parametrize("field", ["sha-512=1", "sha-256=0", "crc32c=1"])
def test_what_is_not_offered_is_not_told(field: str) -> None:
    _, fields, _ = _ask(_body(), want_repr_digest=field, want_content_digest=field)

    assert not [name for name in fields if "digest" in name]


def test_what_is_too_long_to_hold_is_read_for_its_digest_first() -> None:
    data = bytes(MAX_SENT_BYTES + 5) + b"end"

    status, fields, sent = _ask(_body(data), want_content_digest="sha-256=1")
    assert (status, sent == data) == (200, True)
    assert fields["content-digest"] == _told(data)

    status, fields, sent = _ask(_body(data), range="bytes=2-", want_content_digest="sha-256=1")
    assert (status, sent == data[2:]) == (206, True)
    assert fields["content-digest"] == _told(data[2:])


def test_what_ingest_told_is_the_digest_of_all_that_is_sent() -> None:
    data = bytes(MAX_SENT_BYTES + 1)
    known = hashlib.sha256(b"as ingest told it").hexdigest()

    _, fields, _ = _ask(_body(data), sha256=known, want_content_digest="sha-256")

    assert fields["content-digest"] == _told(b"as ingest told it")


def test_what_is_too_long_to_wait_for_is_sent_without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body_digests, "MAX_WHOLE_BYTES", MAX_SENT_BYTES)
    data = bytes(MAX_SENT_BYTES + 1)

    status, fields, sent = _ask(_body(data), **_WANTS)

    assert (status, sent == data) == (200, True)
    assert not [name for name in fields if "digest" in name]


def test_a_range_that_selects_nothing_has_no_digest() -> None:
    status, fields, _ = _ask(_body(), range="bytes=999999-", **_WANTS)

    assert status == 416
    assert "repr-digest" not in fields
