"""The reader of multipart/related: what it makes of bodies, whole, split and hostile."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mersey import _native
from mersey.codecs.errors import UsageError
from mersey.engine.transfer.body import Body
from mersey.engine.transfer.multipart import Part, multipart_related
from mersey.engine.transfer.multipart_reader import (
    End,
    MultipartReader,
    PartBegin,
    PartData,
    PartEnd,
)

type Parts = list[tuple[dict[str, str], bytes, bool]]


def read(chunks, boundary: str = "b") -> tuple[Parts, bool]:
    """Headers, bytes and soundness of every part; and whether the body was."""
    reader = MultipartReader(boundary)
    parts: Parts = []
    ends: list[End] = []

    def take(events) -> None:
        for event in events:
            assert not ends, "an event after the end"
            match event:
                case PartBegin(headers):
                    parts.append((dict(headers), b"", False))
                case PartData(data):
                    headers, before, _ = parts[-1]
                    parts[-1] = (headers, before + bytes(data), False)
                case PartEnd(error):
                    headers, data, _ = parts[-1]
                    parts[-1] = (headers, data, error is None)
                case End():
                    ends.append(event)

    for chunk in chunks:
        take(reader.feed(chunk))
    take(reader.finish())
    assert len(ends) == 1
    return parts, ends[0].error is None


def bodies(parts: Parts) -> list[bytes]:
    return [data for _, data, sound in parts if sound]


def test_parts_that_the_writer_wrote_come_back() -> None:
    parts = [Part("application/dicom", (data,)) for data in (b"one", b"", b"\r\n--", b"four")]
    content_type, body = multipart_related(parts, related_type="application/dicom", etag='"e"')
    assert isinstance(body, Body)
    boundary = content_type.partition("boundary=")[2]
    found, whole = read([b"".join(body.segments())], boundary)  # type: ignore[arg-type]
    assert whole
    assert bodies(found) == [b"one", b"", b"\r\n--", b"four"]
    assert found[3][0] == {"content-type": "application/dicom", "content-length": "4"}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"--b\r\n\r\nx\r\n--b--", [b"x"]),
        (b"preamble\r\n--b\r\n\r\nx\r\n--b--\r\nepilogue\r\n--b\r\n\r\ny\r\n--b--", [b"x"]),
        (b"\r\n--b\r\nA: 1\r\n\r\nx\r\n--b \t\r\nA: 2\r\n\r\ny\r\n--b--  ", [b"x", b"y"]),
        (b"--b\nA: 1\n\nx\r\n--b\n\ny\n--b--\n", [b"x\r", b"y"]),
        (b"--b\r\nA: 1\n\nx\n--b\r\n--b--\r\n", [b"x\n--b"[:1] + b"\n--b"]),
        (b"--b\r\n\r\n--b\r\n\r\n\r\n--b--", [b"", b""]),
        (b"--b\r\n\r\n\r\n--bx\r\n--b-\r\n--b--\r\n", [b"\r\n--bx\r\n--b-"]),
        (b"--b\r\n\r\n\r\r\n\r\n--b--", [b"\r\r\n"]),
        (b"--b--\r\n", []),
    ],
)
def test_odd_but_sound_bodies_are_read(body: bytes, expected: list[bytes]) -> None:
    for chunks in ([body], [body[i : i + 1] for i in range(len(body))]):
        parts, whole = read(chunks)
        assert whole
        assert [data for _, data, sound in parts if sound] == expected


def test_a_content_length_that_lies_spoils_its_part_alone() -> None:
    head = b"--b\r\nContent-Length: "
    body = head + b"3\r\n\r\nabc\r\n" + head + b"9\r\n\r\nabc\r\n" + head + b"x\r\n\r\nabc\r\n"
    parts, whole = read([body + head + b"1\r\n\r\nd\r\n--b--"])
    assert whole
    assert [sound for _, _, sound in parts] == [True, False, False, True]


def test_a_boundary_within_the_data_never_makes_a_sound_part_of_the_rest() -> None:
    body = b"--b\r\nContent-Length: 20\r\n\r\nabc\r\n--b\r\n" + bytes(8)
    parts, whole = read([body + b"\r\n--b\r\n\r\nlast\r\n--b--"])
    assert whole
    assert bodies(parts) == [b"last"]


@pytest.mark.parametrize("cut", range(1, 50))
def test_a_body_cut_short_gives_the_whole_parts_before_and_says_so(cut: int) -> None:
    body = b"--b\r\nA: 1\r\n\r\nfirst\r\n--b\r\nA: 2\r\n\r\nsecond\r\n--b--"
    parts, whole = read([body[:-cut]])
    assert not whole
    assert bodies(parts) == ([b"first"] if cut < 30 else [])[: len(bodies(parts))]
    assert b"second" not in bodies(parts)


def test_headers_are_bounded() -> None:
    long_line = b"--b\r\nA: " + b"x" * 100_000 + b"\r\n\r\nlost\r\n--b\r\n\r\nkept\r\n--b--"
    assert bodies(read([long_line])[0]) == [b"kept"]
    rest = b"\r\nlost\r\n--b\r\n\r\nkept\r\n--b--"
    many = b"--b\r\n" + b"".join(b"A%d: 1\r\n" % n for n in range(100))
    assert bodies(read([many, rest])[0]) == [b"kept"]


@pytest.mark.parametrize("boundary", ["", "x" * 71, "a\r\nb", "ends with ", "ü", "a\0"])
def test_what_is_no_boundary_is_refused(boundary: str) -> None:
    with pytest.raises(UsageError, match="boundary"):
        MultipartReader(boundary)


_pieces = st.lists(
    st.sampled_from(
        [
            *(b"--b", b"\r\n", b"\n", b"\r", b"--", b"-", b" ", b"A: 1", b"Content-Length: 3"),
            *(b"abc", b"\r\n--b\r\n\r\n", b"\r\n--b--\r\n", b"b", b"\0", b"x" * 20_000),
        ]
    ),
    max_size=40,
)


@settings(max_examples=150, deadline=None)
@given(_pieces, st.lists(st.integers(0, 400), max_size=12))
def test_any_split_gives_the_same_events(pieces: list[bytes], cuts: list[int]) -> None:
    body = b"".join(pieces)
    places = [0, *sorted(min(cut, len(body)) for cut in cuts), len(body)]
    split = [body[start:stop] for start, stop in pairwise(places)]
    whole = read([body])
    assert read(split) == whole
    if len(body) < 2000:
        assert read([bytearray([byte]) for byte in body]) == whole


@given(st.lists(st.binary(max_size=200), max_size=5))
def test_data_without_the_boundary_comes_back_as_it_was(datas: list[bytes]) -> None:
    body = b"".join(b"--bound\r\nX: y\r\n\r\n" + data + b"\r\n" for data in datas) + b"--bound--"
    parts, whole = read([body], "bound")
    assert whole
    assert bodies(parts) == datas


@given(
    data=st.lists(st.sampled_from(b"ab\r\n-"), max_size=90).map(bytes),
    wanted=st.lists(st.sampled_from(b"ab\r\n-"), min_size=1, max_size=20).map(bytes),
    start=st.integers(0, 100),
)
def test_a_delimiter_is_found_where_bytes_find_it(data: bytes, wanted: bytes, start: int) -> None:
    assert _native.find(data, wanted, start) == data.find(wanted, start)
    assert _native.find(data + wanted, wanted) == (data + wanted).find(wanted)
