"""A RangeSet is a set of integers, whatever is put in and taken out."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from mersey.engine.transfer.range_set import RangeSet

_ENDS = st.integers(0, 30)
_STEPS = st.lists(st.tuples(st.booleans(), _ENDS, _ENDS), max_size=30)


@given(_STEPS, _ENDS, _ENDS)
def test_it_is_a_set_of_integers(steps: list[tuple[bool, int, int]], start: int, stop: int) -> None:
    ranges, integers = RangeSet(), set[int]()
    for adds, first, last in steps:
        if adds:
            ranges.add(first, last)
            integers |= set(range(first, last))
        else:
            ranges.remove(first, last)
            integers -= set(range(first, last))

    found = list(ranges)
    assert {at for one in found for at in range(one.start, one.stop)} == integers
    assert all(left.stop < right.start for left, right in pairwise(found))
    assert ranges.length_bytes == len(integers)
    assert ranges.holds(start, stop) == (set(range(start, stop)) <= integers)
    missing = list(ranges.missing(start, stop))
    asked = set(range(start, stop))
    assert {at for one in missing for at in range(one.start, one.stop)} == asked - integers
    assert all(one.start < one.stop for one in missing)
