"""Instances that records of the catalogue were taken apart to, kept for the next time.

Taking a record apart costs a tenth of a millisecond, which a study of many instances pays with
every request. A record is its own key: where an instance changes, its record does. Safe in
threads.
"""

from __future__ import annotations

import threading

from ..dicom.instance import Instance
from .bounded_cache import BoundedCache
from .record import unpack_instance

__all__ = ["UnpackedInstances"]

_LIMIT_BYTES = 48 << 20
_ELEMENT_BYTES = 60  # its place; most are held once for many instances
_INSTANCE_BYTES = 2048


class UnpackedInstances:
    """The instances of the records that were asked for last, within `limit_bytes`."""

    def __init__(self, *, limit_bytes: int = _LIMIT_BYTES) -> None:
        self._held: BoundedCache[bytes, Instance] = BoundedCache(
            limit_bytes=limit_bytes, weigh=_weight
        )
        self._lock = threading.Lock()

    def of(self, record: bytes) -> Instance:
        """The instance of a record; shared, so it is not to be changed.

        Raises
        ------
        IntegrityError
            The bytes are not a record of this version.
        """
        with self._lock:
            held = self._held.get(record)
        if held is None:
            held = unpack_instance(record)
            with self._lock:
                self._held.put(record, held)
        return held


def _weight(instance: Instance) -> int:
    frames = instance.frames
    arrays = () if frames is None else (frames.offsets, frames.lengths, frames.starts)
    values = sum(len(element.value) + _ELEMENT_BYTES for element in instance.attributes.values())
    # The record itself, the key, is about a tenth of that.
    return _INSTANCE_BYTES + values + sum(array.nbytes for array in arrays if array is not None)
