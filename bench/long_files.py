"""The files that the benchmarks work on, made when first asked for."""

from __future__ import annotations

import functools
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from sample_study import SampleStudy, write_sample_study

__all__ = ["LongFiles"]

_FOUR_GIB = 0xFFFFFFFE


class LongFiles:
    """Files in `folder`: the synthetic study, and its enhanced CT over and over."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @functools.cached_property
    def study(self) -> SampleStudy:
        return write_sample_study(self.folder / "study")

    @functools.cached_property
    def frames(self) -> np.ndarray[Any, np.dtype[np.uint16]]:
        """The 300 frames of the enhanced CT, 512 x 512, 12 of 16 bits."""
        return pydicom.dcmread(self.study.enhanced_ct).pixel_array

    def enhanced_ct(self, frames: int) -> Path:
        """The enhanced CT with `frames` frames: its 300, over and over."""
        path = self.folder / f"enhanced-{frames}.dcm"
        if path.exists():
            return path
        ds = pydicom.dcmread(self.study.enhanced_ct, stop_before_pixels=True)
        groups = list(ds.PerFrameFunctionalGroupsSequence)
        ds.PerFrameFunctionalGroupsSequence = [
            groups[index % len(groups)] for index in range(frames)
        ]
        ds.NumberOfFrames = frames
        ds.SOPInstanceUID += f".{frames}"
        ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
        with path.open("wb") as file:
            ds.save_as(file, enforce_file_format=True)
            size = frames * self.frames[0].nbytes
            assert size <= _FOUR_GIB
            file.write(struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OW", 0, size))
            for index in range(frames):
                file.write(self.frames[index % len(groups)].tobytes())
        return path
