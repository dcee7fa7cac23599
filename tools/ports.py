"""Ports of loopback for servers that are told theirs, and may come back at it."""

from __future__ import annotations

import os
import random
import re
import socket
from pathlib import Path

__all__ = ["free_port"]

_FIRST, _PAST = 20_000, 32_000
_WORKERS = 8
_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_given: set[int] = set()


def free_port() -> int:
    """A port that is free, and that nobody gets by chance before a server is there, or again.

    The kernel gives those of its own range to connections, at any moment; this one lies below.
    Workers of pytest that run side by side draw from parts of their own, and none twice.
    """
    first, past = _part()
    for _ in range(10_000):
        port = random.SystemRandom().randrange(first, past)
        if port not in _given and _is_free(port):
            _given.add(port)
            return port
    raise OSError(f"no port from {first} to {past - 1} is free")


def _part() -> tuple[int, int]:
    """The ports of this worker; of all that are above 1024 where the kernel's range is low."""
    try:
        low = int(_RANGE.read_text().split()[0])
    except (OSError, ValueError):
        low = 32_768
    if low < _PAST:
        return 1025, max(low, 10_000)
    number = re.search(r"\d+$", os.environ.get("PYTEST_XDIST_WORKER", "0"))
    size = (_PAST - _FIRST) // _WORKERS
    first = _FIRST + (int(number[0]) if number else 0) % _WORKERS * size
    return first, first + size


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
