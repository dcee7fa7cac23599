"""A Body against plain bytes: whatever is cut out of it is what bytes would give."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mersey.codecs.errors import UsageError
from mersey.engine.transfer.body import Body, FileSlice, FileStamp, Segment

FILE = bytes(range(251)) * 4
STAMP = FileStamp(len(FILE), 1, 2)


def resolve(body: Body) -> bytes:
    """Read a Body the slow way, out of `FILE`."""
    found = b""
    for segment in body.segments():
        if isinstance(segment, FileSlice):
            assert segment.stamp == STAMP
            found += FILE[segment.offset_bytes :][: segment.length_bytes]
        else:
            found += segment
    return found


slices = st.builds(
    lambda offset, length: FileSlice("f", offset, min(length, len(FILE) - offset), STAMP),
    st.integers(0, len(FILE)),
    st.integers(0, 300),
)
segment_lists = st.lists(st.one_of(st.binary(max_size=40), slices), max_size=12)


@given(segment_lists, st.data())
def test_any_slice_of_any_slice_is_that_of_the_bytes(segments: list[Segment], data) -> None:
    body = Body.of(segments, etag='"t"')
    whole = resolve(body)
    assert body.length_bytes == len(whole)
    for _ in range(3):
        start = data.draw(st.integers(0, body.length_bytes))
        stop = data.draw(st.integers(start, body.length_bytes))
        body, whole = body.slice(start, stop), whole[start:stop]
        assert resolve(body) == whole
        assert body.length_bytes == len(whole)
        assert body.etag == '"t"'


@given(segment_lists, st.integers(0, 1000))
def test_two_halves_are_the_whole(segments: list[Segment], cut: int) -> None:
    body = Body.of(segments, etag='"t"')
    cut = min(cut, body.length_bytes)
    halves = body.slice(0, cut), body.slice(cut, body.length_bytes)
    assert b"".join(map(resolve, halves)) == resolve(body)


def test_a_slice_of_a_million_segments_shares_them() -> None:
    body = Body.of((b"ab" for _ in range(1_000_000)), etag='"t"')
    part = body.slice(1_999_995, 2_000_000)
    assert part.parts is body.parts
    assert list(part.segments()) == [b"b", b"ab", b"ab"]


@pytest.mark.parametrize(("start", "stop"), [(-1, 2), (3, 2), (0, 6)])
def test_what_lies_outside_cannot_be_cut_out(start: int, stop: int) -> None:
    with pytest.raises(UsageError, match="of a body of 5 bytes"):
        Body.of([b"12345"], etag='"t"').slice(start, stop)
