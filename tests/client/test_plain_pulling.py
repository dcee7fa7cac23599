"""Pulling from a server that only has DICOMweb: by instance, and by Range within one."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from mersey.codecs.errors import TransferError
from mersey.engine.client.connections import Backoff
from mersey.engine.client.pull_values import PullSettings
from mersey.engine.client.pulling import pull
from mersey.engine.runtime.worker_pool import WorkerPool

STUDY = "/dicom-web/studies/1.2.7"
SETTINGS = PullSettings(connections=1, backoff=Backoff(first_s=0.001, longest_s=0.01, most_tries=6))


@pytest.fixture(scope="module")
def plain(slices, serve_folder, tmp_path_factory) -> Iterator[str]:
    """The series on a server without transfers between engines; its address."""
    with serve_folder(slices, tmp_path_factory.mktemp("plain"), transfers=False) as address:
        yield address


@pytest.fixture
def broken(plain, wire):
    """A wire to that server, which breaks as told."""
    parts = urlsplit(plain)
    wire.target = (parts.hostname, parts.port)
    return wire


def digests(folder: Path) -> set[str]:
    return {hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*.dcm")}


def pull_over(wire, folder: Path, pool: WorkerPool):
    async def run():
        async with wire.open() as place:
            return await pull(f"http://{place}{STUDY}", folder, settings=SETTINGS, executor=pool)

    return asyncio.run(run())


def test_every_instance_comes_as_it_is_and_not_twice(plain, slices, tmp_path, pool) -> None:
    first = asyncio.run(pull(plain + STUDY, tmp_path, settings=SETTINGS, executor=pool))
    assert (first.peer, first.pulled, first.failures) == ("DICOMweb", 7, [])
    assert digests(tmp_path) == digests(slices)
    again = asyncio.run(pull(plain + STUDY, tmp_path, settings=SETTINGS, executor=pool))
    assert (again.pulled, again.there, again.wire_bytes) == (0, 7, 0)


def test_an_instance_that_breaks_off_goes_on_by_range(broken, slices, tmp_path, pool) -> None:
    pull_over(broken, tmp_path / "whole", pool)
    once = sum(broken.carried)
    broken.carried.clear()
    broken.cuts = [once // 5] * 4
    found = pull_over(broken, tmp_path / "cut", pool)
    assert found.retries >= 3
    assert digests(tmp_path / "cut") == digests(slices)
    # What was read before a break is not read again; what was under way is.
    assert found.wire_bytes == sum(path.stat().st_size for path in slices.glob("*.dcm"))
    assert sorted(path.name for path in (tmp_path / "cut").iterdir()) == ["1.2.7"]


def test_a_pull_that_was_given_up_leaves_whole_instances_and_goes_on(
    broken, plain, slices, tmp_path, pool
) -> None:
    broken.cuts = [220_000, *[1] * 50]
    with pytest.raises(TransferError):
        pull_over(broken, tmp_path, pool)
    whole = digests(tmp_path)
    assert 0 < len(whole) < 7
    assert whole < digests(slices)
    found = asyncio.run(pull(plain + STUDY, tmp_path, settings=SETTINGS, executor=pool))
    assert (found.there, found.pulled) == (len(whole), 7 - len(whole))
    assert digests(tmp_path) == digests(slices)
