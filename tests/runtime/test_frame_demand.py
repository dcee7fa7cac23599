"""Which runs of frames are encoded first, and who gets them."""

from __future__ import annotations

import asyncio

from mersey.engine.runtime.frame_demand import FrameDemand, FrameWish

RUNS = [range(4, 8), range(8, 12), range(12, 16), range(16, 18)]


async def nothing(first: int, pieces) -> None:
    pass


def test_without_a_wish_runs_come_in_their_order() -> None:
    assert list(FrameDemand().runs(RUNS)) == RUNS


def test_the_run_with_the_frame_wanted_most_comes_first() -> None:
    demand = FrameDemand()
    demand.add(FrameWish([9, 10, 17, 8, 5], take=nothing))
    assert list(demand.runs(RUNS)) == [RUNS[1], RUNS[3], RUNS[0], RUNS[2]]


def test_frames_that_were_encoded_before_are_wanted_in_vain() -> None:
    demand = FrameDemand()
    demand.begin(18, first=4)
    demand.add(FrameWish([0, 1, 2, 3, 13], take=nothing))
    assert next(demand.runs(RUNS)) == RUNS[2]
    assert [demand.has_passed(index) for index in (3, 4, 99)] == [True, False, False]


def test_what_is_wanted_may_change_meanwhile() -> None:
    demand = FrameDemand()
    early, late = FrameWish([12], take=nothing), FrameWish([16, 8], take=nothing)
    runs = demand.runs(RUNS)
    assert next(runs) == RUNS[0]
    demand.add(early)
    assert next(runs) == RUNS[2]
    demand.add(late)
    assert next(runs) == RUNS[3]
    demand.remove(late)
    demand.remove(early)
    assert list(runs) == [RUNS[1]]


def test_every_reader_takes_what_is_encoded_and_knows_what_it_missed() -> None:
    async def main() -> None:
        taken: list[tuple[str, int, int]] = []

        def wish(name: str) -> FrameWish:
            async def take(first: int, pieces) -> None:
                taken.append((name, first, len(pieces)))

            return FrameWish([], take=take)

        demand, one, other = FrameDemand(), wish("one"), wish("other")
        demand.begin(18, first=0)
        demand.add(one)
        await demand.made(4, 4, [b""] * 4)
        assert not other.has_passed(4)
        demand.add(other)
        await demand.made(8, 4, [b""] * 4)
        demand.remove(one)
        await demand.made(12, 4, [b""] * 4)
        assert taken == [("one", 4, 4), ("one", 8, 4), ("other", 8, 4), ("other", 12, 4)]
        assert [other.has_passed(index) for index in (3, 4, 15, 16)] == [False, True, True, False]

    asyncio.run(main())


def test_news_wake_who_waits_even_where_they_came_before() -> None:
    async def main() -> None:
        demand, wish = FrameDemand(), FrameWish([], take=nothing)
        demand.begin(4, first=0)
        demand.add(wish)
        await demand.made(0, 2, [b"", b""])
        async with asyncio.timeout(30):
            await wish.news()
            waiting = asyncio.create_task(wish.news())
            await asyncio.sleep(0)
            assert not waiting.done()
            wish.tell()
            await waiting

    asyncio.run(main())
