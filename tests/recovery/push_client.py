"""Clients that push in processes of their own, which are there at once and can be killed."""

from __future__ import annotations

import asyncio
import multiprocessing
from functools import partial
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from mersey.engine.client import parcel_sending
from mersey.engine.client.chunking import plan_chunks
from mersey.engine.client.connections import Backoff
from mersey.engine.client.push_settings import PushSettings
from mersey.engine.client.pushing import push

__all__ = ["CHUNK_BYTES", "CONNECTIONS", "push_all", "settings_for", "start_push"]

CHUNK_BYTES = 512 << 10
"""Instead of 8 MiB: a few MB are many chunks then."""

CONNECTIONS = 2


def settings_for(wire: str) -> PushSettings:
    """How all of these push: again soon, and for as long as a server takes to start."""
    backoff = Backoff(first_s=0.05, longest_s=0.2, most_tries=2000)
    return PushSettings(wire=wire, connections=CONNECTIONS, jobs=1, backoff=backoff)


async def push_all(folder: Path, url: str, wire: str = "as-stored") -> Any:
    """The report of one push, in chunks of `CHUNK_BYTES`."""
    parcel_sending.plan_chunks = partial(plan_chunks, chunk_bytes=CHUNK_BYTES)
    try:
        return await push([folder], url, settings=settings_for(wire))
    finally:
        parcel_sending.plan_chunks = plan_chunks


def start_push(folder: Path, url: str, wire: str) -> BaseProcess:
    """A push in a process of its own; its exit code is 0 where all arrived."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["push_client"])
    process = context.Process(target=_run, args=(folder, url, wire))
    process.start()
    return process


def _run(folder: Path, url: str, wire: str) -> None:
    report = asyncio.run(push_all(folder, url, wire))
    raise SystemExit(1 if report.failed else 0)
