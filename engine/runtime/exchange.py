"""How a pool and a worker hand values to each other: pickles, and large buffers beside them.

Small things travel pickled over a socket. Buffers that a value hands over out of band
(pickle protocol 5) go through shared memory instead, which costs one copy and none of a
pipe's many wake-ups. The shared memory has a few slots: what the parent receives stays where
it is, and its slot is taken again only when nobody holds the value any more.
"""

from __future__ import annotations

import mmap
import os
import pickle
import weakref
from multiprocessing.connection import Connection
from typing import Any, Self

import numpy as np

from ...codecs.pixels import Buffer

__all__ = ["Exchange"]

_SLOTS = 5
_SPARE = _SLOTS - 1
_SLOT_BYTES = 1 << 36  # of address space in a sparse file: no value comes near it
_GRAIN_BYTES = 1 << 20
_KEPT_BYTES = 32 << 20
"""What a slot keeps when it is free again; the memory of a larger value is given back."""


class Exchange:
    """One end of the exchange: a duplex connection and a shared memory file.

    The parent sends a call and receives its answer, the worker the other way round; the
    answer's buffers come through the slot that the call named.
    """

    def __init__(self, connection: Connection, descriptor: int) -> None:
        self.connection = connection
        self.descriptor = descriptor
        self._slots = [_Slot(descriptor, number) for number in range(_SLOTS)]

    @classmethod
    def create(cls, connection: Connection) -> Self:
        """The parent's end, with a new, empty shared memory file."""
        return cls(connection, os.memfd_create("mersey-exchange", os.MFD_CLOEXEC))

    def send(self, value: Any, *, slot: int) -> None:
        """Send `value`, its buffers through `slot`."""
        buffers: list[pickle.PickleBuffer] = []
        frame = pickle.dumps(value, protocol=5, buffer_callback=buffers.append)
        views = [buffer.raw() for buffer in buffers]
        if views:
            self._slots[slot].put(views)
        lengths = [view.nbytes for view in views]
        self.connection.send_bytes(pickle.dumps((slot, lengths, frame)))

    def receive(self, *, lend: bool = False) -> tuple[Any, int]:
        """What the other end sent, and the slot that it named.

        Buffers are private copies, or where `lend`, and but for the last slot, they lie in
        the shared memory; the slot is free again when nothing refers to them.

        Raises
        ------
        EOFError
            The other end is gone.
        """
        slot, lengths, frame = pickle.loads(self.connection.recv_bytes())
        lend = lend and slot != _SPARE
        buffers = self._slots[slot].take(lengths, lend=lend) if lengths else []
        return pickle.loads(frame, buffers=buffers), slot

    def free_slot(self) -> int:
        """A slot that nobody holds a value of; the last one is never lent, so always free."""
        return next(number for number, slot in enumerate(self._slots) if slot.is_free)

    def close(self) -> None:
        """Let go; values that are still held stay readable."""
        self.connection.close()
        os.close(self.descriptor)


class _Slot:
    """A part of the shared memory file, mapped as far as it was needed."""

    def __init__(self, descriptor: int, number: int) -> None:
        self._descriptor = descriptor
        self._offset = number * _SLOT_BYTES
        self._map: mmap.mmap | None = None
        self.is_free = True

    def put(self, views: list[memoryview]) -> None:
        total = sum(view.nbytes for view in views)
        shared = self._mapped(total)
        position = 0
        for view in views:
            shared[position : position + view.nbytes] = view
            position += view.nbytes

    def take(self, lengths: list[int], *, lend: bool) -> list[Buffer]:
        shared = self._mapped(sum(lengths))
        whole = np.frombuffer(shared, np.uint8, sum(lengths))
        ends = np.cumsum(lengths)
        pieces = [whole[end - length : end] for end, length in zip(ends, lengths, strict=True)]
        if not lend:
            return [piece.tobytes() for piece in pieces]
        self.is_free = False
        weakref.finalize(whole, self._free)
        return [piece.data for piece in pieces]

    def _free(self) -> None:
        if self._map is not None and len(self._map) > _KEPT_BYTES:
            self._map.madvise(mmap.MADV_REMOVE)
        self.is_free = True

    def _mapped(self, length_bytes: int) -> mmap.mmap:
        """The slot's memory, at least `length_bytes` of it."""
        if self._map is not None and len(self._map) >= length_bytes:
            return self._map
        size = -(-length_bytes // _GRAIN_BYTES) * _GRAIN_BYTES
        if os.fstat(self._descriptor).st_size < self._offset + size:
            os.ftruncate(self._descriptor, self._offset + size)
        self._map = mmap.mmap(self._descriptor, size, offset=self._offset)
        return self._map
