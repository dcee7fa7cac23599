"""Cuts the stand-alone codestream of a smaller image out of a frame, without decoding it.

`FrameReduce` describes the work and pickles; `reduce_frame` does it, in a worker process.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from ...codecs.errors import FormatError
from ...codecs.surgery import reduce_codestream
from ..transfer.body import FileSlice

__all__ = ["FrameReduce", "reduce_frame"]


@dataclass(frozen=True, slots=True)
class FrameReduce:
    """A frame's bytes, end to end, and how often its image is to be halved."""

    parts: tuple[bytes | FileSlice, ...]
    reduce: int

    @property
    def length_bytes(self) -> int:
        return sum(
            part.length_bytes if isinstance(part, FileSlice) else len(part) for part in self.parts
        )

    @property
    def time_limit_s(self) -> float:
        return 4.0 + self.length_bytes / 10e6


def reduce_frame(work: FrameReduce) -> bytes:
    """The codestream of the smaller image.

    Raises
    ------
    UsageError
        The frame cannot be halved so often.
    FormatError
        The frame is no codestream, or damaged, or its file ends before it does.
    """
    return reduce_codestream(b"".join(map(_read, work.parts)), reduce=work.reduce)


def _read(part: bytes | FileSlice) -> bytes:
    if isinstance(part, bytes):
        return part
    descriptor = os.open(part.path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        data = os.pread(descriptor, part.length_bytes, part.offset_bytes)
    finally:
        os.close(descriptor)
    if len(data) < part.length_bytes:
        end = part.offset_bytes + len(data)
        raise FormatError(
            f"the file ends at byte {end}, expected {part.length_bytes} bytes "
            f"at {part.offset_bytes}",
            offset_bytes=end,
        )
    return data
