"""The elements of a data set that can be read at any place, and stretches of its bytes.

For the writer, which goes through a header once more; holds a window at a time.
"""

from __future__ import annotations

from collections.abc import Iterator

from ...codecs.errors import DicomError
from .element_scanner import ElementScanner
from .encoding import Encoding, Located
from .instance import ReadAt

__all__ = ["COPY_BYTES", "copy_bytes", "locate_elements", "read_exactly"]

COPY_BYTES = 1 << 16
"""Values are copied in pieces of this size; a multiple of every width that is swapped."""


def locate_elements(
    read_at: ReadAt, *, encoding: Encoding, start_bytes: int, end_bytes: int, source: str = ""
) -> Iterator[Located]:
    """Every top-level element between two offsets, in the order they are stored.

    Ends early where the elements turn to zeros, as a file padded with zeros does.

    Raises
    ------
    DicomError
        The bytes between are not whole elements.
    """
    scanner = ElementScanner(encoding=encoding, end_bytes=end_bytes, locate=True, source=source)
    position = start_bytes
    while position < end_bytes and not scanner.done:
        wanted = min(max(COPY_BYTES, scanner.wanted_bytes), end_bytes - position)
        data = read_exactly(read_at, position, wanted, source=source)
        reached = position + scanner.parse(data, 0, position)
        yield from scanner.located
        scanner.located.clear()
        if reached == position:
            break
        position = reached
    if scanner.pixel_data is not None:
        raise DicomError(
            f"a Pixel Data element among the others, at byte {scanner.pixel_data.offset_bytes}",
            tag=scanner.pixel_data.tag,
            offset_bytes=scanner.pixel_data.offset_bytes,
            source=source,
        )
    if position < end_bytes and not scanner.done:
        rest = read_exactly(read_at, position, min(COPY_BYTES, end_bytes - position), source=source)
        scanner.check_complete(rest, position)
    else:
        scanner.check_complete(b"", position)


def copy_bytes(
    read_at: ReadAt, *, start_bytes: int, end_bytes: int, source: str = ""
) -> Iterator[bytes]:
    """The bytes between two offsets, in pieces of at most `COPY_BYTES`."""
    for position in range(start_bytes, end_bytes, COPY_BYTES):
        yield read_exactly(read_at, position, min(COPY_BYTES, end_bytes - position), source=source)


def read_exactly(read_at: ReadAt, offset_bytes: int, length_bytes: int, *, source: str) -> bytes:
    """`length_bytes` bytes, or a DicomError that says where the source ended."""
    data = read_at(offset_bytes, length_bytes)
    if len(data) != length_bytes:
        raise DicomError(
            f"the source ended at byte {offset_bytes + len(data)}, expected"
            f" {length_bytes} bytes from byte {offset_bytes}",
            offset_bytes=offset_bytes + len(data),
            source=source,
        )
    return data
