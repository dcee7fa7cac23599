"""The files of the comparison: one CT of 300 slices as 300 files and as one enhanced image.

The same pixels in both. `fresh` makes copies with other UIDs of the same length: what has been
stored once is answered, not stored, the next time.
"""

from __future__ import annotations

import functools
import hashlib
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import Dataset

_BENCH = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(_BENCH), str(_BENCH.parent / "tools")]

from long_files import LongFiles  # noqa: E402

__all__ = ["Data", "Uids", "uids_of"]

_SLICES = 300


@dataclass(frozen=True, slots=True)
class Uids:
    """Study, Series and SOP Instance UID of a file."""

    study: str
    series: str
    instance: str

    @property
    def path(self) -> str:
        """The instance under a DICOMweb root."""
        return f"/studies/{self.study}/series/{self.series}/instances/{self.instance}"


class Data:
    """Files under `folder`, made when first asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.long_files = LongFiles(folder)

    @functools.cached_property
    def frames(self) -> np.ndarray[Any, np.dtype[np.uint16]]:
        """Shape ``(300, 512, 512)``."""
        return self.long_files.frames

    @property
    def pixel_bytes(self) -> int:
        return int(self.frames.nbytes)

    @functools.cached_property
    def enhanced(self) -> Path:
        """The 300 slices as one Enhanced CT Image, 157 MB."""
        return self._alone("enhanced", self.long_files.study.enhanced_ct)

    def enhanced_of(self, frames: int) -> Path:
        """The Enhanced CT Image with another number of frames."""
        return self._alone(f"enhanced-{frames}", self.long_files.enhanced_ct(frames))

    def enhanced_small(self, frames: int) -> Path:
        """An Enhanced CT Image of that many frames of 128 x 128: every fourth row and column."""
        folder = self.folder / f"enhanced-small-{frames}"
        folder.mkdir(exist_ok=True)
        path = folder / "ct.dcm"
        if path.exists():
            return path
        samples = self.small
        ds = pydicom.dcmread(self.long_files.study.enhanced_ct, stop_before_pixels=True)
        groups = list(ds.PerFrameFunctionalGroupsSequence)
        ds.PerFrameFunctionalGroupsSequence = [groups[i % len(groups)] for i in range(frames)]
        ds.NumberOfFrames = frames
        ds.Rows, ds.Columns = samples.shape[1:]
        ds.SOPInstanceUID += f".{frames}.128"
        ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
        ds.PixelData = b"".join(samples[i % len(samples)].tobytes() for i in range(frames))
        ds["PixelData"].VR = "OW"
        ds.save_as(path, enforce_file_format=True)
        return path

    @functools.cached_property
    def small(self) -> np.ndarray[Any, np.dtype[np.uint16]]:
        """Shape ``(300, 128, 128)``: the frames' every fourth row and column."""
        return np.ascontiguousarray(self.frames[:, ::4, ::4])

    @functools.cached_property
    def series(self) -> list[Path]:
        """The 300 slices as CT Images, in a folder of their own."""
        folder = self.folder / "series"
        folder.mkdir(exist_ok=True)
        model = pydicom.dcmread(self.long_files.study.ct_series[0])
        paths = []
        for index in range(_SLICES):
            path = folder / f"{index + 1:03}.dcm"
            if not path.exists():
                _write_slice(model, self.frames[index], index, path)
            paths.append(path)
        return paths

    def fresh(self, paths: list[Path], name: str) -> list[Path]:
        """Copies of `paths` with UIDs that depend on `name`, in a folder of that name."""
        folder = self.folder / "fresh" / name
        folder.mkdir(parents=True, exist_ok=True)
        made = []
        for path in paths:
            data = path.read_bytes()
            for uid in set(vars_of(path)):
                data = data.replace(uid.encode(), _renamed(uid, name).encode())
            copy = folder / path.name
            copy.write_bytes(data)
            made.append(copy)
        return made

    def _alone(self, name: str, path: Path) -> Path:
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        link = folder / "ct.dcm"
        if not link.exists():
            link.hardlink_to(path)
        return link


@functools.lru_cache(maxsize=4096)
def uids_of(path: Path) -> Uids:
    """The UIDs of a file."""
    tags = ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"]
    ds = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=tags)
    return Uids(ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.SOPInstanceUID)


def vars_of(path: Path) -> tuple[str, str, str]:
    """The three UIDs of a file, longest first: one may begin with another."""
    found = uids_of(path)
    uids = sorted((found.study, found.series, found.instance), key=len, reverse=True)
    return uids[0], uids[1], uids[2]


def _write_slice(model: Dataset, pixels: np.ndarray[Any, Any], index: int, path: Path) -> None:
    ds = model.copy()
    ds.SOPInstanceUID = f"{model.SeriesInstanceUID[:54]}.{1000 + index}"
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.InstanceNumber = index + 1
    ds.Rows, ds.Columns = pixels.shape
    x, y, _ = model.ImagePositionPatient
    ds.ImagePositionPatient = [x, y, float(index)]
    ds.PixelData = pixels.tobytes()
    ds.save_as(path, enforce_file_format=True)


def _renamed(uid: str, name: str) -> str:
    """Another UID of the same length: its last digits follow from it and `name`."""
    digits = str(int(hashlib.sha256(f"{uid} {name}".encode()).hexdigest(), 16))
    keep = uid.rfind(".") + 2
    count = len(uid) - keep
    if count < 4:
        keep, count = len(uid) - 12, 12
    return uid[:keep] + digits[:count]
