"""Where a worker process is: one number that its parent can read after its death.

A worker that crashes or hangs inside a codec can say nothing; the beacon says which frame it
was at. Outside a worker process marking is a no-op.
"""

from __future__ import annotations

import mmap
import os
import struct
from typing import Self

__all__ = ["Beacon", "is_worker", "mark_frame"]

_NUMBER = struct.Struct("<q")
_NOWHERE = -1


class Beacon:
    """A shared page that holds the index of the frame being worked on, or -1."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._page = mmap.mmap(descriptor, mmap.PAGESIZE)

    @classmethod
    def create(cls) -> Self:
        """A new page, to be inherited by a worker through its `descriptor`."""
        descriptor = os.memfd_create("mersey-beacon", os.MFD_CLOEXEC)
        os.ftruncate(descriptor, mmap.PAGESIZE)
        beacon = cls(descriptor)
        beacon.clear()
        return beacon

    def mark(self, frame_index: int) -> None:
        _NUMBER.pack_into(self._page, 0, frame_index)

    def clear(self) -> None:
        self.mark(_NOWHERE)

    @property
    def frame_index(self) -> int | None:
        (index,) = _NUMBER.unpack_from(self._page)
        return None if index == _NOWHERE else int(index)

    def close(self) -> None:
        self._page.close()
        os.close(self.descriptor)

    def light(self) -> None:
        """Make this the beacon that `mark_frame` marks: once, at the start of a worker."""
        global _beacon  # a worker process is one place, and has one beacon
        _beacon = self


_beacon: Beacon | None = None


def mark_frame(frame_index: int) -> None:
    """Say that work on the frame at `frame_index` (from 0) begins."""
    if _beacon is not None:
        _beacon.mark(frame_index)


def is_worker() -> bool:
    """Whether this process is a worker: what kills it costs one call."""
    return _beacon is not None
