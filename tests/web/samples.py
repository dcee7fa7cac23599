"""Instances that the servers of these tests serve, with their samples in Python."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    CTImageStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    SegmentationStorage,
)


def base_dataset(uid: str, *, series: str = "1.2.3.1", study: str = "1.2.3") -> Dataset:
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.SOPClassUID = CTImageStorage
    dataset.SOPInstanceUID = uid
    dataset.StudyInstanceUID = study
    dataset.SeriesInstanceUID = series
    dataset.PatientName = "Müller^Jörg"
    dataset.PatientID = "P1"
    dataset.StudyDate = "20240310"
    dataset.StudyTime = "103015"
    dataset.AccessionNumber = "A1"
    dataset.StudyDescription = "Thorax"
    dataset.Modality = "CT"
    dataset.SeriesNumber = 2
    dataset.SeriesDescription = "Axial"
    dataset.InstanceNumber = int(uid.rpartition(".")[2])
    return dataset


def add_pixels(dataset: Dataset, samples: np.ndarray, *, stored: int, planar: int = 0) -> None:
    """Describe (frames, rows, columns[, 3]) samples; the bytes are the caller's to set."""
    dataset.NumberOfFrames = samples.shape[0]
    dataset.Rows, dataset.Columns = samples.shape[1:3]
    dataset.SamplesPerPixel = 3 if samples.ndim == 4 else 1
    dataset.PhotometricInterpretation = "RGB" if samples.ndim == 4 else "MONOCHROME2"
    if samples.ndim == 4:
        dataset.PlanarConfiguration = planar
    dataset.BitsAllocated = samples.dtype.itemsize * 8
    dataset.BitsStored = stored
    dataset.HighBit = stored - 1
    dataset.PixelRepresentation = 0
    dataset.PixelSpacing = [0.5, 0.5]


def write(path: Path, dataset: Dataset, uid: str = ExplicitVRLittleEndian) -> None:
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = uid
    dataset.save_as(
        path,
        implicit_vr=uid == ImplicitVRLittleEndian,
        little_endian=uid != ExplicitVRBigEndian,
        enforce_file_format=True,
    )


def part10(dataset: Dataset, *, preamble: bytes = bytes(128)) -> bytes:
    """The file of `dataset` in Explicit VR Little Endian."""
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.preamble = preamble
    written = BytesIO()
    dataset.save_as(written, enforce_file_format=True)
    return written.getvalue()


def ct_samples(frames: int, size: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:size, :size]
    ramp = (rows * 3 + columns * 2)[None] + 20 * np.arange(frames)[:, None, None]
    return np.clip(ramp + rng.integers(0, 40, (frames, size, size)), 0, 4095).astype("<u2")


@dataclass(frozen=True, slots=True)
class Sample:
    """An instance that the server has, and its samples in Python."""

    url: str
    path: Path
    samples: np.ndarray


@dataclass(frozen=True, slots=True)
class Samples:
    ct: Sample
    single: Sample
    implicit: Sample
    big_endian: Sample
    planar: Sample
    j2k: Sample
    bits: Sample
    odd: Sample


def _url(uid: str, series: str = "1.2.3.1", study: str = "1.2.3") -> str:
    return f"/studies/{study}/series/{series}/instances/{uid}"


def make_ct(path: Path, uid: str, samples: np.ndarray, **where: str) -> Sample:
    dataset = base_dataset(uid, **where)
    add_pixels(dataset, samples, stored=12)
    dataset.PixelData = samples.tobytes()
    write(path, dataset)
    return Sample(_url(uid, **where), path, samples)


def make_samples(folder: Path) -> Samples:
    folder.mkdir()
    (folder / "deeper").mkdir()
    (folder / "notes.txt").write_text("no image")
    (folder / "cut.dcm").write_bytes(bytes(128) + b"DICM\x02\0")
    ct = make_ct(folder / "ct.dcm", "1.2.3.1.1", ct_samples(7, 256))
    single = make_ct(folder / "deeper" / "single.dcm", "1.2.3.1.2", ct_samples(1, 96, 1))

    dataset = base_dataset("1.2.3.1.3")
    samples = ct_samples(2, 64, 2)
    add_pixels(dataset, samples, stored=12)
    dataset.PixelData = samples.tobytes()
    dataset.add_new(0x00291010, "OB", bytes(range(256)) * 20)
    item = Dataset()
    item.add_new(0x00291011, "OB", b"nested" * 300)
    dataset.RequestAttributesSequence = Sequence([item])
    write(folder / "implicit.dcm", dataset, ImplicitVRLittleEndian)
    implicit = Sample(_url("1.2.3.1.3"), folder / "implicit.dcm", samples)

    dataset = base_dataset("1.2.3.1.4")
    samples = ct_samples(2, 64, 3)
    add_pixels(dataset, samples, stored=12)
    dataset.PixelData = samples.astype(">u2").tobytes()
    write(folder / "big_endian.dcm", dataset, ExplicitVRBigEndian)
    big_endian = Sample(_url("1.2.3.1.4"), folder / "big_endian.dcm", samples)

    dataset = base_dataset("1.2.3.2.5", series="1.2.3.2")
    dataset.Modality = "US"
    rgb = np.random.default_rng(4).integers(0, 256, (2, 40, 48, 3), dtype=np.uint8)
    add_pixels(dataset, rgb, stored=8, planar=1)
    dataset.PixelData = np.moveaxis(rgb, 3, 1).tobytes()
    write(folder / "planar.dcm", dataset)
    planar = Sample(_url("1.2.3.2.5", "1.2.3.2"), folder / "planar.dcm", rgb)

    import imagecodecs
    from pydicom.encaps import encapsulate

    dataset = base_dataset("1.2.3.1.6")
    samples = ct_samples(2, 80, 5)
    add_pixels(dataset, samples, stored=12)
    frames = [
        imagecodecs.jpeg2k_encode(frame, codecformat="j2k", reversible=True, bitspersample=12)
        for frame in samples
    ]
    dataset.PixelData = encapsulate(frames)
    dataset["PixelData"].VR = "OB"
    write(folder / "j2k.dcm", dataset, JPEG2000Lossless)
    j2k = Sample(_url("1.2.3.1.6"), folder / "j2k.dcm", samples)

    dataset = base_dataset("1.2.3.3.7", series="1.2.3.3")
    dataset.SOPClassUID = SegmentationStorage
    dataset.Modality = "SEG"
    mask = np.random.default_rng(6).integers(0, 2, (3, 5, 7), dtype=np.uint8)
    add_pixels(dataset, mask, stored=1)
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 1, 1, 0
    packed = np.packbits(mask.ravel(), bitorder="little").tobytes()
    dataset.PixelData = packed + b"\0" * (len(packed) % 2)
    write(folder / "bits.dcm", dataset)
    bits = Sample(_url("1.2.3.3.7", "1.2.3.3"), folder / "bits.dcm", mask)

    odd = make_ct(folder / "odd.dcm", "1.2.3.1.8", ct_samples(1, 77, 7))
    return Samples(ct, single, implicit, big_endian, planar, j2k, bits, odd)
