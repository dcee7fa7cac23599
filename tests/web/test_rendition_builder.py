"""The order in which renditions are built, and what is built without being asked for."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from mersey.codecs.syntaxes import HTJ2K_LOSSLESS_RPCL
from mersey.engine.archive.entry import Entry
from mersey.engine.archive.indexed_file import index_file
from mersey.engine.archive.rendition_cache import RenditionCache
from mersey.engine.archive.renditions import RenditionStore
from mersey.engine.runtime.byte_budget import ByteBudget
from mersey.engine.web.frame_forms import rendition_key_for
from mersey.engine.web.rendition_builder import RenditionBuilder
from mersey.engine.web.rendition_queue import RenditionQueue, Urgency


@pytest.fixture
def entries(sample_study) -> list[Entry]:
    """The three CT slices of the sample."""
    found = []
    for path in sample_study.ct_series:
        file = index_file(str(path.parent), path.name)
        assert file is not None
        assert file.instance is not None
        found.append(Entry(file.instance, file.path, file.stamp))
    return found


class Building:
    """A builder whose order of building is seen."""

    def __init__(
        self, root: Path, *, limit_bytes: int = 1 << 30, every=None, quiet_s: float = 0.0
    ) -> None:
        self.store = RenditionStore(root)
        self.cache = RenditionCache(root, limit_bytes=limit_bytes)
        self.built: list[str] = []
        self._executor = ThreadPoolExecutor(1)
        self.builder = RenditionBuilder(
            self.store,
            executor=self._executor,
            budget=ByteBudget(64 << 20),
            jobs=1,
            cache=self.cache,
            locate=self._locate,
            every=every,
            quiet_s=quiet_s,
        )

    def _locate(self, entry: Entry) -> Entry:
        self.built.append(entry.instance.sop_instance_uid)
        return entry

    async def until(self, count: int) -> None:
        """Run the builder until so many were built and it has nothing else to do."""
        task = asyncio.create_task(self.builder.run())
        async with asyncio.timeout(240):
            while len(list(self.store.root.rglob("*.dcm"))) < count:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.1)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        self._executor.shutdown()


def key_of(entry: Entry) -> str:
    return rendition_key_for(entry, HTJ2K_LOSSLESS_RPCL)


def uids(entries: Iterable[Entry]) -> list[str]:
    return [entry.instance.sop_instance_uid for entry in entries]


def test_what_a_client_waits_for_goes_before_what_was_asked_and_what_was_received(
    entries, tmp_path: Path
) -> None:
    received, asked, awaited = entries

    async def main() -> list[str]:
        building = Building(tmp_path, every=lambda: ())
        building.builder.received([received])
        building.builder.ask(asked, key_of(asked), target_uid=HTJ2K_LOSSLESS_RPCL)
        waiting = asyncio.create_task(
            building.builder.build(awaited, key_of(awaited), target_uid=HTJ2K_LOSSLESS_RPCL)
        )
        await asyncio.sleep(0)
        await building.until(3)
        await waiting
        return building.built

    assert asyncio.run(main()) == uids([awaited, asked, received])


def test_with_nothing_to_do_all_is_built_in_the_order_given(entries, tmp_path: Path) -> None:
    async def main() -> list[str]:
        building = Building(tmp_path, every=lambda: iter(entries))
        await building.until(3)
        return building.built

    assert asyncio.run(main()) == uids(entries)


def test_nothing_is_evicted_for_what_nobody_asked_for(entries, tmp_path: Path) -> None:
    async def main() -> list[str]:
        building = Building(tmp_path, limit_bytes=1000, every=lambda: iter(entries))
        building.builder.ask(entries[2], key_of(entries[2]), target_uid=HTJ2K_LOSSLESS_RPCL)
        building.builder.received(entries[:1])
        await building.until(1)
        return building.built

    assert asyncio.run(main()) == uids(entries[2:])
    assert RenditionStore(tmp_path).find(key_of(entries[2])) is not None


def test_without_prebuilding_what_is_received_is_left(entries, tmp_path: Path) -> None:
    async def main() -> list[str]:
        building = Building(tmp_path)
        building.builder.received(entries)
        await building.until(0)
        return building.built

    assert asyncio.run(main()) == []


def test_what_was_received_waits_for_quiet_and_what_is_asked_for_does_not(
    entries, tmp_path: Path
) -> None:
    received, asked, _ = entries

    async def main() -> list[str]:
        building = Building(tmp_path, every=lambda: (), quiet_s=3600)
        building.builder.received([received])
        building.builder.ask(asked, key_of(asked), target_uid=HTJ2K_LOSSLESS_RPCL)
        await building.until(1)
        return building.built

    assert asyncio.run(main()) == uids([asked])


def test_a_queue_gives_the_most_urgent_first_and_the_newest_of_what_was_received() -> None:
    queue: RenditionQueue[str] = RenditionQueue(limit=10)
    for key in ("r1", "r2", "r3"):
        queue.put(key, key, Urgency.RECEIVED)
    for key in ("a1", "a2"):
        queue.put(key, key, Urgency.ASKED)
    queue.put("w", "w", Urgency.AWAITED)
    queue.put("r1", "never", Urgency.ASKED)
    queue.put("a1", "never", Urgency.RECEIVED)
    assert [queue.pop() for _ in range(len(queue))] == ["w", "a1", "a2", "r1", "r3", "r2"]


def test_a_full_queue_drops_what_is_least_urgent_and_oldest() -> None:
    queue: RenditionQueue[str] = RenditionQueue(limit=2)
    assert queue.put("r1", "r1", Urgency.RECEIVED) is None
    assert queue.put("r2", "r2", Urgency.RECEIVED) is None
    assert queue.put("w1", "w1", Urgency.AWAITED) == "r1"
    assert queue.put("w2", "w2", Urgency.AWAITED) == "r2"
    assert queue.put("r3", "r3", Urgency.RECEIVED) == "r3"
