"""Indexing a file that can be read at any place: headers and item tags only.

Drives a `Part10Reader` with few reads: one window for a small header, a few bytes for each
item far from the last.
"""

from __future__ import annotations

from .instance import Instance, ReadAt
from .part10_reader import Part10Reader

__all__ = ["WINDOW_BYTES", "index_instance"]

WINDOW_BYTES = 1 << 15
"""One read covers the header of most objects; a larger one costs more than it saves."""

_NEAR_BYTES = 1 << 12
_ITEM_BYTES = 64


def index_instance(read_at: ReadAt, *, size_bytes: int, source: str = "") -> Instance:
    """Index the DICOM file that `read_at` reads.

    Parameters
    ----------
    read_at
        Reads the file; called with offsets below `size_bytes`.
    size_bytes
        The length of the file.
    source
        A name for errors; never opened.

    Raises
    ------
    DicomError
        The file is not DICOM, is cut off, or contradicts itself.
    UnsupportedError
        It is valid, but of a kind that is not handled.
    ResourceError
        Its deflated data set inflates beyond reason.

    References
    ----------
    DICOM PS3.10 §7, PS3.5 §7, §8 and Annex A
    """
    reader = Part10Reader(size_bytes=size_bytes, seekable=True, source=source)
    window = WINDOW_BYTES
    while not reader.is_complete:
        skipped = reader.unneeded_bytes
        offset = reader.seek()
        if offset >= size_bytes:
            break
        if reader.reads_items and skipped > _NEAR_BYTES:
            window = _ITEM_BYTES
        elif offset:
            window = WINDOW_BYTES
        data = read_at(offset, min(max(window, reader.wanted_bytes), size_bytes - offset))
        if not data:
            break
        reader.feed(data)
    return reader.finish()
