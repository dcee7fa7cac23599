"""Pushing: what arrives is what was sent, and nothing travels that is there."""

from __future__ import annotations

import asyncio
import hashlib
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from mersey.codecs.errors import TransferError, UsageError
from mersey.engine.client.connections import Backoff
from mersey.engine.client.link import Link
from mersey.engine.client.link_profile import Direction, LinkProfile, Places
from mersey.engine.client.push_settings import PushSettings
from mersey.engine.client.pushing import push
from pydicom import dcmread

if TYPE_CHECKING:
    from sample_study import SampleStudy

BROKEN = LinkProfile(
    up=Direction(cuts=Places(at=(150_000, 500_000)), flips=Places(at=(250_000, 700_000))), seed=3
)


def digests(folder: Path) -> set[str]:
    return {hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*.dcm")}


def stored(store: Path) -> set[str]:
    found = set((store / "blobs").rglob("*.dcm"))
    for path in found:
        assert hashlib.sha256(path.read_bytes()).hexdigest() == path.stem
    return {path.stem for path in found}


@pytest.fixture
def folder(sample_study: SampleStudy, tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """The sample under UIDs of this test's own, so that tests can share a server."""
    ending = f"{zlib.crc32(request.node.name.encode()) % 10**6:06}"
    (tmp_path / "study").mkdir()
    for path in sample_study.files:
        data = path.read_bytes()
        head = dcmread(path, stop_before_pixels=True)
        for uid in (head.StudyInstanceUID, head.SeriesInstanceUID, head.SOPInstanceUID):
            data = data.replace(uid.encode(), uid[:-6].encode() + ending.encode())
        (tmp_path / "study" / path.name).write_bytes(data)
    return tmp_path / "study"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, serve_folder) -> Iterator[tuple[str, Path]]:
    """A server: its address, and its store."""
    store = tmp_path_factory.mktemp("store")
    with serve_folder(tmp_path_factory.mktemp("empty"), store) as address:
        yield address, store


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory, serve_folder) -> Iterator[tuple[str, Path]]:
    """A server that knows no more than DICOMweb."""
    store = tmp_path_factory.mktemp("store")
    with serve_folder(tmp_path_factory.mktemp("empty"), store, transfers=False) as address:
        yield address, store


@pytest.mark.parametrize("wire", ["as-stored", "htj2k", "zstd", "auto"])
def test_a_study_arrives_byte_for_byte(served: tuple[str, Path], folder: Path, wire: str) -> None:
    address, store = served
    settings = PushSettings(wire=wire, jobs=1)
    report = asyncio.run(push([folder], address, settings=settings))
    assert (report.new, report.failed, report.commitment) == (5, {}, 5)
    assert digests(folder) <= stored(store)
    if wire == "htj2k":
        assert report.saved_bytes > 0.4 * report.size_bytes


def test_what_is_there_is_not_sent_again_and_other_bytes_are_reported(
    served: tuple[str, Path], folder: Path
) -> None:
    address, _ = served
    asyncio.run(push([folder], address, settings=PushSettings(wire="zstd", jobs=1)))
    (changed,) = folder.glob("us-cine.dcm")
    data = bytearray(changed.read_bytes())
    data[-1] ^= 1
    changed.write_bytes(data)
    report = asyncio.run(push([folder], address, settings=PushSettings(jobs=1)))
    assert (report.new, report.same, len(report.failed)) == (0, 4, 1)
    assert report.arrived.isdisjoint(report.failed)


def test_another_archive_gets_a_store_request(plain: tuple[str, Path], folder: Path) -> None:
    address, store = plain
    report = asyncio.run(push([folder], address, settings=PushSettings(jobs=1)))
    assert (report.peer, report.new, report.failed, report.commitment) == ("", 5, {}, 5)
    assert digests(folder) <= stored(store)
    again = asyncio.run(push([folder], address, settings=PushSettings(jobs=1)))
    assert (again.new, again.same, again.sent_bytes, again.commitment) == (0, 5, 0, 5)
    every = asyncio.run(push([folder], address, settings=PushSettings(jobs=1, send_all=True)))
    assert (every.new, every.same, every.failed) == (5, 0, {})


def test_over_a_link_that_cuts_and_flips_all_arrives(
    served: tuple[str, Path], folder: Path
) -> None:
    address, store = served
    port = int(address.rpartition(":")[2])

    async def run() -> int:
        async with Link("127.0.0.1", port, profile=BROKEN) as link:
            settings = PushSettings(
                wire="as-stored", jobs=1, backoff=Backoff(first_s=0.01, longest_s=0.05)
            )
            report = await push([folder], f"http://127.0.0.1:{link.port}", settings=settings)
            assert not report.failed
            return report.tries_again

    asyncio.run(run())
    assert digests(folder) <= stored(store)


def test_wrong_usage_is_told_before_anything_is_sent(folder: Path, tmp_path: Path) -> None:
    for sources, url, settings in (
        ([folder], "ftp://host", PushSettings(jobs=1)),
        ([tmp_path / "absent"], "http://127.0.0.1:9", PushSettings(jobs=1)),
        ([folder], "http://127.0.0.1:9", PushSettings(wire="gzip", jobs=1)),
    ):
        with pytest.raises(UsageError):
            asyncio.run(push(sources, url, settings=settings))
    settings = PushSettings(jobs=1, backoff=Backoff(most_tries=1))
    with pytest.raises(TransferError):
        asyncio.run(push([folder], "http://127.0.0.1:9", settings=settings))
