"""Put a slow, far or broken link in front of a server.

    python tools/link.py --to HOST:PORT [--port N] [--rate 20mbit] [--rtt 80ms] [--jitter 5ms]
        [--cut-at BYTES,…] [--cut-every BYTES] [--cut-about BYTES] [--flip-at BYTES,…]
        [--flip-about BYTES] [--stall-about BYTES --stall 2s] [--upwards] [--seed N]

It prints its address and relays until it is interrupted, then tells what passed. Faults befall
what the server sends, with `--upwards` what the client sends; bytes are counted over all
connections, and a seed decides everything that is random.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from dataclasses import replace

from mersey.codecs.errors import UsageError
from mersey.engine.archive.byte_size import parse_byte_size
from mersey.engine.client.link import Link, Passed
from mersey.engine.client.link_profile import Direction, LinkProfile, Places, Stall
from mersey.engine.client.rates import parse_rate, parse_time

__all__ = ["main", "profile_of"]


def profile_of(options: argparse.Namespace) -> LinkProfile:
    """The profile that the command line describes; UsageError where it describes none."""
    rate = None if options.rate is None else parse_rate(options.rate)
    way = Direction(rate, parse_time(options.rtt) / 2, parse_time(options.jitter))
    stall = None
    if options.stall is not None:
        if not options.stall_about:
            raise UsageError("--stall needs --stall-about")
        stall = Stall(Places(about=_size(options.stall_about)), parse_time(options.stall))
    faulty = replace(
        way,
        cuts=Places(_sizes(options.cut_at), _size(options.cut_every), _size(options.cut_about)),
        flips=Places(_sizes(options.flip_at), about=_size(options.flip_about)),
        stall=stall,
    )
    up, down = (faulty, way) if options.upwards else (way, faulty)
    return LinkProfile(up, down, options.seed)


def _size(text: str) -> int:
    return parse_byte_size(text) if text else 0


def _sizes(text: str) -> tuple[int, ...]:
    return tuple(_size(one) for one in text.split(",") if one)


async def _run(host: str, port: int, profile: LinkProfile, listen_port: int) -> None:
    over = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, over.set)
    async with Link(host, port, profile=profile, listen_port=listen_port) as link:
        print(f"127.0.0.1:{link.port} -> {host}:{port}", flush=True)
        await over.wait()
    print(f"{link.connections} connections; up {_told(link.up)}; down {_told(link.down)}")


def _told(passed: Passed) -> str:
    return (
        f"{passed.passed_bytes} bytes, {passed.cuts} cuts, {passed.flips} flips, "
        f"{passed.stalls} stalls"
    )


def main(arguments: list[str] | None = None) -> int:
    """Relay as the command line says."""
    parser = argparse.ArgumentParser(description="A slow, far or broken link before a server.")
    parser.add_argument("--to", required=True, metavar="HOST:PORT", help="the server")
    parser.add_argument("--port", type=int, default=0, help="where to listen (a free port)")
    parser.add_argument("--rate", help="each way, as in 20mbit or 2.5MB (as fast as it goes)")
    parser.add_argument("--rtt", default="0ms", help="the time of a round trip")
    parser.add_argument("--jitter", default="0ms", help="up to this much more, each way")
    parser.add_argument("--cut-at", default="", metavar="BYTES,…", help="break connections there")
    parser.add_argument("--cut-every", default="", metavar="BYTES")
    parser.add_argument("--cut-about", default="", metavar="BYTES", help="at random, that often")
    parser.add_argument("--flip-at", default="", metavar="BYTES,…", help="turn a bit over there")
    parser.add_argument("--flip-about", default="", metavar="BYTES")
    parser.add_argument("--stall", metavar="TIME", help="how long nothing leaves")
    parser.add_argument("--stall-about", default="", metavar="BYTES")
    parser.add_argument("--upwards", action="store_true", help="faults befall the client's bytes")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    host, separator, port = options.to.rpartition(":")
    if not separator or not port.isdecimal() or not 0 < int(port) < 65536:
        parser.error(f"--to is {options.to}, expected HOST:PORT")
    try:
        profile = profile_of(options)
    except UsageError as error:
        parser.error(str(error))
    asyncio.run(_run(host.strip("[]"), int(port), profile, options.port))
    return 0


if __name__ == "__main__":
    sys.exit(main())
