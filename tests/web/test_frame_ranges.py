"""Parts of frames, by Range and the conditions that go with it: how viewers load progressively."""

from __future__ import annotations

import imagecodecs
import numpy as np
import pytest
from mersey.codecs.codestream import scan_codestream

from .viewer_forms import DEFAULT, JPHC, decode


def chunked(client, path: str, size: int, **headers: str) -> bytes:
    """Fetch as Cornerstone's range mode does: chunks appended, whatever the status says."""
    got, total = b"", None
    while total is None or len(got) < total:
        answer = client.get(path, DEFAULT, Range=f"bytes={len(got)}-{len(got) + size - 1}")
        got += answer.body
        total = int(answer.headers["content-range"].rpartition("/")[2])
    return got


def test_a_range_is_answered_with_206_and_the_length_of_the_whole_body(client, samples) -> None:
    whole = client.get(f"{samples.ct.url}/frames/1", DEFAULT)
    part = client.get(f"{samples.ct.url}/frames/1", DEFAULT, Range="bytes=100-299")
    assert part.status == 206
    assert part.headers["content-range"] == f"bytes 100-299/{len(whole.body)}"
    assert part.headers["content-length"] == "200"
    assert part.headers["content-type"] == whole.headers["content-type"]
    assert part.body == whole.body[100:300]


@pytest.mark.parametrize("size", [1000, 8192, 65536, 131072])
def test_chunks_appended_as_cornerstone_does_are_the_whole_body(client, samples, size) -> None:
    path = f"{samples.ct.url}/frames/4"
    assert chunked(client, path, size) == client.get(path, DEFAULT).body


def test_every_range_that_begins_inside_is_honoured(client, samples) -> None:
    path = f"{samples.ct.url}/frames/1"
    whole = client.get(path, DEFAULT).body
    for field, start, stop in [
        ("bytes=8192-", 8192, len(whole)),
        (f"bytes={len(whole) - 1}-{len(whole) + 9999}", len(whole) - 1, len(whole)),
        ("bytes=-10", len(whole) - 10, len(whole)),
        (f"bytes=-{len(whole) * 2}", 0, len(whole)),
        ("bytes=0-", 0, len(whole)),
    ]:
        answer = client.get(path, DEFAULT, Range=field)
        assert answer.status == 206, field
        assert answer.body == whole[start:stop], field


@pytest.mark.parametrize("field", ["bytes=99999999-", "bytes=-0", "bytes=9-8"])
def test_a_range_that_selects_nothing_gets_416_and_an_empty_body(client, samples, field) -> None:
    path = f"{samples.ct.url}/frames/1"
    whole = client.get(path, DEFAULT).body
    answer = client.get(path, DEFAULT, Range=field)
    assert answer.status == 416
    assert answer.body == b""
    assert answer.headers["content-range"] == f"bytes */{len(whole)}"


def test_the_coarse_levels_lie_in_the_first_bytes(client, samples) -> None:
    body = client.get(f"{samples.ct.url}/frames/1", JPHC).body
    points = scan_codestream(body).cut_points
    assert points is not None
    assert len(points) >= 4
    assert points[2] < len(body) // 4


def test_a_range_up_to_a_cut_point_decodes_to_the_lower_resolution(client, samples) -> None:
    path = f"{samples.ct.url}/frames/3"
    whole = client.get(path, JPHC).body
    points = scan_codestream(whole).cut_points
    assert points is not None
    for reduce in (1, 2, 3):
        answer = client.get(path, JPHC, Range=f"bytes=0-{points[reduce] - 1}")
        assert len(answer.body) == points[reduce]
        found = decode(answer.body, samples.ct.samples, reduce=reduce)
        expected = decode(whole, samples.ct.samples, reduce=reduce)
        np.testing.assert_array_equal(found, expected)


def test_fsiz_works_on_multipart_and_with_range(client, samples) -> None:
    path = f"{samples.ct.url}/frames/1,2?fsiz=32,32"
    answer = client.get(path, DEFAULT)
    assert answer.headers["x-decode-level"] == "3"
    for index, (_, data) in enumerate(answer.parts()):
        full = client.get(f"{samples.ct.url}/frames/{index + 1}", JPHC).body
        expected = decode(full, samples.ct.samples, reduce=3)
        np.testing.assert_array_equal(imagecodecs.jpeg2k_decode(data), expected)
    part = client.get(path, DEFAULT, Range="bytes=50-")
    assert part.body == answer.body[50:]


def test_if_range_with_the_tag_gets_the_range(client, samples) -> None:
    path = f"{samples.ct.url}/frames/1"
    whole = client.get(path, DEFAULT)
    answer = client.get(path, DEFAULT, Range="bytes=8192-", If_Range=whole.headers["etag"])
    assert answer.status == 206
    assert answer.body == whole.body[8192:]


@pytest.mark.parametrize("tag", ['"other"', "Tue, 24 Nov 2026 07:00:00 GMT", 'W/"other"'])
def test_if_range_with_anything_else_gets_the_whole(client, samples, tag) -> None:
    path = f"{samples.ct.url}/frames/1"
    answer = client.get(path, DEFAULT, Range="bytes=8192-", If_Range=tag)
    assert answer.status == 200
    assert answer.body == client.get(path, DEFAULT).body


def test_a_tag_that_the_client_has_already_gets_304(client, samples) -> None:
    path = f"{samples.ct.url}/frames/1"
    tag = client.get(path, DEFAULT).headers["etag"]
    answer = client.get(path, DEFAULT, If_None_Match=tag)
    assert (answer.status, answer.body) == (304, b"")
    assert client.get(path, DEFAULT, If_Match='"other"').status == 412


def test_head_tells_what_get_would(client, samples) -> None:
    path = f"/dicom-web{samples.ct.url}/frames/1"
    got = client.ask(path, headers={"Accept": DEFAULT})
    head = client.ask(path, method="HEAD", headers={"Accept": DEFAULT})
    assert head.body == b""
    for name in ("content-length", "content-type", "etag", "accept-ranges"):
        assert head.headers[name] == got.headers[name]
    part = client.ask(path, method="HEAD", headers={"Accept": DEFAULT, "Range": "bytes=5-9"})
    assert (part.status, part.headers["content-length"]) == (206, "5")


def test_several_ranges_come_as_byteranges_in_the_order_asked(client, samples) -> None:
    path = f"{samples.ct.url}/frames/1"
    whole = client.get(path, JPHC).body
    answer = client.get(path, JPHC, Range="bytes=500-599,0-9")
    assert answer.status == 206
    boundary = answer.headers["content-type"].partition("boundary=")[2].encode()
    pieces = answer.body.split(b"--" + boundary)
    assert whole[500:600] in pieces[1]
    assert b"Content-Range: bytes 500-599/" in pieces[1]
    assert whole[0:10] in pieces[2]
    assert pieces[3] == b"--\r\n"
