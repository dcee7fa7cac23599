"""A study to be pulled: slices of half a megabyte, and one file of many frames."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import pydicom
from long_files import LongFiles

__all__ = ["TransferStudy", "digests_below", "write_transfer_study"]

_MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class TransferStudy:
    """Files in `folder`, `size_bytes` together; `digests` has the SHA-256 of each, sorted."""

    folder: Path
    study_instance_uid: str
    size_bytes: int
    digests: list[str]

    def joined(self, path: Path) -> Path:
        """All its bytes in one file."""
        with path.open("wb") as whole:
            for file in sorted(self.folder.rglob("*.dcm")):
                whole.write(file.read_bytes())
        return path


def write_transfer_study(
    folder: Path, files: LongFiles, *, mib: int, slices: int | None = None
) -> TransferStudy:
    """A study of about `mib` MiB, an eighth of them in one file; or of `slices` alone."""
    folder.mkdir(parents=True)
    frames = files.frames
    template = pydicom.dcmread(sorted(files.study.ct_series)[0])
    uid = str(template.SOPInstanceUID)
    if slices is None:
        large = files.enhanced_ct(max(1, mib * _MIB // 8 // frames[0].nbytes))
        (folder / "large.dcm").hardlink_to(large)
        slices = (mib * _MIB - large.stat().st_size) // frames[0].nbytes
    for index in range(slices):
        template.SOPInstanceUID = template.file_meta.MediaStorageSOPInstanceUID = f"{uid}.{index}"
        template.InstanceNumber = index + 1
        template.PixelData = frames[index % len(frames)].tobytes()
        template.save_as(folder / f"{index}.dcm")
    found = sorted(folder.glob("*.dcm"))
    return TransferStudy(
        folder,
        str(template.StudyInstanceUID),
        sum(path.stat().st_size for path in found),
        digests_below(folder),
    )


def digests_below(folder: Path) -> list[str]:
    """The SHA-256 of every file below `folder`, sorted."""
    found = []
    for path in folder.rglob("*.dcm"):
        with path.open("rb") as file:
            found.append(hashlib.file_digest(file, "sha256").hexdigest())
    return sorted(found)
