"""A push whose client or server is killed at any moment: it goes on, and nothing is lost.

What the link carried up is counted. After a kill at most a chunk of each connection travels
again, after a cut or a flipped byte a chunk; beside it digests, manifests and fields.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from mersey.codecs.errors import MerseyError
from mersey.engine.client.link import Link
from mersey.engine.client.link_profile import Direction, LinkProfile, Places

sys.path.insert(0, str(Path(__file__).resolve().parent))

from faults import Faults, ReturningServer, fill, lost_of, moment, small_disk
from push_client import CHUNK_BYTES, CONNECTIONS, push_all, start_push
from served_store import rows_of, run_json, wait_until_empty
from stored_files import Maker, Original

pytestmark = [pytest.mark.long, pytest.mark.timeout(2400)]

KILLS = int(os.environ.get("MERSEY_KILLS", "25"))
REQUESTS_BYTES = 64 << 10
"""Digests, manifests and fields of what begins anew."""

_RATE = 12e6


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ReturningServer]:
    found = ReturningServer(tmp_path / "store")
    yield found
    found.stop()


def make_study(folder: Path, number: int) -> list[Original]:
    """Small instances, some that zstd makes smaller, and one of many chunks: about 6 MB."""
    maker = Maker(number)
    kinds = ["small"] * 24 + ["document"] * 2 + ["large"]
    originals = [maker.make(kind) for kind in kinds]
    folder.mkdir()
    for one in originals:
        (folder / f"{one.uid}.dcm").write_bytes(one.data)
    return originals


def broken_link(server: ReturningServer, seed: int) -> Link:
    """Some cuts and flips each push, beside what is killed."""
    up = Direction(_RATE, 0.001, cuts=Places(about=3 << 20), flips=Places(about=4 << 20))
    down = Direction(_RATE, 0.001, cuts=Places(about=64 << 10))
    return Link("127.0.0.1", server.port, profile=LinkProfile(up, down, seed))


def may_bytes(link: Link, kills: int, tries: int) -> int:
    """What may travel twice: a chunk for each connection that broke, and what begins anew."""
    again = kills * CONNECTIONS + link.up.cuts + link.up.flips
    return again * CHUNK_BYTES + (again + tries) * REQUESTS_BYTES


def check_store(server: ReturningServer, count: int) -> None:
    assert len(rows_of(server.store)) == count
    # Of a push that was killed at its very end the journal stays, until it expires.
    assert not list((server.store / "inbound").rglob("*.part"))
    assert not list((server.store / "inbound").rglob("*.whole"))
    wait_until_empty(server.store / "incoming")
    code, found = run_json("store", "verify", "--store", str(server.store), "--no-renditions")
    assert code == 0, found


async def push_until_killed(link: Link, chance: random.Random, folder: Path, wire: str) -> bool:
    """Whether the push came to its end, and all had arrived."""
    url = f"http://127.0.0.1:{link.port}"
    process = await asyncio.to_thread(start_push, folder, url, wire)
    killing = asyncio.create_task(moment(link, chance))
    ended = asyncio.create_task(asyncio.to_thread(process.join))
    await asyncio.wait([ended, killing], return_when=asyncio.FIRST_COMPLETED)
    killing.cancel()
    process.kill()
    await ended
    return process.exitcode == 0


def test_a_client_that_is_killed_goes_on(server: ReturningServer, tmp_path: Path) -> None:
    chance = random.Random(20261124)
    faults = Faults("push, client killed")
    every: list[Original] = []

    async def run(number: int) -> None:
        folder = tmp_path / str(number)
        originals = make_study(folder, 100 + number)
        every.extend(originals)
        wire = "zstd" if number % 3 == 2 else "as-stored"
        tries = 1
        async with broken_link(server, number) as link:
            while not await push_until_killed(link, chance, folder, wire):
                tries += 1
            once = sum(len(one.data) for one in originals)
            may = may_bytes(link, tries - 1, tries)
            faults.passed(link, once, kills=tries - 1, may_bytes=may)

    number = 0
    while faults.count < KILLS:
        asyncio.run(run(number))
        number += 1
    faults.lost = lost_of(server.store, every)
    faults.show()
    assert faults.lost == 0
    check_store(server, len(every))


def test_a_server_that_is_killed_goes_on(server: ReturningServer, tmp_path: Path) -> None:
    chance = random.Random(20261201)
    faults = Faults("push, server killed")
    every: list[Original] = []

    async def run(number: int) -> None:
        folder = tmp_path / str(number)
        originals = make_study(folder, 500 + number)
        every.extend(originals)
        kills, tries = 0, 1
        async with broken_link(server, number) as link:
            url = f"http://127.0.0.1:{link.port}"
            pushing = asyncio.create_task(push_all(folder, url))
            while True:
                killing = asyncio.create_task(moment(link, chance))
                await asyncio.wait([pushing, killing], return_when=asyncio.FIRST_COMPLETED)
                killing.cancel()
                if not pushing.done():
                    server.kill(with_workers=chance.random() < 0.5)
                    kills += 1
                    await asyncio.to_thread(server.start)
                    continue
                try:
                    report = await pushing
                except MerseyError:  # a flipped byte in a field: the same command again
                    tries += 1
                    assert tries < 10
                    pushing = asyncio.create_task(push_all(folder, url))
                else:
                    assert not report.failed
                    break
            once = sum(len(one.data) for one in originals)
            may = may_bytes(link, kills, tries + kills)
            faults.passed(link, once, kills=kills, may_bytes=may)

    number = 0
    while faults.count < KILLS:
        asyncio.run(run(number))
        number += 1
    faults.lost = lost_of(server.store, every)
    faults.show()
    assert faults.lost == 0
    check_store(server, len(every))


def test_a_link_that_cuts_and_flips_brings_every_byte(
    server: ReturningServer, tmp_path: Path
) -> None:
    faults = Faults("push, link breaks")
    every: list[Original] = []

    async def run(number: int) -> None:
        folder = tmp_path / str(number)
        originals = make_study(folder, 900 + number)
        every.extend(originals)
        up = Direction(cuts=Places(about=700_000), flips=Places(about=900_000))
        profile = LinkProfile(up, Direction(cuts=Places(about=30_000)), seed=number)
        async with Link("127.0.0.1", server.port, profile=profile) as link:
            tries, report = 0, None
            while report is None:
                tries += 1
                try:
                    report = await push_all(folder, f"http://127.0.0.1:{link.port}")
                except MerseyError:  # a flipped byte in a field: the same command again
                    assert tries < 10
            assert not report.failed
            once = sum(len(one.data) for one in originals)
            faults.passed(link, once, kills=0, may_bytes=may_bytes(link, 0, tries))

    for number in range(max(2, KILLS // 10)):
        asyncio.run(run(number))
    faults.lost = lost_of(server.store, every)
    faults.show()
    assert faults.lost == 0
    assert min(faults.cuts, faults.flips) >= 5 * min(faults.resumed, 2)
    check_store(server, len(every))


def test_a_disk_that_fills_up_takes_the_rest_when_there_is_space(tmp_path: Path) -> None:
    originals = make_study(tmp_path / "study", 2000)
    with small_disk(tmp_path / "disk", size_mb=160) as disk:
        server = ReturningServer(disk / "store")
        try:
            asyncio.run(_push_to_full_disk(server, disk, tmp_path / "study"))
        finally:
            server.stop()
        assert lost_of(server.store, originals) == 0
        check_store(server, len(originals))


async def _push_to_full_disk(server: ReturningServer, disk: Path, folder: Path) -> None:
    profile = LinkProfile(up=Direction(3e6))
    async with Link("127.0.0.1", server.port, profile=profile) as link:
        url = f"http://127.0.0.1:{link.port}"
        pushing = asyncio.create_task(push_all(folder, url))
        while link.up.passed_bytes < 2 << 20:
            assert not pushing.done()
            await asyncio.sleep(0.01)
        ballast = fill(disk, leave_bytes=256 << 10)
        with pytest.raises(MerseyError, match="full"):
            await pushing
        ballast.unlink()
        report = await push_all(folder, url)
        assert not report.failed
        assert report.new + report.same == report.instances
        once = sum(path.stat().st_size for path in folder.iterdir())
        assert link.up.passed_bytes - once <= may_bytes(link, 1, 2)
