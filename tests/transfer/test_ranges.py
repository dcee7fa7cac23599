"""Range, against what RFC 9110 §14 says of each form."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mersey.engine.transfer.body import Body
from mersey.engine.transfer.conditions import Condition, evaluate, range_applies
from mersey.engine.transfer.ranges import (
    MAX_RANGES,
    ByteRange,
    byteranges,
    content_range,
    select_ranges,
    unsatisfied_range,
)


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("bytes=0-499", [(0, 100)]),
        ("bytes=10-19", [(10, 20)]),
        ("bytes=10-", [(10, 100)]),
        ("bytes=-5", [(95, 100)]),
        ("bytes=-500", [(0, 100)]),
        ("BYTES = 1-2", [(1, 3)]),
        ("bytes=0-0, -1", [(0, 1), (99, 100)]),
        ("bytes=50-59,0-9", [(50, 60), (0, 10)]),
        ("bytes=0-9,10-19", [(0, 20)]),
        ("bytes=50-59,0-9,5-20", [(0, 21), (50, 60)]),
        ("bytes=0-1,,200-", [(0, 2)]),
        ("bytes=100-", []),
        ("bytes=-0", []),
        ("bytes=5-4", []),
        ("bytes=" + "9" * 5000 + "-", []),
        ("bytes=0-" + "9" * 5000, [(0, 100)]),
        ("bytes=" + ",".join(["0-1"] * (MAX_RANGES + 1)), []),
    ],
)
def test_a_range_selects(field: str, expected: list[tuple[int, int]]) -> None:
    found = select_ranges(field, length_bytes=100)
    assert found == tuple(ByteRange(*pair) for pair in expected)


@pytest.mark.parametrize(
    "field",
    [
        "",
        "bytes",
        "bytes=",
        "bytes=-",
        "bytes=a-b",
        "bytes=1",
        "items=0-1",
        "bytes=1-2-3",
        "bytes=٣-٤",
    ],
)
def test_what_is_no_range_is_ignored(field: str) -> None:
    assert select_ranges(field, length_bytes=100) is None


def test_nothing_can_be_selected_of_nothing() -> None:
    assert select_ranges("bytes=0-", length_bytes=0) == ()


@given(st.text(alphabet="bytes=0123456789-, \t", max_size=60), st.integers(0, 1000))
def test_any_text_gives_ranges_inside_the_body(text: str, length: int) -> None:
    found = select_ranges("bytes=" + text, length_bytes=length)
    for selected in found or ():
        assert 0 <= selected.start < selected.stop <= length


@given(st.integers(1, 500), st.integers(0, 600), st.integers(0, 600))
def test_a_range_is_pythons_slice(length: int, first: int, last: int) -> None:
    found = select_ranges(f"bytes={first}-{last}", length_bytes=length)
    data = bytes(length)
    expected = data[first : last + 1] if first <= last else b""
    assert sum(one.stop - one.start for one in found or ()) == len(expected)


def test_content_range_counts_the_last_byte_in() -> None:
    assert content_range(ByteRange(3, 10), length_bytes=99) == "bytes 3-9/99"
    assert unsatisfied_range(length_bytes=99) == "bytes */99"


def test_byteranges_are_parts_with_their_own_content_range() -> None:
    body = Body.of([b"0123456789"], etag='"t"')
    ranges = (ByteRange(8, 10), ByteRange(0, 3))
    found = byteranges(body, ranges, content_type="a/b", boundary="X")
    assert b"".join(found.segments()) == (  # type: ignore[arg-type]
        b"--X\r\nContent-Type: a/b\r\nContent-Range: bytes 8-9/10\r\n\r\n89"
        b"\r\n--X\r\nContent-Type: a/b\r\nContent-Range: bytes 0-2/10\r\n\r\n012\r\n--X--\r\n"
    )


@pytest.mark.parametrize(
    ("if_match", "if_none_match", "expected"),
    [
        (None, None, Condition.PROCEED),
        ('"a"', None, Condition.PROCEED),
        ("*", None, Condition.PROCEED),
        ('"b", "a"', None, Condition.PROCEED),
        ('W/"a"', None, Condition.FAILED),
        ('"b"', None, Condition.FAILED),
        (None, '"a"', Condition.NOT_MODIFIED),
        (None, 'W/"a"', Condition.NOT_MODIFIED),
        (None, '"x,y", "a"', Condition.NOT_MODIFIED),
        (None, "*", Condition.NOT_MODIFIED),
        (None, '"b"', Condition.PROCEED),
        ('"b"', '"a"', Condition.FAILED),
    ],
)
def test_preconditions_are_evaluated_in_order(if_match, if_none_match, expected) -> None:
    assert evaluate(etag='"a"', if_match=if_match, if_none_match=if_none_match) is expected


@pytest.mark.parametrize(
    ("field", "applies"),
    [(None, True), ('"a"', True), (' "a" ', True), ('W/"a"', False), ('"b"', False), ("", False)],
)
def test_range_applies_only_to_the_very_same_representation(field, applies) -> None:
    assert range_applies(field, etag='"a"') is applies
