"""A full disk: what cannot be stored is refused and says why; nothing is lost; it goes on."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from faults import fill
from served_store import (
    ServedStore,
    acknowledged_in,
    blob_sha256,
    rows_of,
    run_json,
    wait_until_empty,
)
from stored_files import Maker, Original

pytestmark = pytest.mark.long

_SIZE = "48m"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, of 48 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={_SIZE}", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting a file system takes root's rights")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def check_kept(store: Path, acknowledged: dict[str, str]) -> None:
    rows = rows_of(store)
    assert set(acknowledged) <= set(rows)
    for uid, (key, sha256) in rows.items():
        assert blob_sha256(store, key) == sha256 == acknowledged.get(uid, sha256)


# In all a part of a request's bytes, in pages: the files, then the catalogue, find no room.
@pytest.mark.parametrize("leave_bytes", [0, 4096, 60_000, 200_000, 400_000])
def test_storing_on_a_full_disk_fails_cleanly_and_goes_on_when_there_is_space(
    small_disk: Path, leave_bytes: int
) -> None:
    maker, store = Maker(leave_bytes + 1), small_disk / "store"
    server = ServedStore(store)
    acknowledged: dict[str, str] = {}

    def post(originals: list[Original]) -> int:
        status, dataset = server.post(originals)
        stored = acknowledged_in(dataset)
        acknowledged.update((one.uid, one.sha256) for one in originals if one.uid in stored)
        assert (status == 200) == (len(stored) == len(originals))
        return status

    try:
        assert post([maker.make() for _ in range(10)]) == 200
        ballast = fill(small_disk, leave_bytes=leave_bytes)
        waiting = [[maker.make() for _ in range(20)] for _ in range(5)]
        statuses = [post(originals) for originals in waiting]
        assert set(statuses) <= {200, 202, 507}
        assert statuses[-1] == 507
        check_kept(store, acknowledged)
        ballast.unlink()
        assert [post(originals) for originals in waiting] == [200] * 5
        large = maker.make("large")
        assert post([large]) == 200
        wait_until_empty(store / "incoming")
    finally:
        server.stop()
    check_kept(store, acknowledged)
    assert len(acknowledged) == 111
    code, found = run_json("store", "verify", "--store", str(store), "--no-renditions")
    assert code == 0, found


def test_a_server_begins_on_a_full_disk_and_serves_what_it_has(small_disk: Path) -> None:
    maker, store = Maker(9), small_disk / "store"
    original = maker.make()
    server = ServedStore(store)
    try:
        assert server.post([original])[0] == 200
    finally:
        server.kill(with_workers=True)
    ballast = fill(small_disk, leave_bytes=0)
    server = ServedStore(store)
    path = f"/studies/1.2.3/series/1.2.3.5/instances/{original.uid}"
    try:
        assert server.get(path)[0] == 200
        # What is freed after the start (a journal, what processes left behind) may hold some.
        more = [ballast]
        while server.post([maker.make()])[0] == 200:
            assert len(more) < 20
            more.append(fill(small_disk, leave_bytes=0, name=f"ballast {len(more)}"))
        assert server.post([maker.make()])[0] == 507
        for one in more:
            one.unlink()
        assert server.post([maker.make()])[0] == 200
        assert server.get(path)[0] == 200
    finally:
        server.stop()
