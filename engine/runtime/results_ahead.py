"""Results of runs that came before it was their turn: they lie on the disk until it is.

A file without a name beside the target: a process that is killed leaves nothing of it. Never
holds more than one result in memory.
"""

from __future__ import annotations

import os
import pickle
import tempfile
from itertools import accumulate, pairwise
from pathlib import Path
from typing import IO, Self

from ...codecs.errors import ResourceError
from ...codecs.pixels import Buffer
from .frame_run import RunResult

__all__ = ["ResultsAhead"]


class ResultsAhead:
    """Puts the results of runs back into the order of the frames; `first` is the one to come.

    Not for several threads at once.
    """

    def __init__(self, target: Path, *, first: int) -> None:
        self._folder = target.parent
        self._first = first
        self._places: dict[int, tuple[int, list[int]]] = {}
        self._file: IO[bytes] | None = None
        self._ready: RunResult | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    @property
    def is_ready(self) -> bool:
        """Whether there is the result whose turn it is."""
        return self._ready is not None or self._first in self._places

    def put(self, first: int, result: RunResult) -> None:
        """Here is the result of the frames from `first` on. Blocks on the disk.

        Raises
        ------
        ResourceError
            The disk is full, or fails.
        """
        if first == self._first:
            self._ready = result
        else:
            self._store(first, result)

    def take(self) -> RunResult:
        """The result whose turn it is. Blocks on the disk; errors as with :meth:`put`."""
        result, self._ready = self._ready or self._stored(self._first), None
        self._first += result.frames
        return result

    def _store(self, first: int, result: RunResult) -> None:
        pieces: list[Buffer] = []
        head = pickle.dumps(result, protocol=5, buffer_callback=pieces.append)
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile(dir=self._folder, buffering=0)  # noqa: SIM115
            at = self._file.seek(0, os.SEEK_END)
            lengths = [_write(self._file, data) for data in (head, *pieces)]
        except OSError as error:
            raise ResourceError(f"frames cannot be kept on the disk: {error.strerror}") from error
        self._places[first] = (at, lengths)

    def _stored(self, first: int) -> RunResult:
        at, lengths = self._places.pop(first)
        assert self._file is not None
        data = bytearray(sum(lengths))
        try:
            count = os.preadv(self._file.fileno(), [data], at)
        except OSError as error:
            raise ResourceError(f"frames cannot be read back: {error.strerror}") from error
        if count != len(data):
            raise ResourceError(f"{count} bytes of frames are left of {len(data)}")
        ends = list(accumulate(lengths))
        head, *pieces = (memoryview(data)[start:end] for start, end in pairwise([0, *ends]))
        found: RunResult = pickle.loads(head, buffers=pieces)
        return found


def _write(file: IO[bytes], data: Buffer) -> int:
    view = memoryview(data).cast("B")
    written = 0
    while written < view.nbytes:
        written += file.write(view[written:])
    return view.nbytes
