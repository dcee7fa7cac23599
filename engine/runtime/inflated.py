"""The inflated stream of a deflated file, on disk for as long as its frames are needed.

A deflated data set has no frame that can be read alone, so it is inflated once, in bounded
pieces, to a temporary file beside the target.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ..archive.part_file import scratch_path
from ..dicom.inflation import inflate
from .plan import Plan

__all__ = ["inflate_beside"]

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


def _data_set(plan: Plan) -> Iterator[bytes]:
    with open(plan.source.path, "rb") as file:
        file.seek(plan.instance.layout.dataset_offset)
        while piece := file.read(_PIECE_BYTES):
            yield piece
