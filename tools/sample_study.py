"""Write a synthetic study: an enhanced CT, a CT series, an ultrasound cine.

    python tools/sample_study.py OUT [--small] [--frames N] [--seed N]

The pictures come from `phantom`, the attributes from PS3.3; a seed decides everything, UIDs
included, so two runs write the same bytes. Frames are written as they are drawn: a file of any
length needs the memory of one frame. Never a real patient.
"""

from __future__ import annotations

import argparse
import struct
import sys
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import sample_attributes as attributes
from phantom import Thorax, Ultrasound
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

__all__ = ["SampleStudy", "write_sample_study", "write_sparse_multiframe"]

MULTI_FRAME_GRAYSCALE_WORD = "1.2.840.10008.5.1.4.1.1.7.3"
_LONGEST_VALUE = 0xFFFFFFFE
"""The longest value of a defined length (PS3.5 §7.1.2): 4 GiB less 2 bytes."""

type _Image = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, slots=True)
class SampleStudy:
    """Where the files of one study are."""

    study_instance_uid: str
    enhanced_ct: Path
    ct_series: tuple[Path, ...]
    us_cine: Path

    @property
    def files(self) -> tuple[Path, ...]:
        return (self.enhanced_ct, *self.ct_series, self.us_cine)


def write_sample_study(
    out: Path, *, seed: int = 0, small: bool = False, frames: int | None = None
) -> SampleStudy:
    """Write the study into the folder `out`, which is created; files there are replaced.

    Parameters
    ----------
    frames
        Frames of the enhanced CT; 300 unless told, 6 where `small`.
    small
        128x128 CT and 96x128 cine of a few frames, for tests: well under a second.
    """
    size = 128 if small else 512
    enhanced_frames = frames or (6 if small else 300)
    series_frames = 3 if small else 40
    cine_shape = (96, 128, 4) if small else (480, 640, 30)
    identity = attributes.StudyIdentity(
        study_instance_uid=_uid(seed, "study"), frame_of_reference_uid=_uid(seed, "frame of ref")
    )
    (out / "ct-series").mkdir(parents=True, exist_ok=True)
    enhanced = out / "enhanced-ct.dcm"
    _write_enhanced_ct(enhanced, identity, size=size, frames=enhanced_frames, seed=seed)
    series = tuple(_write_ct_series(out / "ct-series", identity, size, series_frames, seed))
    cine = out / "us-cine.dcm"
    _write_us_cine(cine, identity, shape=cine_shape, seed=seed)
    return SampleStudy(identity.study_instance_uid, enhanced, series, cine)


def write_sparse_multiframe(
    path: Path,
    *,
    frames: int,
    rows: int = 512,
    columns: int = 512,
    seed: int = 0,
    pattern: Iterable[_Image] | None = None,
) -> int:
    """Write a multi-frame file of any size for memory benchmarks; returns its size in bytes.

    The pixels are a hole in the file (zeros that take no disk), or the uint16 images of
    `pattern`, ``(rows, columns)`` each, over and over. Two bytes a sample; the largest file
    holds 8,191 frames of 512x512, because uncompressed Pixel Data ends at 4 GiB.
    """
    frame_bytes = rows * columns * 2
    if frames * frame_bytes > _LONGEST_VALUE:
        raise ValueError(
            f"{frames} frames of {rows}x{columns} are {frames * frame_bytes} bytes, "
            f"uncompressed Pixel Data holds at most {_LONGEST_VALUE}"
        )
    ds = _file_dataset(MULTI_FRAME_GRAYSCALE_WORD, _uid(seed, f"sparse {frames} {rows} {columns}"))
    attributes.describe_secondary_capture(
        ds, study=_uid(seed, "sparse study"), series=_uid(seed, "sparse series")
    )
    attributes.describe_pixels(ds, (rows, columns), bits_stored=16, frames=frames)
    if pattern is not None:
        images = [_bytes_of(image) for image in pattern]
        _write(path, ds, (images[index % len(images)] for index in range(frames)))
        return path.stat().st_size
    _write(path, ds, (), value_bytes=frames * frame_bytes)
    size_bytes = path.stat().st_size + frames * frame_bytes
    with path.open("r+b") as file:
        file.truncate(size_bytes)
    return size_bytes


def _write_enhanced_ct(
    path: Path, identity: attributes.StudyIdentity, *, size: int, frames: int, seed: int
) -> None:
    thorax = Thorax(size=size, slices=frames, seed=seed)
    ds = _file_dataset(attributes.ENHANCED_CT, _uid(seed, f"enhanced {size} {frames}"))
    attributes.describe_study(ds, identity, modality="CT")
    attributes.describe_pixels(ds, (size, size), bits_stored=thorax.bits_stored, frames=frames)
    attributes.describe_enhanced_ct(
        ds,
        series=_uid(seed, "enhanced series"),
        dimension_organization=_uid(seed, "dimensions"),
        frames=frames,
        pixel_spacing_mm=thorax.field_of_view_mm / size,
        intercept=thorax.intercept,
    )
    _write(path, ds, (_bytes_of(thorax.frame(index)) for index in range(frames)))


def _write_ct_series(
    folder: Path, identity: attributes.StudyIdentity, size: int, frames: int, seed: int
) -> Iterator[Path]:
    thorax = Thorax(size=size, slices=frames, seed=seed + 1)
    for index in range(frames):
        ds = _file_dataset(attributes.CT, _uid(seed, f"slice {size} {frames} {index}"))
        attributes.describe_study(ds, identity, modality="CT")
        attributes.describe_pixels(ds, (size, size), bits_stored=thorax.bits_stored)
        attributes.describe_ct(
            ds,
            series=_uid(seed, "slices series"),
            index=index,
            pixel_spacing_mm=thorax.field_of_view_mm / size,
            intercept=thorax.intercept,
        )
        path = folder / f"{index + 1:04d}.dcm"
        _write(path, ds, (_bytes_of(thorax.frame(index)),))
        yield path


def _write_us_cine(
    path: Path, identity: attributes.StudyIdentity, *, shape: tuple[int, int, int], seed: int
) -> None:
    rows, columns, frames = shape
    heart = Ultrasound(rows=rows, columns=columns, frames=frames, seed=seed)
    ds = _file_dataset(attributes.US_MULTI_FRAME, _uid(seed, f"cine {shape}"))
    attributes.describe_study(ds, identity, modality="US")
    attributes.describe_pixels(ds, (rows, columns), bits_stored=8, frames=frames, colour=True)
    attributes.describe_us_cine(ds, series=_uid(seed, "cine series"), shape=(rows, columns))
    _write(path, ds, (_bytes_of(heart.frame(index)) for index in range(frames)))


def _write(
    path: Path, ds: FileDataset, frames: Iterable[bytes], *, value_bytes: int | None = None
) -> None:
    """The data set, then Pixel Data frame by frame: pydicom would hold all of them at once."""
    if value_bytes is None:
        samples = ds.Rows * ds.Columns * ds.SamplesPerPixel * int(ds.get("NumberOfFrames", 1))
        value_bytes = samples * ds.BitsAllocated // 8
    vr = b"OW" if ds.BitsAllocated > 8 else b"OB"
    padding = value_bytes % 2
    with path.open("wb") as file:
        ds.save_as(file, enforce_file_format=True)
        file.write(struct.pack("<HH2sHI", 0x7FE0, 0x0010, vr, 0, value_bytes + padding))
        for frame in frames:
            file.write(frame)
        file.write(b"\0" * padding)


def _file_dataset(sop_class_uid: str, sop_instance_uid: str) -> FileDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = UID(sop_class_uid)
    meta.MediaStorageSOPInstanceUID = UID(sop_instance_uid)
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = UID(_uid(0, "implementation"))
    meta.ImplementationVersionName = "MERSEY_SAMPLE"
    ds = FileDataset("", Dataset(), file_meta=meta, preamble=b"\0" * 128)
    ds.SOPClassUID = sop_class_uid
    ds.SOPInstanceUID = sop_instance_uid
    return ds


def _uid(seed: int, what: str) -> str:
    """A UID out of a name: 2.25 and a UUID (PS3.5 §B.2)."""
    return f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, f'mersey sample {seed} {what}').int}"


def _bytes_of(image: _Image) -> bytes:
    return image.astype(image.dtype.newbyteorder("<"), copy=False).tobytes()


def main(arguments: list[str] | None = None) -> int:
    """Write a study where the command line says."""
    parser = argparse.ArgumentParser(description="Write a synthetic DICOM study.")
    parser.add_argument("out", type=Path, help="folder to write into; created")
    parser.add_argument("--small", action="store_true", help="few small frames, for tests")
    parser.add_argument("--frames", type=int, help="frames of the enhanced CT (300)")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    if options.frames is not None and options.frames < 1:
        parser.error(f"--frames is {options.frames}, expected 1 or more")
    study = write_sample_study(
        options.out, seed=options.seed, small=options.small, frames=options.frames
    )
    size = sum(path.stat().st_size for path in study.files)
    print(f"{len(study.files)} files, {size / 1e6:.1f} MB in {options.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
