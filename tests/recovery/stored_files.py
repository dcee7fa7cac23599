"""Files for a mixed ingest, made fast: each with its own UID and its own bytes."""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass
from functools import cache
from io import BytesIO

from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    CTImageStorage,
    EncapsulatedPDFStorage,
    EnhancedCTImageStorage,
    ExplicitVRLittleEndian,
)

__all__ = ["Maker", "Original", "as_parts", "served", "url_of"]

CONTENT_TYPE = 'multipart/related; type="application/dicom"; boundary=bound-of-parts'
_PLACE = "9" * 18  # where the number of an instance goes, in as many digits
_KINDS = {"small": 8 << 10, "document": 24 << 10, "large": 6 << 20}


@dataclass(frozen=True, slots=True)
class Original:
    """A file, as bytes, and what the archive has to know it by."""

    uid: str
    data: bytes

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()


class Maker:
    """Makes originals of `study`; what it makes depends on `seed` alone."""

    def __init__(self, seed: int, *, study: str = "1.2.3") -> None:
        self._random = random.Random(seed)
        self._number = seed * 10**6
        self._templates = {kind: _template(kind, size, study) for kind, size in _KINDS.items()}

    def make(self, kind: str = "small") -> Original:
        self._number += 1
        digits = str(10**17 + self._number)
        data = self._templates[kind].replace(_PLACE.encode(), digits.encode())
        noise = self._random.randbytes(64)  # in the padding at the end
        return Original(f"1.2.826.{digits}", data[: -len(noise)] + noise)


def url_of(one: Original) -> str:
    """Where the instance is retrieved, below the root of the service."""
    held = dcmread(BytesIO(one.data), stop_before_pixels=True)
    return (
        f"/studies/{held.StudyInstanceUID}/series/{held.SeriesInstanceUID}"
        f"/instances/{held.SOPInstanceUID}"
    )


def served(one: Original) -> bytes:
    """The file as it is served: its preamble is zero."""
    return bytes(128) + one.data[128:]


def as_parts(originals: list[Original]) -> bytes:
    """The body of a store request of `CONTENT_TYPE`."""
    body = BytesIO()
    for one in originals:
        body.write(b"--bound-of-parts\r\nContent-Type: application/dicom\r\n\r\n")
        body.write(one.data)
        body.write(b"\r\n")
    body.write(b"--bound-of-parts--\r\n")
    return body.getvalue()


@cache
def _template(kind: str, size_bytes: int, study: str) -> bytes:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = {
        "small": CTImageStorage,
        "document": EncapsulatedPDFStorage,
        "large": EnhancedCTImageStorage,
    }[kind]
    dataset.SOPInstanceUID = f"1.2.826.{_PLACE}"
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.StudyInstanceUID = study
    dataset.SeriesInstanceUID = f"{study}.{len(kind)}"
    dataset.PatientName, dataset.PatientID = "Ingest^Mixed", "P"
    dataset.Modality = "DOC" if kind == "document" else "CT"
    if kind == "document":
        dataset.MIMETypeOfEncapsulatedDocument = "application/pdf"
        dataset.EncapsulatedDocument = b"%PDF words, words and words; " * (size_bytes // 29 + 1)
        dataset.EncapsulatedDocument += b" " * (len(dataset.EncapsulatedDocument) % 2)
    else:
        rows = 64 if kind == "small" else 512
        frames = size_bytes // (rows * rows * 2)
        if kind == "large":
            dataset.NumberOfFrames = frames
        dataset.Rows = dataset.Columns = rows
        dataset.BitsAllocated = dataset.BitsStored = 16
        dataset.HighBit, dataset.PixelRepresentation = 15, 0
        dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
        pixels = random.Random(1).randbytes(frames * rows * rows * 2)
        dataset.add_new(0x7FE00010, "OW", pixels)
    dataset.add_new(0xFFFCFFFC, "OB", bytes(64))  # Data Set Trailing Padding
    file = BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    return file.getvalue()
