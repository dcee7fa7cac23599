"""A byte budget bounds what is in flight and lets everyone through in turn."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st
from mersey.engine.runtime.byte_budget import ByteBudget


@given(
    limit=st.integers(1, 100),
    weights=st.lists(st.integers(0, 150), min_size=1, max_size=30),
    cancelled=st.sets(st.integers(0, 29)),
)
def test_no_more_than_the_limit_is_in_flight_and_nobody_is_forgotten(
    limit: int, weights: list[int], cancelled: set[int]
) -> None:
    async def scene() -> None:
        budget = ByteBudget(limit)
        in_flight: list[int] = []
        passed = set()

        async def work(number: int, weight: int) -> None:
            async with budget.hold(weight):
                in_flight.append(weight)
                assert sum(in_flight) <= limit or sum(map(bool, in_flight)) == 1
                try:
                    await asyncio.sleep(0)
                finally:
                    in_flight.remove(weight)
                passed.add(number)

        tasks = [asyncio.create_task(work(n, weight)) for n, weight in enumerate(weights)]
        await asyncio.sleep(0)
        for number in cancelled:
            if number < len(tasks):
                tasks[number].cancel()
        ends = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(end is None or isinstance(end, asyncio.CancelledError) for end in ends)
        assert budget.taken_bytes == 0
        assert passed | cancelled >= set(range(len(weights)))

    asyncio.run(scene())


def test_a_piece_heavier_than_the_budget_passes_alone() -> None:
    async def scene() -> None:
        budget = ByteBudget(10)
        assert budget.try_take(1000)
        assert not budget.try_take(1)
        budget.give_back(1000)
        assert budget.try_take(10)

    asyncio.run(scene())


def test_a_light_piece_does_not_overtake_a_heavy_one_that_waits() -> None:
    async def scene() -> None:
        budget = ByteBudget(10)
        await budget.take(6)
        order = []

        async def wait(weight: int) -> None:
            await budget.take(weight)
            order.append(weight)

        async with asyncio.TaskGroup() as group:
            group.create_task(wait(8))
            await asyncio.sleep(0)
            group.create_task(wait(1))
            await asyncio.sleep(0)
            assert order == []
            budget.give_back(6)
        assert order == [8, 1]

    asyncio.run(scene())
