"""A cache that weighs what it holds."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from mersey.engine.archive.bounded_cache import BoundedCache


def test_what_was_used_longest_ago_goes_first() -> None:
    cache: BoundedCache[str, bytes] = BoundedCache(limit_bytes=10, weigh=len)
    cache.put("a", b"1234")
    cache.put("b", b"1234")
    assert cache.get("a") == b"1234"
    cache.put("c", b"1234")
    assert cache.get("b") is None
    assert cache.get("a") == b"1234"


@given(st.lists(st.tuples(st.integers(0, 5), st.binary(max_size=12)), max_size=40))
def test_the_limit_holds_whatever_is_put_in(puts) -> None:
    cache: BoundedCache[int, bytes] = BoundedCache(limit_bytes=20, weigh=len)
    for key, value in puts:
        cache.put(key, value)
        assert cache.held_bytes <= 20
        assert cache.get(key) == value
    held = [value for key in range(6) if (value := cache.get(key)) is not None]
    assert sum(map(len, held)) == cache.held_bytes


def test_what_is_heavier_than_the_limit_is_not_kept() -> None:
    cache: BoundedCache[str, bytes] = BoundedCache(limit_bytes=3, weigh=len)
    cache.put("a", b"12")
    cache.put("a", b"1234")
    assert cache.get("a") is None
    assert len(cache) == 0
