"""A folder of blobs: what a process that died leaves goes, what a living one has stays."""

from __future__ import annotations

import os
from pathlib import Path

from mersey.engine.archive.directory_blobs import DirectoryBlobs
from mersey.engine.archive.receiving import Receiving


def test_only_files_without_a_living_owner_are_collected(tmp_path: Path) -> None:
    blobs = DirectoryBlobs(tmp_path)
    held = Receiving(blobs.incoming)
    left, fresh = blobs.incoming / "left.part", blobs.incoming / "fresh.part"
    left.touch()
    fresh.touch()
    for path in (held.path, left):
        os.utime(path, (0, 0))
    assert blobs.collect(older_than_s=60) == 1
    assert sorted(os.listdir(blobs.incoming)) == sorted([os.path.basename(held.path), "fresh.part"])
    held.abandon()
