"""How a pool and a worker hand values to each other: pickles, and large buffers beside them.

Small things travel pickled over a socket. Buffers that a value hands over out of band
(pickle protocol 5) go through a shared memory file instead, which costs one copy and none
of a pipe's many wake-ups.
"""

from __future__ import annotations

import mmap
import os
import pickle
from multiprocessing.connection import Connection
from typing import Any, Self

__all__ = ["Exchange"]

_GRAIN = 1 << 20


class Exchange:
    """One end of the exchange: a duplex connection and a shared memory file."""

    def __init__(self, connection: Connection, descriptor: int) -> None:
        self.connection = connection
        self.descriptor = descriptor
        self._map: mmap.mmap | None = None

    @classmethod
    def create(cls, connection: Connection) -> Self:
        """The parent's end, with a new, empty shared memory file."""
        return cls(connection, os.memfd_create("mersey-exchange", os.MFD_CLOEXEC))

    def send(self, value: Any) -> None:
        """Send `value`; the other end must have received the one before."""
        buffers: list[pickle.PickleBuffer] = []
        frame = pickle.dumps(value, protocol=5, buffer_callback=buffers.append)
        views = [buffer.raw() for buffer in buffers]
        self._put(views)
        self.connection.send_bytes(pickle.dumps(([view.nbytes for view in views], frame)))

    def receive(self) -> Any:
        """Receive what the other end sent. Buffers come as private copies.

        Raises
        ------
        EOFError
            The other end is gone.
        """
        lengths, frame = pickle.loads(self.connection.recv_bytes())
        return pickle.loads(frame, buffers=self._take(lengths))

    def close(self) -> None:
        self.connection.close()
        if self._map is not None:
            self._map.close()
        os.close(self.descriptor)

    def _put(self, views: list[memoryview]) -> None:
        total = sum(view.nbytes for view in views)
        if total == 0:
            return
        shared = self._mapped(total)
        position = 0
        for view in views:
            shared[position : position + view.nbytes] = view
            position += view.nbytes

    def _take(self, lengths: list[int]) -> list[bytes]:
        if not lengths:
            return []
        shared = self._mapped(sum(lengths))
        buffers = []
        position = 0
        for length in lengths:
            buffers.append(shared[position : position + length])
            position += length
        return buffers

    def _mapped(self, length_bytes: int) -> mmap.mmap:
        """The shared memory, at least `length_bytes` long (never shrunk, grown by MiB)."""
        if self._map is not None and len(self._map) >= length_bytes:
            return self._map
        size = max(os.fstat(self.descriptor).st_size, -(-length_bytes // _GRAIN) * _GRAIN)
        os.ftruncate(self.descriptor, size)
        if self._map is not None:
            self._map.close()
        self._map = mmap.mmap(self.descriptor, size)
        return self._map
