"""The inflated stream of a deflated file, on disk for as long as its frames are needed.

A deflated data set has no frame that can be read alone, so it is inflated once, in bounded
pieces, to a temporary file: beside the target for all frames, somewhere for one.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..archive.part_file import scratch_path
from ..dicom.frame_index import Frame
from ..dicom.inflation import inflate
from ..dicom.instance import ReadAt
from .plan import Plan
from .source_file import SourceFile

__all__ = ["inflate_beside", "inflated_up_to"]

_PIECE_BYTES = 1 << 18


def inflate_beside(plan: Plan) -> Path:
    """Inflate the plan's source; the caller removes the file that this returns.

    Raises
    ------
    DicomError, ResourceError
        The stream is damaged, or inflates beyond reason; nothing is left behind.
    """
    path = scratch_path(Path(plan.job.target), "inflated")
    try:
        with path.open("wb") as out:
            for piece in inflate(_data_set(plan), source=Path(plan.source.path).name):
                out.write(piece)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return path


@contextmanager
def inflated_up_to(file: SourceFile, frame: Frame, *, dataset_offset: int) -> Iterator[ReadAt]:
    """The inflated data set up to the end of `frame`, on disk while the block runs.

    Raises
    ------
    DicomError, ResourceError
        The stream is damaged, or inflates beyond reason.
    """
    end = max((span.offset_bytes + span.length_bytes for span in frame.spans), default=0)
    deflated = (
        file.read_at(offset, _PIECE_BYTES)
        for offset in range(dataset_offset, file.size_bytes, _PIECE_BYTES)
    )
    with tempfile.TemporaryFile(prefix="mersey-") as scratch:
        for piece in inflate(deflated, source=str(file.path)):
            scratch.write(piece)
            if scratch.tell() >= end:
                break
        scratch.flush()
        descriptor = scratch.fileno()
        yield lambda offset, length, /: os.pread(descriptor, length, offset)


def _data_set(plan: Plan) -> Iterator[bytes]:
    with open(plan.source.path, "rb") as file:
        file.seek(plan.instance.layout.dataset_offset)
        while piece := file.read(_PIECE_BYTES):
            yield piece
