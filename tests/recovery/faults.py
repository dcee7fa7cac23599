"""The table of faults that transfers met, and the moments at which processes are killed."""

from __future__ import annotations

import asyncio
import errno
import os
import random
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from mersey.engine.client.link import Link
from ports import free_port
from served_store import ServedStore, blob_sha256, rows_of
from stored_files import Original

__all__ = ["Faults", "ReturningServer", "fill", "lost_of", "moment", "small_disk"]

_LOOK_S = 0.002


@dataclass(slots=True)
class Faults:
    """A line of the table."""

    kind: str
    count: int = 0
    resumed: int = 0
    lost: int = 0
    twice_bytes: int = 0
    cuts: int = 0
    flips: int = 0

    def passed(self, link: Link, once_bytes: int, *, kills: int, may_bytes: int) -> None:
        """Count a transfer over `link`; AssertionError where more travelled twice than may."""
        twice = max(0, link.up.passed_bytes - once_bytes)
        assert twice <= may_bytes, (twice, may_bytes, kills)
        self.count += kills
        self.resumed += 1
        self.twice_bytes += twice
        self.cuts += link.up.cuts
        self.flips += link.up.flips

    def show(self) -> None:
        a_fault = self.twice_bytes / max(1, self.count + self.cuts + self.flips)
        print(
            f"\n| {self.kind} | {self.count} kills, {self.cuts} cuts, {self.flips} flips "
            f"| resumed {self.resumed} | lost {self.lost} "
            f"| twice {self.twice_bytes:,} bytes, {a_fault:,.0f} a fault |"
        )


class ReturningServer:
    """A server of `store` that comes back at its port."""

    def __init__(self, store: Path | str, *arguments: str) -> None:
        self.store = Path(store)
        self._place, self._arguments = store, arguments
        self.port = free_port()
        self.start()

    def start(self) -> None:
        self.served = ServedStore(self._place, *self._arguments, "--port", str(self.port))

    def kill(self, *, with_workers: bool) -> None:
        self.served.kill(with_workers=with_workers)

    def stop(self) -> None:
        self.served.stop()


@contextmanager
def small_disk(folder: Path, *, size_mb: int) -> Iterator[Path]:
    """A file system of its own at the new `folder`."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size_mb}m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting a file system takes root's rights")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder: Path, *, leave_bytes: int, name: str = "ballast") -> Path:
    """A file that leaves that much of the disk, while others may be writing to it."""
    ballast = folder / name
    with ballast.open("wb") as file:
        for _ in range(50):
            space = os.statvfs(folder)
            wanted = space.f_bavail * space.f_frsize - leave_bytes
            try:
                if wanted > 0:
                    os.posix_fallocate(file.fileno(), 0, wanted)
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
                file.truncate(0)
            else:
                break
    return ballast


def lost_of(store: Path, originals: list[Original]) -> int:
    """How many are not there, byte for byte."""
    rows = rows_of(store)
    return sum(
        one.uid not in rows
        or rows[one.uid][1] != one.sha256
        or blob_sha256(store, rows[one.uid][0]) != one.sha256
        for one in originals
    )


async def moment(link: Link, chance: random.Random, *, within_bytes: int = 2 << 20) -> None:
    """Until some more bytes have passed, or some time: anything may be going on then."""
    if chance.random() < 0.2:
        await asyncio.sleep(chance.uniform(0.0, 1.5))
        return
    until = link.up.passed_bytes + chance.randrange(within_bytes)
    for _ in range(int(20 / _LOOK_S)):
        if link.up.passed_bytes > until:
            return
        await asyncio.sleep(_LOOK_S)
