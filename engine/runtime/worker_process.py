"""The worker process: takes calls one at a time, answers each, trusts nothing it decodes.

A nursery forks it. It ends when its parent closes the connection, or dies.
"""

from __future__ import annotations

import resource
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from ...codecs.errors import MerseyError, ResourceError
from .beacon import Beacon
from .exchange import Exchange

__all__ = ["work"]


def work(connection_fd: int, exchange_fd: int, beacon_fd: int, *, memory_limit_bytes: int) -> None:
    """Serve calls until the connection closes."""
    exchange = Exchange(Connection(connection_fd), exchange_fd)
    beacon = Beacon(beacon_fd)
    beacon.light()
    _limit_memory(memory_limit_bytes)
    while True:
        try:
            (function, arguments_, keywords), slot = exchange.receive()
        except EOFError:
            return
        answer = _call(function, arguments_, keywords)
        beacon.clear()
        try:
            exchange.send(answer, slot=slot)
        except BrokenPipeError:
            return


def _call(function: Any, arguments: Any, keywords: Any) -> tuple[bool, Any]:
    try:
        return True, function(*arguments, **keywords)
    except MemoryError:
        return False, ResourceError("the worker process reached its memory limit")
    except MerseyError as error:
        return False, error
    except Exception as error:  # noqa: BLE001  whatever a library raises crosses the border as ours
        return False, _as_ours(error)


def _as_ours(error: Exception) -> MerseyError:
    """An error of another library, as one that can be pickled and still names its cause."""
    if isinstance(error, OSError):
        return ResourceError(f"{error.strerror or error}: {error.filename or 'no file'}")
    return MerseyError(f"{type(error).__name__}: {error}")


def _limit_memory(limit_bytes: int) -> None:
    """Allow `limit_bytes` of private memory beyond what the imports took."""
    taken = 0
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmData:"):
            taken = int(line.split()[1]) * 1024
    resource.setrlimit(resource.RLIMIT_DATA, (taken + limit_bytes, taken + limit_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
