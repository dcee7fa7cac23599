"""Where a frame can be cut: read from its main header alone.

A codestream with TLM lists its tile-parts in its first bytes; where each of those is a
resolution, that is all there is to know. A few hundred bytes a frame are read, nothing is
decoded. For threads: the cost is one read and a scan in C++ a frame, some 20 µs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

from ...codecs.codestream import CodestreamLayout, scan_codestream
from ...codecs.errors import CodestreamError, UnsupportedError
from ..dicom.frame_index import Frame
from ..dicom.instance import ReadAt
from .frame_read import read_bytes

__all__ = ["cut_points_of", "cut_points_of_bytes"]

_HEAD_BYTES = (512, 16 << 10)
"""What holds the main header of nearly every frame, and of every other that is looked at."""


def cut_points_of(frame: Frame, read_at: ReadAt) -> tuple[int, ...]:
    """At ``[r]``, how many bytes of a frame make its image at reduction `r`.

    The frame as it is stored, padding included, at ``[0]``; that alone where nothing proves more.

    Raises
    ------
    FormatError
        The source ends before the frame does.
    """
    return _found(frame.length_bytes, lambda length: read_bytes(read_at, frame, 0, length))


def cut_points_of_bytes(data: bytes) -> tuple[int, ...]:
    """The same of a frame in memory."""
    return _found(len(data), lambda length: data[:length])


def _found(whole: int, head_of: Callable[[int], bytes]) -> tuple[int, ...]:
    for length in _HEAD_BYTES:
        try:
            layout = scan_codestream(head_of(min(length, whole)), complete=False)
        except (CodestreamError, UnsupportedError):
            continue
        return _usable(layout, whole)
    return (whole,)


def _usable(layout: CodestreamLayout, whole: int) -> tuple[int, ...]:
    points: Sequence[int] | None = layout.cut_points
    if points is None or layout.jp2_offset or not points[0] <= whole:
        return (whole,)
    if points[-1] <= 0 or any(left < right for left, right in pairwise(points)):
        return (whole,)
    return (whole, *points[1:])
