"""Percentiles by nearest rank, against the definition."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mersey.codecs.errors import UsageError
from mersey.engine.client.latency import Latencies, percentile

VALUES = st.lists(st.floats(0, 1e3, allow_nan=False), min_size=1, max_size=50).map(sorted)


@pytest.mark.parametrize(
    ("percent", "expected"), [(0, 1), (5, 1), (50, 10), (51, 11), (90, 18), (99, 20), (100, 20)]
)
def test_a_percentile_of_twenty_values_is_one_of_them(percent: float, expected: int) -> None:
    assert percentile(range(1, 21), percent) == expected


@given(values=VALUES, percent=st.integers(0, 100))
def test_a_percentile_is_the_smallest_value_that_enough_do_not_exceed(values, percent) -> None:
    found = percentile(values, percent)
    needed = len(values) * percent / 100
    assert found in values
    assert sum(value <= found for value in values) >= needed
    assert sum(value < found for value in values) < max(needed, 1)


@pytest.mark.parametrize("percent", [-1, 101, math.nan])
def test_there_is_no_percentile_outside_of_hundred(percent: float) -> None:
    with pytest.raises(UsageError, match="percentile"):
        percentile([1.0], percent)


def test_nothing_has_no_percentiles() -> None:
    with pytest.raises(UsageError, match="nothing"):
        percentile([], 50)
    assert Latencies.of([]).summary() == {}


def test_latencies_are_summed_up_in_seconds() -> None:
    summary = Latencies.of([0.3, 0.1, 0.2]).summary()
    assert summary == {"p50": 0.2, "p90": 0.3, "p99": 0.3, "max": 0.3, "mean": pytest.approx(0.2)}
