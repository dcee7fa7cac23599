"""A file's data set as DICOM JSON, read without its Pixel Data and other bulk values.

Reads through a `ReadAt`; opens nothing. What describes an image fits one read. Where more
lies outside Pixel Data (encapsulated documents, raw data), the elements are located first, and
long values are never read.
"""

from __future__ import annotations

from collections.abc import Iterator

from ...codecs.errors import DicomError, ResourceError
from .element_scanner import ElementScanner
from .encoding import Encoding, Located
from .inflation import PIECE_BYTES, inflate
from .instance import Layout, ReadAt
from .json_members import INLINE_BYTES
from .json_values import BINARY_VRS
from .json_writer import JsonWriter
from .tags import FLOAT_PIXEL_DATA, PIXEL_DATA, PIXEL_DATA_TAGS

__all__ = ["bulk_span", "data_set_json"]

WHOLE_BYTES = 1 << 24
"""Up to here, what is not Pixel Data is read at once."""

MAX_TEXT_BYTES = 1 << 24
"""Longer values that are not binary are told by their VR alone."""

MAX_SEQUENCE_BYTES = 1 << 28
_WINDOW_BYTES = 1 << 18
_RUN_BYTES = 1 << 22
_PIXEL_VRS = {FLOAT_PIXEL_DATA: "OF", PIXEL_DATA: "OW"}


def data_set_json(read_at: ReadAt, layout: Layout, *, source: str = "") -> str:
    """The JSON object of the data set that `layout` describes.

    Parameters
    ----------
    read_at
        Reads the file; called with offsets below `layout.size_bytes`, or, where the data set
        is deflated, until it gives nothing.
    source
        A name for errors; never opened.

    Raises
    ------
    DicomError
        The data set is damaged.
    ResourceError
        A deflated one inflates beyond reason.
    """
    encoding = Encoding(explicit_vr=layout.explicit_vr, little_endian=layout.little_endian)
    writer = JsonWriter(encoding=encoding, source=source)
    spans = list(_spans(layout))
    if layout.deflated:
        read_at = _inflated(read_at, layout, spans, source)
    if sum(end - start for start, end in spans) <= WHOLE_BYTES:
        for start, end in spans:
            writer.add(_exactly(read_at, start, end, source), offset_bytes=start)
    else:
        for start, end in spans:
            _add_located(writer, read_at, start, end, encoding, source)
    if layout.pixel_tag is not None:
        writer.add_bulk(layout.pixel_tag, _PIXEL_VRS.get(layout.pixel_tag, "OD"))
    return writer.text()


def bulk_span(read_at: ReadAt, layout: Layout, tag: int) -> tuple[int, int] | None:
    """Offset and length of a top-level binary value that lies in the file as it is served.

    Reads headers only. None where that is not certain: the value is to be looked for otherwise.

    Raises
    ------
    DicomError
        The data set is damaged before it.
    """
    if layout.deflated or not layout.little_endian or tag in PIXEL_DATA_TAGS:
        return None
    encoding = Encoding(explicit_vr=layout.explicit_vr, little_endian=True)
    writer = JsonWriter(encoding=encoding)
    found = None
    for start, end in _spans(layout):
        for located in _located(read_at, start, end, encoding, ""):
            if located.tag == tag:
                found = located  # the last of several counts
    if found is None or found.is_undefined or found.vr == b"UN":
        return None
    if not found.vr and tag >> 16 & 1:
        return None  # its private creator decides
    is_bulk = writer.vr_of(found) in BINARY_VRS and found.length_bytes > INLINE_BYTES
    return (found.value_offset, found.length_bytes) if is_bulk else None


def _spans(layout: Layout) -> Iterator[tuple[int, int]]:
    """Where there are elements other than Pixel Data: before it, and behind it."""
    start = 0 if layout.deflated else layout.dataset_offset
    if layout.pixel_offset is None:
        yield start, layout.size_bytes
        return
    yield start, layout.pixel_offset
    if layout.end_offset is not None and layout.end_offset < layout.size_bytes:
        yield layout.end_offset, layout.size_bytes


def _exactly(read_at: ReadAt, start: int, end: int, source: str) -> bytes:
    data = read_at(start, end - start) if end > start else b""
    if len(data) < end - start:
        raise DicomError(
            f"the data ends at byte {start + len(data)}, before byte {end}",
            offset_bytes=start + len(data),
            source=source,
        )
    return data


def _inflated(read_at: ReadAt, layout: Layout, spans: list[tuple[int, int]], source: str) -> ReadAt:
    """Reads `spans` of the inflated stream, which are held."""
    if sum(end - start for start, end in spans) > MAX_SEQUENCE_BYTES:
        raise ResourceError(f"a deflated data set of over {MAX_SEQUENCE_BYTES} bytes of metadata")
    held = [(start, bytearray()) for start, _ in spans]
    offset = 0
    for piece in inflate(_chunks(read_at, layout.dataset_offset), source=source):
        stop = offset + len(piece)
        for (start, end), (_, taken) in zip(spans, held, strict=True):
            if offset < end and start < stop:
                taken += piece[max(start - offset, 0) : end - offset]
        offset = stop
        if offset >= spans[-1][1]:
            break

    def read(offset_bytes: int, length_bytes: int, /) -> bytes:
        for start, taken in held:
            if start <= offset_bytes <= start + len(taken):
                place = offset_bytes - start
                return bytes(taken[place : place + length_bytes])
        return b""

    return read


def _chunks(read_at: ReadAt, offset: int) -> Iterator[bytes]:
    while data := read_at(offset, PIECE_BYTES):
        yield data
        offset += len(data)


def _add_located(
    writer: JsonWriter, read_at: ReadAt, start: int, end: int, encoding: Encoding, source: str
) -> None:
    """Add the elements of a long span; those between bulk values are read in runs."""
    run = start
    for located in _located(read_at, start, end, encoding, source):
        length = located.end_offset - located.value_offset
        if length > INLINE_BYTES and located.tag >> 16 & 1:
            # Its private creator decides what its VR is, and must be known.
            _add_run(writer, read_at, run, located.offset_bytes, source)
            run = located.offset_bytes
        vr = writer.vr_of(located) if length > INLINE_BYTES else ""
        limit = _read_bytes(vr)
        if limit is not None and length > limit:
            _add_run(writer, read_at, run, located.offset_bytes, source)
            run = located.end_offset
            if limit == INLINE_BYTES:
                writer.add_bulk(located.tag, vr)
            else:
                writer.add_empty(located.tag, vr)
        elif located.end_offset - run > _RUN_BYTES:
            _add_run(writer, read_at, run, located.end_offset, source)
            run = located.end_offset
    # Behind the last element there may be zeros that pad the file; however many, they say nothing.
    _add_run(writer, read_at, run, min(end, run + _RUN_BYTES), source)


def _read_bytes(vr: str) -> int | None:
    """How long a value may be to be read; None: short anyway."""
    if not vr:
        return None
    if vr in BINARY_VRS:
        return INLINE_BYTES
    return MAX_SEQUENCE_BYTES if vr == "SQ" else MAX_TEXT_BYTES


def _add_run(writer: JsonWriter, read_at: ReadAt, start: int, end: int, source: str) -> None:
    if end > start:
        writer.add(_exactly(read_at, start, end, source), offset_bytes=start)


def _located(
    read_at: ReadAt, start: int, end: int, encoding: Encoding, source: str
) -> Iterator[Located]:
    """The top-level elements from `start` to `end`, in windows."""
    scanner = ElementScanner(encoding=encoding, end_bytes=end, locate=True, source=source)
    offset = start
    while offset + 8 <= end and not scanner.done:
        length = min(max(_WINDOW_BYTES, scanner.wanted_bytes), end - offset)
        position = scanner.parse(_exactly(read_at, offset, offset + length, source), 0, offset)
        yield from scanner.located
        scanner.located.clear()
        if position == 0 and not scanner.done:
            break
        offset += position
    scanner.check_complete(b"", min(offset, end))
