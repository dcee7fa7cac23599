"""The folder of what was made to travel: zstd frames and codestreams, the newest `limit_bytes`.

A cache: any file of it may go at any time, and is made again. When a file was used last is its
time of access, which is set here: the time of change belongs to its stamp.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from ...codecs.errors import ResourceError

__all__ = ["WireStore"]

_PART = ".part"
_ABANDONED_S = 3600.0
_DOWN_TO = 0.9


class WireStore:
    """The files in `folder`. Safe in threads and between processes."""

    def __init__(self, folder: Path, *, limit_bytes: int) -> None:
        self.folder = folder
        self.limit_bytes = limit_bytes
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ResourceError(f"no folder for what travels: {error.strerror}") from error

    def used(self, paths: Iterable[str]) -> None:
        """Those of `paths` that lie here count as used now."""
        now, here = time.time_ns(), f"{self.folder}/"
        for path in paths:
            if path.startswith(here):
                with suppress(OSError):
                    os.utime(path, ns=(now, os.stat(path).st_mtime_ns))

    def trim(self, *, keep: Iterable[str] = ()) -> None:
        """Remove what was used longest ago, down to nine tenths of the limit where it is passed."""
        kept = set(keep)
        found: list[tuple[int, int, str]] = []
        oldest_part_ns = time.time_ns() - int(_ABANDONED_S * 1e9)
        with os.scandir(self.folder) as entries:
            for entry in entries:
                with suppress(OSError):
                    status = entry.stat(follow_symlinks=False)
                    if not entry.name.endswith(_PART):
                        found.append((status.st_atime_ns, status.st_size, entry.path))
                    elif status.st_mtime_ns < oldest_part_ns:
                        os.unlink(entry.path)
        total = sum(size_bytes for _, size_bytes, _ in found)
        if total <= self.limit_bytes:
            return
        for _, size_bytes, path in sorted(found):
            if total <= self.limit_bytes * _DOWN_TO:
                return
            if path not in kept:
                with suppress(OSError):
                    os.unlink(path)
                total -= size_bytes
