"""Memory in which bytes lie as in the pages of a file, so that they can go there straight."""

from __future__ import annotations

import mmap

__all__ = ["PageBuffer"]


class PageBuffer:
    """Room for `size_bytes`, wherever in a page they begin."""

    def __init__(self, size_bytes: int) -> None:
        self._view = memoryview(mmap.mmap(-1, size_bytes + mmap.PAGESIZE))

    def view(self, offset_bytes: int, length_bytes: int) -> memoryview:
        """The room for bytes that go to `offset_bytes` of a file."""
        start = offset_bytes % mmap.PAGESIZE
        return self._view[start : start + length_bytes]
