"""Times are read as people write them, and nothing else is."""

from __future__ import annotations

import pytest
from mersey.codecs.errors import UsageError
from mersey.engine.client.rates import parse_time


@pytest.mark.parametrize(("text", "seconds"), [("40ms", 0.04), ("0.1s", 0.1), (" 2 s ", 2.0)])
def test_times_are_read(text: str, seconds: float) -> None:
    assert parse_time(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["40", "ms", "-1ms", "1e3ms", "40 min", "٤ms"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="no time"):
        parse_time(text)
