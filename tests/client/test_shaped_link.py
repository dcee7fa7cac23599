"""A shaped link carries every byte, no faster than it may, with the delay it has."""

from __future__ import annotations

import asyncio

import pytest
from mersey.codecs.errors import UsageError
from mersey.engine.client.shaped_link import LinkShape, ShapedLink, parse_time


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.write_eof()
    writer.close()


async def _there_and_back(shape: LinkShape, sent: list[bytes]) -> tuple[list[bytes], float]:
    """What comes back of each connection's bytes, all at once, and the seconds it took."""
    server = await asyncio.start_server(_echo, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    loop = asyncio.get_running_loop()
    async with server, ShapedLink("127.0.0.1", port, shape=shape) as link:
        began = loop.time()

        async def one(data: bytes) -> bytes:
            reader, writer = await asyncio.open_connection("127.0.0.1", link.port)
            writer.write(data)
            writer.write_eof()
            got = await reader.read(-1)
            writer.close()
            return got

        found = await asyncio.gather(*map(one, sent))
        return found, loop.time() - began


def test_every_byte_comes_no_faster_than_the_rate_allows() -> None:
    data = bytes(range(256)) * 400
    found, seconds = asyncio.run(_there_and_back(LinkShape(1e6, 0.0), [data]))
    assert found == [data]
    assert seconds >= len(data) / 1e6


def test_connections_share_the_rate() -> None:
    sent = [bytes([number]) * 40_000 for number in range(4)]
    found, seconds = asyncio.run(_there_and_back(LinkShape(1e6, 0.0), sent))
    assert found == sent
    assert seconds >= 0.16


def test_a_new_connection_and_a_question_cost_a_round_trip_each() -> None:
    _, seconds = asyncio.run(_there_and_back(LinkShape(1e9, 0.1), [b"x"]))
    assert seconds >= 0.2


def test_a_server_that_is_not_there_closes_the_connection() -> None:
    async def main() -> bytes:
        async with ShapedLink("127.0.0.1", 9, shape=LinkShape(1e6, 0.0)) as link:
            reader, writer = await asyncio.open_connection("127.0.0.1", link.port)
            try:
                return await reader.read(-1)
            except ConnectionError:
                return b""
            finally:
                writer.close()

    assert asyncio.run(main()) == b""


def test_leaving_ends_connections_that_are_open() -> None:
    async def main() -> bytes:
        server = await asyncio.start_server(_echo, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with server:
            async with ShapedLink("127.0.0.1", port, shape=LinkShape(1e6, 0.0)) as link:
                reader, writer = await asyncio.open_connection("127.0.0.1", link.port)
                writer.write(b"x")
                assert await reader.read(1) == b"x"
            try:
                return await asyncio.wait_for(reader.read(-1), 5)
            except ConnectionError:
                return b""
            finally:
                writer.close()

    assert asyncio.run(main()) == b""


@pytest.mark.parametrize(("text", "seconds"), [("40ms", 0.04), ("0.1s", 0.1), (" 2 s ", 2.0)])
def test_times_are_read(text: str, seconds: float) -> None:
    assert parse_time(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["40", "ms", "-1ms", "1e3ms", "40 min", "٤ms"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="no time"):
        parse_time(text)


@pytest.mark.parametrize(("rate", "rtt"), [(0, 0.1), (-1, 0.1), (1e6, -0.1), (1e6, 11)])
def test_a_link_without_a_rate_or_with_an_endless_delay_is_refused(rate, rtt) -> None:
    with pytest.raises(UsageError, match="link"):
        LinkShape(rate, rtt)
