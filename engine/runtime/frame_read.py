"""Reads one frame as it is stored, and of a codestream no more than a reduction needs.

`plan_prefix` decides which bytes, `read_frame` reads them. A prefix ends at a cut point: the
byte at which a lower resolution is complete. Never decodes.
"""

from __future__ import annotations

from dataclasses import dataclass

from ...codecs.codestream import CodestreamLayout, prefix_length, scan_codestream
from ...codecs.errors import CodestreamError, FormatError
from ..dicom.frame_index import Frame, Span
from ..dicom.instance import ReadAt

__all__ = [
    "HEAD_BYTES",
    "FrameBytes",
    "plan_prefix",
    "read_bytes",
    "read_codestream",
    "read_frame",
    "read_layout",
    "read_up_to",
    "scan_bytes",
]

HEAD_BYTES = 256
"""Holds the main header of most .202 frames, and is less than their smallest image."""


@dataclass(frozen=True, slots=True)
class FrameBytes:
    """The stored bytes of one frame: all of them, or a codestream's up to a cut point.

    `layout` is None where the frame is no codestream. `stored_bytes` is what the whole frame
    takes in the file, `is_prefix` says that `data` is not all of its codestream. Where `reduced`
    is not 0, `data` is a codestream of its own, of the image halved so often.
    """

    data: bytes
    stored_bytes: int
    layout: CodestreamLayout | None = None
    is_prefix: bool = False
    reduced: int = 0


def plan_prefix(frame: Frame, *, start_bytes: int, end_bytes: int) -> tuple[Span, ...]:
    """Where bytes `start_bytes` to `end_bytes` of the frame lie, over all its fragments."""
    spans = []
    position = 0
    for span in frame.spans:
        first = max(start_bytes - position, 0)
        last = min(end_bytes - position, span.length_bytes)
        if first < last:
            spans.append(Span(span.offset_bytes + first, last - first))
        position += span.length_bytes
    return tuple(spans)


def read_frame(read_at: ReadAt, frame: Frame) -> FrameBytes:
    """Read a whole frame, whatever it is.

    Raises
    ------
    FormatError
        The source ends before the frame does.
    """
    data = read_bytes(read_at, frame, 0, frame.length_bytes)
    return FrameBytes(data, stored_bytes=frame.length_bytes)


def read_layout(read_at: ReadAt, frame: Frame) -> FrameBytes:
    """Read a codestream's main header, and of the rest as much as its layout takes.

    A codestream with TLM says in its main header where it can be cut; of another one the
    tile-part headers must be found, and `data` is then the whole frame.

    Raises
    ------
    CodestreamError
        The frame is not a codestream, or is cut short.
    """
    data = b""
    while len(data) < frame.length_bytes:
        wanted = min(max(HEAD_BYTES, 2 * len(data)), frame.length_bytes)
        data += read_bytes(read_at, frame, len(data), wanted)
        is_whole = len(data) == frame.length_bytes
        layout = scan_bytes(data, is_whole=is_whole)
        if layout is not None and (is_whole or layout.cut_points is not None):
            return FrameBytes(data, frame.length_bytes, layout, is_prefix=not is_whole)
    raise CodestreamError("the frame is empty, expected a codestream", offset_bytes=0)


def read_codestream(read_at: ReadAt, frame: Frame, *, reduce: int = 0) -> FrameBytes:
    """Read a J2K or HTJ2K frame: whole, or up to the cut point of `reduce`.

    The bytes start at SOC: a JP2 wrapper is left out, as is what follows EOC. Where the
    codestream has no cut points the whole of it is read; where it cannot be halved so often,
    its smallest resolution.

    Raises
    ------
    CodestreamError
        The frame is not a codestream, or is cut short.
    """
    head = read_layout(read_at, frame)
    layout = head.layout
    assert layout is not None
    data = head.data
    if reduce == 0 or layout.cut_points is None:
        if head.is_prefix:
            data += read_bytes(read_at, frame, len(data), frame.length_bytes)
            layout = scan_codestream(data)
        start, end = layout.jp2_offset, prefix_length(layout, 0)
        return FrameBytes(data[start:end], frame.length_bytes, layout)
    return read_up_to(read_at, frame, data, layout, min(reduce, layout.decompositions))


def read_up_to(
    read_at: ReadAt, frame: Frame, data: bytes, layout: CodestreamLayout, level: int
) -> FrameBytes:
    """Read on behind `data`, the frame's first bytes, up to the cut point of `level`.

    Raises
    ------
    CodestreamError
        By the main header that is behind the end of the frame.
    """
    start, end = layout.jp2_offset, prefix_length(layout, level)
    if end > frame.length_bytes:
        raise CodestreamError(
            f"the image reduced {level} times ends at byte {end} by the main header, "
            f"the frame at byte {frame.length_bytes}",
            offset_bytes=frame.length_bytes,
        )
    data += read_bytes(read_at, frame, len(data), end)
    return FrameBytes(data[start:end], frame.length_bytes, layout, is_prefix=level > 0)


def scan_bytes(data: bytes, *, is_whole: bool) -> CodestreamLayout | None:
    """The layout, or None where the main header may go on beyond `data`."""
    try:
        return scan_codestream(data, complete=is_whole)
    except CodestreamError:
        if is_whole:
            raise
        return None


def read_bytes(read_at: ReadAt, frame: Frame, start_bytes: int, end_bytes: int) -> bytes:
    """Read bytes `start_bytes` to `end_bytes` of the frame, over all its fragments.

    Raises
    ------
    FormatError
        The source ends before they do.
    """
    parts = []
    for span in plan_prefix(frame, start_bytes=start_bytes, end_bytes=end_bytes):
        part = read_at(span.offset_bytes, span.length_bytes)
        if len(part) < span.length_bytes:
            end = span.offset_bytes + len(part)
            raise FormatError(
                f"the file ends at byte {end}, expected {span.length_bytes} bytes "
                f"at {span.offset_bytes}",
                offset_bytes=end,
            ).at(frame=frame.index + 1)
        parts.append(part)
    return b"".join(parts)
