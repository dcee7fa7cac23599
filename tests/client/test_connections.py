"""How many connections, when to try again, how fast: all of it decided, none of it waited for."""

from __future__ import annotations

import asyncio
import random

import pytest
from mersey.codecs.errors import TransferError, UsageError
from mersey.engine.client.connections import Backoff, Concurrency, Connections, tried_again
from mersey.engine.client.rates import RateLimit, parse_rate
from mersey.engine.client.remote import RefusedByPeerError
from mersey.engine.client.wire_choice import WireChoice


def test_connections_are_added_while_they_make_it_faster() -> None:
    found = Concurrency(most=8)
    for _ in range(20):
        found.measured(min(found.limit, 4) * 10e6)
        assert found.limit <= 8
    assert 4 <= found.limit <= 5


def test_a_failure_halves_the_connections() -> None:
    found = Concurrency(most=16, start=12)
    found.failed()
    assert found.limit == 6


@pytest.mark.parametrize("chance", [0.0, 0.5, 0.999])
def test_the_time_between_tries_doubles_up_to_a_limit_and_honours_retry_after(chance) -> None:
    backoff = Backoff(first_s=1, longest_s=10)
    delays = [backoff.delay_s(tries, chance=chance) for tries in range(1, 9)]
    assert delays == sorted(delays)
    assert delays[0] >= 0.5
    assert delays[-1] <= 10
    assert backoff.delay_s(1, chance=chance, retry_after_s=7) >= 7
    assert backoff.delay_s(1, chance=chance, retry_after_s=1e9) < 200


def try_out(errors: list[Exception]) -> tuple[int, list[float]]:
    """How many errors were left when it succeeded, and the waits before."""
    waits: list[float] = []

    async def call() -> int:
        if errors:
            raise errors.pop(0)
        return 0

    async def sleep(delay_s: float) -> None:
        waits.append(delay_s)

    backoff = Backoff(most_tries=3)
    asyncio.run(tried_again(call, backoff=backoff, chance=random.Random(1), sleep=sleep))
    return len(errors), waits


def test_what_may_pass_is_tried_again() -> None:
    left, waits = try_out([TransferError("x"), RefusedByPeerError("x", status=503)])
    assert (left, len(waits)) == (0, 2)


@pytest.mark.parametrize("status", [400, 401, 404, 412, 507])
def test_what_the_server_does_not_want_is_final(status) -> None:
    errors: list[Exception] = [RefusedByPeerError("x", status=status), TransferError("never")]
    with pytest.raises(RefusedByPeerError):
        try_out(errors)
    assert len(errors) == 1


def test_tries_are_counted_anew_when_bytes_came() -> None:
    errors: list[Exception] = [TransferError("x", resume_from=at) for at in range(10)]
    assert try_out(errors)[0] == 0
    with pytest.raises(TransferError):
        try_out([TransferError("x", resume_from=5) for _ in range(10)])


def test_every_piece_is_carried_once_and_a_failure_ends_all() -> None:
    async def pieces():
        for number in range(50):
            yield number

    moved: list[int] = []

    async def move(number: int) -> None:
        await asyncio.sleep(0)
        moved.append(number)

    asyncio.run(Connections(most=4).carry(pieces(), move))
    assert sorted(moved) == list(range(50))

    async def refuse(number: int) -> None:
        raise RefusedByPeerError("no", status=403)

    with pytest.raises(RefusedByPeerError):
        asyncio.run(Connections(most=4).carry(pieces(), refuse))


@pytest.mark.parametrize(
    ("text", "rate"),
    [("20mbit", 2.5e6), ("2.5MB", 2.5e6), ("500kB/s", 5e5), ("1MiB", 1 << 20), ("5M", 5e6)],
)
def test_rates_are_read(text, rate) -> None:
    assert parse_rate(text) == rate


@pytest.mark.parametrize("text", ["", "fast", "-1mbit", "0", "1 parsec", "1e9"])
def test_what_is_no_rate_is_refused(text) -> None:
    with pytest.raises(UsageError):
        parse_rate(text)


def test_a_limit_lets_no_more_pass_than_its_rate() -> None:
    now = 0.0

    async def sleep(delay_s: float) -> None:
        nonlocal now
        now += delay_s

    async def run() -> None:
        limit = RateLimit(1e6, clock=lambda: now, sleep=sleep)
        for _ in range(100):
            await limit.take(100_000)

    asyncio.run(run())
    assert 9.8 < now < 10.1


def test_a_slow_link_gets_the_smaller_form_and_a_fast_one_the_stored() -> None:
    slow, fast = WireChoice(2), WireChoice(2)
    slow.measured_link(2.5e6)
    fast.measured_link(1e9)
    assert (slow.choose(), fast.choose()) == ("htj2k", "as-stored")
    slow.measured_ratio("htj2k", length_bytes=100, size_bytes=100)
    slow.measured_ratio("zstd", length_bytes=50, size_bytes=100)
    assert slow.choose() == "zstd"
