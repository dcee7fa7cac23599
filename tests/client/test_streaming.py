"""stream_series: a volume that sharpens, over wires that break."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from urllib.parse import urlsplit

import numpy as np
import pytest
from mersey.codecs.errors import ResourceError, TransferError, UsageError
from mersey.engine.client.connections import Backoff
from mersey.engine.client.streaming import SeriesUpdate, StreamSettings, stream_series

QUICK = StreamSettings(backoff=Backoff(first_s=0.001, longest_s=0.01, most_tries=4))


async def taken(url: str, **options) -> list[tuple[SeriesUpdate, np.ndarray | None]]:
    """All updates, each with the volume as it was then."""
    options.setdefault("settings", QUICK)
    found = []
    async with aclosing(stream_series(url, **options)) as updates:
        async for update in updates:
            found.append((update, update.volume.copy()))
    return found


def test_the_volume_is_exact_after_the_last_byte(served) -> None:
    updates = asyncio.run(taken(served.url))
    last, volume = updates[-1]
    assert last.is_complete
    assert last.received_bytes == last.total_bytes
    assert last.reductions.tolist() == [0] * len(served.samples)
    assert volume.dtype == served.samples.dtype
    assert np.array_equal(volume, served.samples)


def test_every_frame_only_ever_becomes_sharper(served) -> None:
    updates = asyncio.run(taken(served.url))
    before = np.full(len(served.samples), 127)
    for update, _ in updates:
        now = np.where(update.reductions < 0, 127, update.reductions)
        assert (now <= before).all()
        assert update.changed
        assert all(now[index] < before[index] for index in update.changed)
        before = now
    assert [update.is_complete for update, _ in updates].count(True) == 1


def test_a_low_resolution_is_shown_in_blocks_and_told(served) -> None:
    updates = asyncio.run(taken(served.url, until=3))
    last, volume = updates[-1]
    assert last.reduction == 3
    assert last.is_complete
    assert volume.shape == served.samples.shape
    blocks = volume.reshape(len(volume), 20, 8, 20, 8)
    assert (blocks == blocks[:, :, :1, :, :1]).all()
    means = served.samples.reshape(blocks.shape).mean(axis=(2, 4))
    assert np.abs(blocks[:, :, 0, :, 0] - means).mean() < 150


def test_the_volume_can_be_as_small_as_what_comes(served) -> None:
    small = asyncio.run(taken(served.url, until=3, reduced=True))[-1][1]
    blocks = asyncio.run(taken(served.url, until=3))[-1][1]
    assert small.shape == (len(served.samples), 20, 20)
    assert np.array_equal(small, blocks[:, ::8, ::8])


def test_one_instance_is_streamed_alone(served) -> None:
    updates = asyncio.run(taken(f"{served.url}/instances/1.2.7.3"))
    assert np.array_equal(updates[-1][1], served.samples[2:3])


@pytest.mark.parametrize("order", ["in-order", "stride"])
def test_any_order_ends_with_the_same_volume(served, order) -> None:
    assert np.array_equal(asyncio.run(taken(served.url, order=order))[-1][1], served.samples)


def test_a_stream_that_breaks_goes_on_where_it_was(served, wire) -> None:
    async def over_the_wire() -> list[tuple[SeriesUpdate, np.ndarray | None]]:
        async with wire.open() as place:
            return await taken(served.url.replace(urlsplit(served.url).netloc, place))

    wire.cuts = [900, 5000, 1500, 300, 30_000, 2]
    updates = asyncio.run(over_the_wire())
    assert np.array_equal(updates[-1][1], served.samples)
    assert len(wire.carried) == 7
    total = updates[-1][0].total_bytes
    assert total is not None
    # Heads of answers, and what was on its way when a connection broke.
    assert sum(wire.carried) < total + 7 * 1000


def test_a_server_that_stays_away_is_given_up(served, wire) -> None:
    async def over_the_wire() -> None:
        async with wire.open() as place:
            await taken(served.url.replace(urlsplit(served.url).netloc, place))

    wire.cuts = [2000] + [0] * 20
    with pytest.raises(TransferError):
        asyncio.run(over_the_wire())


def test_leaving_early_ends_the_connection(served) -> None:
    async def first() -> SeriesUpdate:
        async with aclosing(stream_series(served.url, settings=QUICK)) as updates:
            async for update in updates:
                return update
        raise AssertionError

    async def alone() -> int:
        await first()
        return len(asyncio.all_tasks())

    assert asyncio.run(alone()) == 1


def test_a_volume_that_would_be_too_large_is_not_begun(served) -> None:
    with pytest.raises(ResourceError):
        asyncio.run(taken(served.url, settings=StreamSettings(most_bytes=1000)))


def test_what_is_no_series_is_refused(served) -> None:
    with pytest.raises(UsageError):
        asyncio.run(taken(served.base + "/studies/1.2.7"))
    with pytest.raises(TransferError):
        asyncio.run(taken(served.url + ".9"))
