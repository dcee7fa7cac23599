"""Resolution-major order: what comes first, and that everything comes once."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mersey.engine.transfer.resolution_order import (
    FrameOrder,
    first_piece,
    later_pieces,
    order_frames,
    plan_pieces,
)


@st.composite
def cut_tables(draw) -> list[tuple[int, ...]]:
    """Cut points of some frames: growing lengths, the longest first; now and then one adds none."""
    tables = []
    for _ in range(draw(st.integers(0, 12))):
        steps = draw(st.lists(st.integers(0, 50), max_size=6))
        length = draw(st.integers(1, 50))
        lengths = [length]
        for step in steps:
            length += step
            lengths.append(length)
        tables.append(tuple(reversed(lengths)))
    return tables


def test_middle_out_begins_in_the_middle_and_goes_to_both_sides() -> None:
    assert order_frames(5, FrameOrder.MIDDLE_OUT) == [2, 3, 1, 4, 0]
    assert order_frames(4, FrameOrder.MIDDLE_OUT) == [1, 2, 0, 3]


def test_stride_is_spread_over_the_whole_at_every_moment() -> None:
    assert order_frames(9, FrameOrder.STRIDE) == [0, 8, 4, 2, 6, 1, 3, 5, 7]
    for count in (300, 257, 256):
        frames = order_frames(count, FrameOrder.STRIDE)
        held = sorted(frames[:40])
        assert max(right - left for left, right in pairwise(held)) <= 16


@given(st.integers(0, 400), st.sampled_from(FrameOrder))
def test_every_order_has_every_frame_once(count: int, order: FrameOrder) -> None:
    assert sorted(order_frames(count, order)) == list(range(count))


@given(cut_tables(), st.sampled_from(FrameOrder), st.integers(0, 8))
def test_every_byte_up_to_the_last_resolution_comes_once_and_in_order(tables, order, until) -> None:
    held = [0] * len(tables)
    for piece in plan_pieces(tables, order=order, until=until):
        assert piece.start == held[piece.frame]
        assert piece.length_bytes > 0
        held[piece.frame] = piece.stop
    assert held == [cuts[min(until, len(cuts) - 1)] for cuts in tables]


@given(cut_tables(), st.sampled_from(FrameOrder), st.integers(0, 8))
def test_a_piece_says_the_sharpest_image_that_is_complete_with_it(tables, order, until) -> None:
    for piece in plan_pieces(tables, order=order, until=until):
        cuts = tables[piece.frame]
        assert cuts[piece.reduction] == cuts[piece.cut] == piece.stop
        last = min(until, len(cuts) - 1)
        assert piece.reduction >= last
        assert piece.reduction == last or cuts[piece.reduction - 1] > piece.stop


@given(cut_tables(), st.sampled_from(FrameOrder))
def test_no_frame_is_sharpened_before_all_others_have_what_comes_before(tables, order) -> None:
    stages = []
    begun = set()
    for piece in plan_pieces(tables, order=order):
        if piece.start or len(tables[piece.frame]) == 1:
            stages.append(piece.cut)
        else:
            assert not stages
        begun.add(piece.frame)
    assert stages == sorted(stages, reverse=True)
    assert begun == set(range(len(tables)))


@given(cut_tables(), st.sampled_from(FrameOrder), st.integers(0, 8))
def test_the_smallest_images_come_first_in_the_order_of_frames(tables, order, until) -> None:
    """So the beginning depends on no other frame's cut points, which may not be known yet."""
    can_be_cut = [frame for frame in order_frames(len(tables), order) if len(tables[frame]) > 1]
    pieces = list(plan_pieces(tables, order=order, until=until))
    first = [first_piece(tables[frame], frame=frame, until=until) for frame in can_be_cut]
    assert pieces[: len(first)] == first
    assert [piece.frame for piece in pieces[: len(first)]] == can_be_cut
    assert list(later_pieces(tables, order=order, until=until)) == pieces[len(first) :]


@given(cut_tables(), st.sampled_from(FrameOrder), st.integers(0, 8), st.integers(0, 11))
def test_a_frame_that_is_not_there_changes_nothing_for_the_others(
    tables, order, until, gone
) -> None:
    without = [() if at == gone else cuts for at, cuts in enumerate(tables)]
    there = later_pieces(tables, order=order, until=until)
    expected = [piece for piece in there if piece.frame != gone]
    assert list(later_pieces(without, order=order, until=until)) == expected


def test_stopping_early_gives_the_beginning_of_what_not_stopping_gives() -> None:
    tables = [(900, 300, 100), (800, 200, 90), (700, 150, 80)]
    whole = list(plan_pieces(tables, order=FrameOrder.MIDDLE_OUT))
    for until in (1, 2):
        part = list(plan_pieces(tables, order=FrameOrder.MIDDLE_OUT, until=until))
        assert part == whole[: len(part)]
        assert {piece.reduction for piece in part} == set(range(until, 3))


def test_a_frame_that_cannot_be_cut_comes_whole_and_last() -> None:
    pieces = list(plan_pieces([(500,), (900, 300)], order=FrameOrder.IN_ORDER, until=1))
    assert [(piece.frame, piece.reduction, piece.stop) for piece in pieces] == [
        (1, 1, 300),
        (0, 0, 500),
    ]


@pytest.mark.parametrize("order", FrameOrder)
def test_no_frames_give_no_pieces(order: FrameOrder) -> None:
    assert list(plan_pieces([], order=order)) == []
