"""Servers on loopback over files we make, and what these tests do with them."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .running_server import Client, RunningServer
from .samples import Samples, ct_samples, make_ct, make_samples


@pytest.fixture(scope="session")
def run_server():
    """A context manager: run a server over a folder, with a store of its own."""
    return RunningServer


@pytest.fixture(scope="session")
def samples(tmp_path_factory) -> Samples:
    """The files that `client`'s server serves."""
    return make_samples(tmp_path_factory.mktemp("served") / "files")


@pytest.fixture(scope="session")
def client(samples: Samples, tmp_path_factory, run_server) -> Iterator[Client]:
    """A client of a server over `samples`."""
    with run_server(samples.ct.path.parent, tmp_path_factory.mktemp("store")) as running:
        yield running


@pytest.fixture(scope="session")
def make_instance():
    """Write a multi-frame CT: (path, uid, samples) to Sample."""
    return make_ct


@pytest.fixture(scope="session")
def make_ct_samples():
    """Synthetic samples: (frames, size, seed) to an array."""
    return ct_samples


@pytest.fixture(scope="session")
def damage_codestream():
    """Take COD and QCD out of the first codestream of a file: it can be decoded no more."""

    def damage(path: Path) -> None:
        data = bytearray(path.read_bytes())
        after_siz = data.index(b"\xff\x4f\xff\x51") + 51
        data[after_siz : after_siz + 60] = bytes(60)
        path.write_bytes(data)

    return damage


class BuildGate:
    """Lets as many renditions be built as a test says, and no more."""

    def __init__(self) -> None:
        self._allowed = threading.Semaphore(0)
        self.built = 0

    def allow(self, count: int = 1) -> None:
        """Let `count` more be built."""
        self._allowed.release(count)

    async def passed(self) -> None:
        """One waits until it may be built."""
        while not self._allowed.acquire(blocking=False):  # noqa: ASYNC110  it is of threads
            await asyncio.sleep(0.002)
        self.built += 1


@pytest.fixture
def build_gate(monkeypatch: pytest.MonkeyPatch) -> BuildGate:
    """Renditions of servers in this process are built only as far as the gate lets them."""
    from mersey.engine.web.rendition_builder import RenditionBuilder

    gate, transcode = BuildGate(), RenditionBuilder._transcode

    async def gated(builder: RenditionBuilder, order: Any) -> None:
        await gate.passed()
        await transcode(builder, order)

    monkeypatch.setattr(RenditionBuilder, "_transcode", gated)
    return gate


@pytest.fixture
def wait_until():
    """Wait for a condition that another process or thread brings about."""

    def wait(condition, *, limit_s: float = 240.0) -> None:
        end = time.monotonic() + limit_s
        while not condition():
            assert time.monotonic() < end, "it never came"
            time.sleep(0.01)

    return wait
