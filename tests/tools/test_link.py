"""The link delivers what it may, when it may, and breaks exactly where it is told to."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest
from link import main
from mersey.codecs.errors import UsageError
from mersey.engine.client.link import Link
from mersey.engine.client.link_profile import Direction, Lane, LinkProfile, Places, Stall

PAYLOAD = Random(1).randbytes(300_000)


def _lane(direction: Direction, seed: int = 0) -> Lane:
    return Lane(direction, Random(seed))


def _last_arrival(lane: Lane, length_bytes: int, *, piece: int) -> float:
    return max(lane.carry(bytes(piece), 0.0)[1] for _ in range(length_bytes // piece))


@pytest.mark.parametrize("bytes_per_s", [1e5, 2.5e6, 12.5e6, 1.25e8])
def test_bytes_arrive_at_the_rate_of_the_link(bytes_per_s) -> None:
    lane = _lane(Direction(bytes_per_s, 0.04))
    piece = lane.direction.piece_bytes
    last_s = _last_arrival(lane, 200 * piece, piece=piece)
    assert last_s - 0.04 == pytest.approx(200 * piece / bytes_per_s)


def test_a_link_that_was_idle_owes_nothing() -> None:
    lane = _lane(Direction(1000.0))
    assert lane.carry(bytes(500), 10.0)[1] == pytest.approx(10.5)
    assert lane.carry(bytes(500), 20.0)[1] == pytest.approx(20.5)


def test_jitter_delays_but_never_reorders() -> None:
    lane = _lane(Direction(1e6, 0.01, 0.05))
    arrivals = [lane.carry(bytes(100), n * 1e-3)[1] for n in range(500)]
    assert arrivals == sorted(arrivals)
    late = [at_s - n * 1e-3 for n, at_s in enumerate(arrivals)]
    assert min(late) >= 0.01
    assert max(late) <= 0.061 + 0.01


def test_what_is_held_is_what_the_link_holds_and_a_small_queue() -> None:
    direction = Direction(12.5e6, 0.02)
    in_flight = 12.5e6 * 0.02
    assert in_flight < direction.queue_bytes <= in_flight + 12.5e6 * 0.011
    assert direction.piece_bytes < direction.queue_bytes / 4


def test_places_come_in_order_and_from_the_seed() -> None:
    places = Places(at=(5, 700), every=300, about=250)
    found, again, other = (
        [next(drawn) for drawn in [places.positions(Random(seed))] for _ in range(20)]
        for seed in (1, 1, 2)
    )
    assert found == again != other
    assert found == sorted(set(found))
    assert {5, 300, 600, 700, 900} <= set(found)


def test_a_stall_holds_back_all_that_follows() -> None:
    lane = _lane(Direction(1000.0, stall=Stall(Places(at=(1000,)), 7.0)))
    assert lane.carry(bytes(900), 0.0)[1] == pytest.approx(0.9)
    assert lane.carry(bytes(200), 0.0)[1] == pytest.approx(8.1)
    assert lane.carry(bytes(100), 0.0)[1] == pytest.approx(8.2)
    assert lane.stall_count == 1


@pytest.mark.parametrize("piece", [1, 7, 64, 1000])
def test_cuts_and_flips_are_where_they_were_asked_for_however_bytes_come(piece) -> None:
    lane = _lane(Direction(cuts=Places(at=(500,)), flips=Places(at=(0, 63, 64, 499))))
    sent, got = PAYLOAD[:1000], b""
    for start in range(0, 1000, piece):
        data, _, is_cut = lane.carry(sent[start : start + piece], 0.0)
        got += data
        if is_cut:
            break
    assert len(got) == 500
    assert [n for n in range(500) if got[n] != sent[n]] == [0, 63, 64, 499]
    assert (lane.cut_count, lane.flip_count) == (1, 4)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Direction(0.0),
        lambda: Direction(delay_s=-1),
        lambda: Direction(jitter_s=float("nan")),
        lambda: Places(at=(-1,)),
        lambda: Places(every=-5),
        lambda: Stall(Places(), 0.0),
    ],
)
def test_what_no_link_is_like_is_refused(make) -> None:
    with pytest.raises(UsageError):
        make()


async def _send_payload(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(PAYLOAD)
    writer.close()


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


async def _read(port: int, *, sent: bytes = b"") -> tuple[bytes, bool]:
    """What came until the end, and whether the end was one."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    got = b""
    try:
        writer.write(sent)
        writer.write_eof()
        while data := await reader.read(65536):
            got += data
        return got, True
    except ConnectionError:
        return got, False
    finally:
        writer.close()


def _through(link_profile: LinkProfile, talk, *, serve=_send_payload):
    """Run `talk(link)` with a link before a server."""

    async def run():
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with server, Link("127.0.0.1", port, profile=link_profile) as link:
            return await talk(link), link

    return asyncio.run(run())


def test_everything_passes_both_ways_and_is_counted() -> None:
    async def talk(link):
        return await asyncio.gather(*(_read(link.port, sent=PAYLOAD) for _ in range(3)))

    found, link = _through(LinkProfile.shaped(rtt_s=0.002), talk, serve=_echo)
    assert found == [(PAYLOAD, True)] * 3
    assert link.connections == 3
    assert link.up.passed_bytes == link.down.passed_bytes == 3 * len(PAYLOAD)


def test_a_cut_delivers_what_lies_before_it_and_resets_the_connection() -> None:
    async def talk(link):
        return [await _read(link.port) for _ in range(3)]

    profile = LinkProfile(down=Direction(cuts=Places(at=(100_000, 350_000))))
    found, link = _through(profile, talk)
    assert found == [(PAYLOAD[:100_000], False), (PAYLOAD[:250_000], False), (PAYLOAD, True)]
    assert link.down.cuts == 2
    assert link.down.passed_bytes == 650_000


def test_a_cut_of_what_the_client_sends_ends_what_it_receives() -> None:
    async def talk(link):
        return await _read(link.port, sent=PAYLOAD)

    profile = LinkProfile(up=Direction(cuts=Places(at=(10_000,))))
    (got, is_whole), link = _through(profile, talk, serve=_echo)
    assert not is_whole
    assert PAYLOAD[:10_000].startswith(got)
    assert link.up.passed_bytes == 10_000


def test_flipped_bytes_differ_by_one_bit_and_no_others_do() -> None:
    async def talk(link):
        return await _read(link.port)

    profile = LinkProfile(down=Direction(flips=Places(about=50_000)), seed=3)
    ((got, is_whole), link), ((again, _), _) = _through(profile, talk), _through(profile, talk)
    assert is_whole
    assert got == again
    differences = [a ^ b for a, b in zip(got, PAYLOAD, strict=True) if a != b]
    assert len(differences) == link.down.flips > 0
    assert all(difference.bit_count() == 1 for difference in differences)


def test_a_receiver_that_does_not_read_stops_the_sender() -> None:
    sent = 0

    async def pour(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.transport.set_write_buffer_limits(high=0)
        try:
            while True:
                writer.write(bytes(65536))
                await writer.drain()
                sent += 65536
        except ConnectionError:
            pass
        finally:
            writer.close()

    async def talk(link):
        _, writer = await asyncio.open_connection("127.0.0.1", link.port, limit=4096)
        before = -1
        while not sent or sent != before:
            before = sent
            await asyncio.sleep(0.1)
        writer.transport.abort()
        return sent

    stopped_at, _ = _through(LinkProfile.shaped(bytes_per_s=50e6), talk, serve=pour)
    assert 0 < stopped_at < 32 << 20


def test_leaving_the_link_breaks_what_is_open() -> None:
    async def run():
        server = await asyncio.start_server(_echo, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            async with Link("127.0.0.1", port) as link:
                reader, writer = await asyncio.open_connection("127.0.0.1", link.port)
                writer.write(b"x")
                assert await reader.read(1) == b"x"
            try:
                return await reader.read(1)
            except ConnectionError:
                return b""
            finally:
                writer.close()

    assert asyncio.run(run()) == b""


def test_a_server_that_is_not_there_resets_the_client() -> None:
    async def run():
        async with Link("127.0.0.1", 9) as link:
            return await _read(link.port)

    assert asyncio.run(run()) == (b"", False)


def test_the_program_relays_and_tells_what_passed(repository: Path) -> None:
    async def run():
        server = await asyncio.start_server(_send_payload, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            words = ["--to", f"127.0.0.1:{port}", "--rate", "1gbit", "--cut-at", "1000"]
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                str(repository / "tools" / "link.py"),
                *words,
                stdout=subprocess.PIPE,
            )
            assert process.stdout is not None
            address = (await process.stdout.readline()).split()[0].decode()
            got = await _read(int(address.rpartition(":")[2]))
            process.terminate()
            return got, (await process.stdout.read()).decode(), await process.wait()

    got, told, code = asyncio.run(run())
    assert got == (PAYLOAD[:1000], False)
    assert code == 0
    assert "1 connections" in told
    assert "down 1000 bytes, 1 cuts" in told


@pytest.mark.parametrize(
    "words",
    [["--to", "nowhere"], ["--to", "h:1", "--rate", "x"], ["--to", "h:1", "--stall", "1s"]],
)
def test_the_program_refuses_what_it_cannot_be(words, capsys) -> None:
    with pytest.raises(SystemExit) as caught:
        main(words)
    assert caught.value.code == 2
    assert "error" in capsys.readouterr().err
