"""What client processes share while they put a load on: whether to stop, and counts so far.

A file of one page that all of them map; each writes its own slot only.
"""

from __future__ import annotations

import mmap
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

__all__ = ["LoadBoard"]

_WORD_BYTES = 8
_WORDS_A_SLOT = 2
_MOST_SLOTS = (mmap.PAGESIZE // _WORD_BYTES - 1) // _WORDS_A_SLOT


class LoadBoard:
    """A mapped page: a word that is 1 when all are to stop, then answers and bytes by slot."""

    def __init__(self, path: str) -> None:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            self._map = mmap.mmap(descriptor, mmap.PAGESIZE)
        finally:
            os.close(descriptor)
        self._words = memoryview(self._map).cast("q")
        self.path = path

    @classmethod
    @contextmanager
    def create(cls) -> Iterator[Self]:
        """A new one, gone after the block."""
        with tempfile.NamedTemporaryFile(prefix="mersey-bench-") as file:
            file.truncate(mmap.PAGESIZE)
            board = cls(file.name)
            try:
                yield board
            finally:
                board.close()

    def close(self) -> None:
        """Let go of the page."""
        self._words.release()
        self._map.close()

    @property
    def is_stopped(self) -> bool:
        return self._words[0] != 0

    def stop(self) -> None:
        """Tell everybody to ask for nothing more."""
        self._words[0] = 1

    def clear(self) -> None:
        """Forget the counts."""
        self._words[:] = memoryview(bytes(mmap.PAGESIZE)).cast("q")

    def count(self, slot: int, body_bytes: int) -> None:
        """One more answer, of so many bytes."""
        at = 1 + _WORDS_A_SLOT * (slot % _MOST_SLOTS)
        self._words[at] += 1
        self._words[at + 1] += body_bytes

    def totals(self) -> tuple[int, int]:
        """Answers and bytes of all slots."""
        counts = self._words[1 : 1 + _WORDS_A_SLOT * _MOST_SLOTS].tolist()
        return sum(counts[::2]), sum(counts[1::2])
