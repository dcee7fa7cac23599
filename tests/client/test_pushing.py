"""Pushing: what arrives is what was sent, and nothing travels that is there."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from mersey.codecs.errors import TransferError, UsageError
from mersey.engine.client.connections import Backoff
from mersey.engine.client.link import Link
from mersey.engine.client.link_profile import Direction, LinkProfile, Places
from mersey.engine.client.pushing import PushSettings, push

if TYPE_CHECKING:
    from sample_study import SampleStudy

BROKEN = LinkProfile(
    up=Direction(cuts=Places(at=(150_000, 500_000)), flips=Places(at=(250_000, 700_000))), seed=3
)


def digests(study: SampleStudy) -> set[str]:
    return {hashlib.sha256(path.read_bytes()).hexdigest() for path in study.files}


def stored(store: Path) -> set[str]:
    found = set((store / "blobs").rglob("*.dcm"))
    for path in found:
        assert hashlib.sha256(path.read_bytes()).hexdigest() == path.stem
    return {path.stem for path in found}


@pytest.fixture
def folder(sample_study: SampleStudy) -> Path:
    return sample_study.enhanced_ct.parent


@pytest.fixture
def served(tmp_path: Path, serve_folder) -> Iterator[tuple[str, Path]]:
    """A server with an empty store: its address, and that."""
    (tmp_path / "empty").mkdir()
    with serve_folder(tmp_path / "empty", tmp_path / "store") as address:
        yield address, tmp_path / "store"


@pytest.fixture
def plain(tmp_path: Path, serve_folder) -> Iterator[tuple[str, Path]]:
    """A server that knows no more than DICOMweb."""
    (tmp_path / "empty").mkdir()
    with serve_folder(tmp_path / "empty", tmp_path / "store", transfers=False) as address:
        yield address, tmp_path / "store"


@pytest.mark.parametrize("wire", ["as-stored", "htj2k", "zstd", "auto"])
def test_a_study_arrives_byte_for_byte_and_is_not_sent_again(
    served: tuple[str, Path], folder: Path, sample_study: SampleStudy, wire: str
) -> None:
    address, store = served
    settings = PushSettings(wire=wire, jobs=1)

    report = asyncio.run(push([folder], address, settings=settings))

    assert (report.new, report.failed, report.commitment) == (5, {}, 5)
    assert stored(store) == digests(sample_study)
    if wire == "htj2k":
        assert report.saved_bytes > 0.4 * report.size_bytes
    again = asyncio.run(push([folder], address, settings=settings))
    assert (again.new, again.same, again.failed, again.travelled_bytes) == (0, 5, {}, 0)


def test_another_archive_gets_a_store_request(
    plain: tuple[str, Path], folder: Path, sample_study: SampleStudy
) -> None:
    address, store = plain
    report = asyncio.run(push([folder], address, settings=PushSettings(jobs=1)))
    assert (report.peer, report.new, report.failed, report.commitment) == ("", 5, {}, 5)
    assert stored(store) == digests(sample_study)


def test_what_is_there_with_other_bytes_is_reported(
    served: tuple[str, Path], folder: Path, sample_study: SampleStudy, tmp_path: Path
) -> None:
    address, _ = served
    asyncio.run(push([folder], address, settings=PushSettings(jobs=1)))
    data = bytearray(sample_study.us_cine.read_bytes())
    data[-1] ^= 1
    (tmp_path / "changed.dcm").write_bytes(data)
    report = asyncio.run(push([tmp_path / "changed.dcm"], address, settings=PushSettings(jobs=1)))
    assert report.new == 0
    assert len(report.failed) == 1


def test_over_a_link_that_cuts_and_flips_all_arrives(
    served: tuple[str, Path], folder: Path, sample_study: SampleStudy
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
    assert stored(store) == digests(sample_study)


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
