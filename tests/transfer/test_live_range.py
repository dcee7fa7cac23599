"""Range of what is still being made: what is asked for when no length is known."""

from __future__ import annotations

import pytest
from mersey.engine.transfer.live_range import (
    LIVE_END,
    ends_with_all,
    live_content_range,
    live_range,
    live_start,
)
from mersey.engine.transfer.ranges import ByteRange, select_ranges


def test_what_is_asked_for_as_it_comes_begins_where_it_says() -> None:
    assert live_range(700) == "bytes=700-9007199254740991"
    assert live_start(live_range(700)) == 700
    assert live_content_range(700) == "bytes 700-9007199254740991/*"


def test_of_what_has_a_length_the_same_field_selects_the_rest() -> None:
    assert select_ranges(live_range(700), length_bytes=1000) == (ByteRange(700, 1000),)


@pytest.mark.parametrize(
    "field", ["bytes=700-", "bytes=700-999", "bytes=-5", "bytes=5-1", "lines=1-", "bytes=1-2,9-"]
)
def test_other_ranges_do_not_ask_for_what_comes(field) -> None:
    assert live_start(field) is None


@pytest.mark.parametrize("field", ["bytes=0-", "bytes=0-9,20-29", "lines=3-", "bytes=x"])
def test_what_selects_all_or_need_not_be_honoured_is_answered_with_all(field) -> None:
    assert ends_with_all(field)


@pytest.mark.parametrize("field", ["bytes=1-", "bytes=0-9", "bytes=-9", "bytes=5-1"])
def test_every_other_range_needs_the_length(field) -> None:
    assert not ends_with_all(field)


def test_the_end_is_one_that_numbers_of_a_page_can_hold() -> None:
    assert float(LIVE_END) == LIVE_END
    assert int(float(LIVE_END)) == LIVE_END
