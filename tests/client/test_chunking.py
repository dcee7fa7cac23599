"""Chunks cover exactly what is missing, and end where items end."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from mersey.engine.client.chunking import plan_chunks
from mersey.engine.transfer.manifest import Item, Manifest
from mersey.engine.transfer.range_set import RangeSet


def manifest_of(lengths: list[int]) -> Manifest:
    items, at = [], 0
    for number, length in enumerate(lengths):
        items.append(Item("1", "2", f"3.{number}", length, "0" * 64, "stored", at, length))
        at += length
    return Manifest('"x"', tuple(items))


def test_small_items_travel_together_and_a_large_one_in_slices() -> None:
    manifest = manifest_of([3, 4, 5, 25, 2])
    found = plan_chunks(manifest, RangeSet().missing(0, 39), chunk_bytes=10)
    assert [(one.start, one.stop) for one in found] == [
        (0, 7),
        (7, 12),
        (12, 22),
        (22, 32),
        (32, 39),
    ]


def test_long_items_are_alone_where_that_is_asked_for() -> None:
    manifest = manifest_of([3, 4, 6, 2, 25, 2, 1])
    found = plan_chunks(manifest, RangeSet().missing(1, 43), chunk_bytes=10, alone_bytes=6)
    assert [(one.start, one.stop) for one in found] == [
        (1, 7),
        (7, 13),
        (13, 15),
        (15, 25),
        (25, 35),
        (35, 40),
        (40, 43),
    ]


@given(
    st.lists(st.integers(1, 50), min_size=1, max_size=20),
    st.lists(st.tuples(st.integers(0, 300), st.integers(0, 60)), max_size=8),
    st.sampled_from([None, 1, 10, 20]),
)
def test_chunks_are_what_is_missing_and_none_is_too_long(lengths, there, alone) -> None:
    manifest = manifest_of(lengths)
    held = RangeSet()
    for start, length in there:
        held.add(start, min(start + length, manifest.length_bytes))
    missing = list(held.missing(0, manifest.length_bytes))
    chunks = list(plan_chunks(manifest, missing, chunk_bytes=16, alone_bytes=alone))
    assert all(0 < one.stop - one.start <= 16 for one in chunks)
    for one in chunks:
        held.add(one.start, one.stop)
    assert held.holds(0, manifest.length_bytes)
    assert sum(one.stop - one.start for one in chunks) == sum(m.stop - m.start for m in missing)
