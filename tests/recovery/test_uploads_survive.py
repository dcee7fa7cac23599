"""Uploads of tus and of the IETF whose client or server is killed at any moment.

What was acknowledged never becomes less, and what was uploaded is stored byte for byte.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from mersey.engine.client.link import Link
from mersey.engine.client.link_profile import Direction, LinkProfile, Places

sys.path.insert(0, str(Path(__file__).resolve().parent))

from faults import Faults, ReturningServer, fill, lost_of, moment, small_disk
from served_store import ServedStore, run_json, wait_until_empty
from stored_files import CONTENT_TYPE, Maker, Original, as_parts
from upload_client import Upload, start_upload

pytestmark = [pytest.mark.long, pytest.mark.timeout(2400)]

KILLS = int(os.environ.get("MERSEY_KILLS", "25"))
REQUESTS_BYTES = 4 << 10
QUEUED_BYTES = 512 << 10  # of the link, and of the sockets on its way

_PROTOCOLS: tuple[Literal["tus", "ietf"], ...] = ("tus", "ietf")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ReturningServer]:
    found = ReturningServer(tmp_path / "store")
    yield found
    found.stop()


def make_upload(protocol: Literal["tus", "ietf"], number: int) -> tuple[Upload, list[Original]]:
    """One large file, or a store request of several, in requests of one size or another."""
    maker = Maker(number)
    at_once = (256 << 10, 1 << 20, 8 << 20)[number % 3]
    if number % 2:
        originals = [maker.make("large")]
        return Upload.of(protocol, "application/dicom", originals[0].data, at_once), originals
    originals = [maker.make(kind) for kind in ["small"] * 60 + ["document"] * 20]
    return Upload.of(protocol, CONTENT_TYPE, as_parts(originals), at_once), originals


def broken_link(server: ReturningServer, seed: int) -> Link:
    up = Direction(12e6, 0.001, cuts=Places(about=4 << 20))
    return Link("127.0.0.1", server.port, profile=LinkProfile(up, Direction(None, 0.001), seed))


def may_bytes(upload: Upload, link: Link, kills: int) -> int:
    """What may travel twice: a request and what is queued for each fault, and fields."""
    piece = min(upload.at_once, len(upload.data)) + QUEUED_BYTES
    requests = len(upload.data) // upload.at_once + 3 * (kills + link.up.cuts) + link.connections
    return (kills + link.up.cuts) * piece + requests * REQUESTS_BYTES


def check_store(server: ReturningServer) -> None:
    wait_until_empty(server.store / "incoming")  # a request that was cut off may go on
    code, found = run_json("store", "verify", "--store", str(server.store), "--no-renditions")
    assert code == 0, found


@pytest.mark.parametrize("protocol", _PROTOCOLS)
def test_a_client_that_is_killed_goes_on(
    server: ReturningServer, protocol: Literal["tus", "ietf"]
) -> None:
    chance = random.Random(protocol)
    faults = Faults(f"{protocol}, client killed")
    every: list[Original] = []

    async def run(number: int) -> None:
        upload, originals = make_upload(protocol, number)
        every.extend(originals)
        kills = 0
        async with broken_link(server, number) as link:
            host = f"127.0.0.1:{link.port}"
            await asyncio.to_thread(_begun, upload, host)
            while True:
                process = await asyncio.to_thread(start_upload, upload, host)
                killing = asyncio.create_task(moment(link, chance))
                ended = asyncio.create_task(asyncio.to_thread(process.join))
                await asyncio.wait([ended, killing], return_when=asyncio.FIRST_COMPLETED)
                killing.cancel()
                process.kill()
                await ended
                if process.exitcode == 0:
                    break
                assert process.exitcode == -9
                kills += 1
            may = may_bytes(upload, link, kills)
            faults.passed(link, len(upload.data), kills=kills, may_bytes=may)

    number = 10_000
    while faults.count < KILLS:
        asyncio.run(run(number))
        number += 1
    faults.lost = lost_of(server.store, every)
    faults.show()
    assert faults.lost == 0
    check_store(server)


def test_a_server_that_is_killed_goes_on(server: ReturningServer) -> None:
    chance = random.Random(20261124)
    table = {protocol: Faults(f"{protocol}, server killed") for protocol in _PROTOCOLS}
    every: list[Original] = []

    async def run(number: int) -> None:
        """An upload of each protocol at once: a kill hits both."""
        made = [
            (*make_upload(protocol, number + place), broken_link(server, number + place))
            for place, protocol in enumerate(_PROTOCOLS)
        ]
        kills = dict.fromkeys(_PROTOCOLS, 0)
        async with made[0][2], made[1][2]:
            carrying = {
                upload.protocol: asyncio.create_task(
                    asyncio.to_thread(upload.carry, f"127.0.0.1:{link.port}")
                )
                for upload, _, link in made
            }
            while left := [one for one in carrying.values() if not one.done()]:
                link = chance.choice(
                    [link for u, _, link in made if not carrying[u.protocol].done()]
                )
                killing = asyncio.create_task(moment(link, chance, within_bytes=3 << 20))
                await asyncio.wait([*left, killing], return_when=asyncio.FIRST_COMPLETED)
                if killing.done():
                    for protocol, one in carrying.items():
                        kills[protocol] += not one.done()
                    server.kill(with_workers=chance.random() < 0.5)
                    await asyncio.to_thread(server.start)
                killing.cancel()
            for upload, originals, link in made:
                assert await carrying[upload.protocol] in (200, 204)
                every.extend(originals)
                hits = kills[upload.protocol]
                # One that was killed when nobody knew of it yet is begun anew.
                may = may_bytes(upload, link, hits)
                table[upload.protocol].passed(link, len(upload.data), kills=hits, may_bytes=may)

    number = 20_000
    while min(faults.count for faults in table.values()) < KILLS:
        asyncio.run(run(number))
        number += 5
    lost = lost_of(server.store, every)
    for faults in table.values():
        faults.lost = lost
        faults.show()
    assert lost == 0
    check_store(server)


def _begun(upload: Upload, host: str) -> None:
    """Begin, as often as a cut wants it."""
    while not upload.path:
        try:
            assert upload.begin(host) == 201
        except OSError:
            time.sleep(0.01)


@pytest.mark.parametrize("protocol", _PROTOCOLS)
def test_what_expired_while_no_server_ran_is_gone(
    server: ReturningServer, protocol: Literal["tus", "ietf"]
) -> None:
    upload, _ = make_upload(protocol, 30_000)
    host = f"127.0.0.1:{server.port}"
    assert upload.begin(host) == 201
    assert upload.append(host, 0) == 204
    server.kill(with_workers=True)
    (folder,) = (server.store / "uploads").iterdir()
    long_ago = time.time() - 1.5 * 86400
    os.utime(folder / "journal", (long_ago, long_ago))
    server.start()
    assert upload.look(host)[0] in (404, 410)
    assert upload.append(host, upload.told.value) in (404, 410)
    deadline = time.monotonic() + 240
    while (folder / "data").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("protocol", _PROTOCOLS)
def test_a_full_disk_takes_what_fits_and_goes_on_when_there_is_space(
    tmp_path: Path, protocol: Literal["tus", "ietf"]
) -> None:
    with small_disk(tmp_path / "disk", size_mb=48) as disk:
        _upload_to_full_disk(disk, protocol)


def _upload_to_full_disk(disk: Path, protocol: Literal["tus", "ietf"]) -> None:
    store = disk / "store"
    server = ServedStore(store)
    try:
        upload, originals = make_upload(protocol, 40_003)
        assert upload.begin(server.host) == 201
        ballast = fill(disk, leave_bytes=2 << 20)
        assert upload.carry(server.host) == 507
        status, offset = upload.look(server.host)
        assert status in (200, 204)
        assert 0 < offset < len(upload.data)
        later = make_upload(protocol, 40_005)[0]
        assert later.begin(server.host) == 507  # it says how long it is
        ballast.unlink()
        assert upload.carry(server.host) in (200, 204)
        assert later.carry(server.host) in (200, 204)
    finally:
        server.stop()
    assert lost_of(store, originals) == 0
    code, found = run_json("store", "verify", "--store", str(store), "--no-renditions")
    assert code == 0, found
