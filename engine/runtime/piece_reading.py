"""The pieces of all frames of a file: where they end, and their digests, read from the file.

Reads every byte once, a piece of a frame at a time. For threads: the digest is most of the cost,
and lets go of the interpreter.
"""

from __future__ import annotations

import hashlib
import os

from ..dicom.frame_index import Frame, FrameIndex
from ..dicom.instance import ReadAt
from ..transfer.frame_pieces import FramePieces
from .cut_points import cut_points_of
from .frame_read import read_bytes

__all__ = ["read_frame_pieces"]

_READ_BYTES = 1 << 20


def read_frame_pieces(path: str, frames: FrameIndex) -> tuple[FramePieces, ...]:
    """The pieces of all frames of the file `path`. Blocks on the disk.

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

        return tuple(_pieces_of(frames[index], read_at) for index in range(frames.count))
    finally:
        os.close(descriptor)


def _pieces_of(frame: Frame, read_at: ReadAt) -> FramePieces:
    cut_points = cut_points_of(frame, read_at)
    if cut_points[0] <= _READ_BYTES:
        return FramePieces.of(read_bytes(read_at, frame, 0, cut_points[0]), cut_points)
    digests = []
    for start, stop in zip((*cut_points[1:], 0), cut_points, strict=True):
        digest = hashlib.sha256()
        for at in range(start, stop, _READ_BYTES):
            digest.update(read_bytes(read_at, frame, at, min(at + _READ_BYTES, stop)))
        digests.append(digest.digest())
    return FramePieces(cut_points, b"".join(digests))
