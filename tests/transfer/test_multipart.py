"""multipart/related as strict readers need it."""

from __future__ import annotations

from email.parser import BytesParser

from hypothesis import given
from hypothesis import strategies as st
from mersey.engine.transfer.body import FileSlice
from mersey.engine.transfer.multipart import Part, boundary_of, multipart_related


def test_the_bytes_are_these() -> None:
    parts = [Part("a/b; x=1", (b"one",)), Part("a/b", (b"t", b"wo"))]
    content_type, body = multipart_related(parts, related_type="a/b", etag='"0f"')
    assert content_type == 'multipart/related; type="a/b"; boundary=mersey-0f'
    assert b"".join(body.segments()) == (  # type: ignore[arg-type]
        b"--mersey-0f\r\nContent-Type: a/b; x=1\r\nContent-Length: 3\r\n\r\none"
        b"\r\n--mersey-0f\r\nContent-Type: a/b\r\nContent-Length: 3\r\n\r\ntwo"
        b"\r\n--mersey-0f--\r\n"
    )
    assert body.etag == '"0f"'


def test_files_are_not_read_but_pointed_at() -> None:
    piece = FileSlice("nowhere", 5, 7)
    _, body = multipart_related([Part("a/b", (piece,))], related_type="a/b", etag='"1"')
    assert piece in list(body.segments())


@given(st.lists(st.binary(max_size=50).filter(lambda data: b"mersey" not in data), min_size=1))
def test_pythons_own_parser_reads_it_back(payloads: list[bytes]) -> None:
    parts = [Part("application/octet-stream", (data,)) for data in payloads]
    content_type, body = multipart_related(parts, related_type="a/b", etag='"2"')
    data = b"".join(body.segments())  # type: ignore[arg-type]
    boundary = content_type.partition("boundary=")[2].encode()
    pieces = (b"\r\n" + data).split(b"\r\n--" + boundary)
    assert pieces[0] == b""
    assert pieces[-1] == b"--\r\n"
    heads_and_bodies = [piece.partition(b"\r\n\r\n") for piece in pieces[1:-1]]
    assert [found for _, _, found in heads_and_bodies] == payloads
    message = BytesParser().parsebytes(f"Content-Type: {content_type}\r\n\r\n".encode() + data)
    assert len(message.get_payload()) == len(payloads)


def test_a_boundary_is_made_of_the_tag_and_needs_no_quotes() -> None:
    boundary = boundary_of('"abc-123"')
    assert boundary == "mersey-abc123"
    assert len(boundary_of('"' + "f" * 500 + '"')) <= 70
