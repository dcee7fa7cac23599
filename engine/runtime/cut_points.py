"""Where the frames of one file can be cut: read from their main headers alone.

A codestream with TLM lists its tile-parts in its first bytes; where each of those is a
resolution, that is all there is to know. A few hundred bytes a frame are read, nothing is
decoded. For threads: the cost is one read and a scan in C++ a frame, some 20 µs.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import pairwise

from ...codecs.codestream import CodestreamLayout, scan_codestream
from ...codecs.errors import CodestreamError, UnsupportedError
from ..dicom.frame_index import Frame, FrameIndex
from ..dicom.instance import ReadAt
from .frame_read import read_bytes

__all__ = ["CutPoints", "cut_points_of", "read_cut_points"]

_HEAD_BYTES = (512, 16 << 10)
"""What holds the main header of nearly every frame, and of every other that is looked at."""

type CutPoints = tuple[tuple[int, ...], ...]
"""Of each frame, at ``[r]``, how many of its bytes make the image at reduction `r`.

The frame as it is stored, padding included, at ``[0]``; that alone where nothing proves more.
"""


def read_cut_points(path: str, frames: FrameIndex) -> CutPoints:
    """The cut points of all frames of the file `path`. Blocks on the disk.

    Raises
    ------
    FormatError
        The file ends before a frame does.
    OSError
        It cannot be read.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:

        def read_at(offset_bytes: int, length_bytes: int) -> bytes:
            return os.pread(descriptor, length_bytes, offset_bytes)

        return tuple(cut_points_of(frames[index], read_at) for index in range(frames.count))
    finally:
        os.close(descriptor)


def cut_points_of(frame: Frame, read_at: ReadAt) -> tuple[int, ...]:
    """The cut points of one frame.

    Raises
    ------
    FormatError
        The source ends before the frame does.
    """
    whole = frame.length_bytes
    for length in _HEAD_BYTES:
        head = read_bytes(read_at, frame, 0, min(length, whole))
        try:
            layout = scan_codestream(head, complete=False)
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
