"""Codestreams that are not progressive yet: made, and of real files."""

from __future__ import annotations

import csv
from pathlib import Path

import imagecodecs
import numpy as np
import pydicom
from mersey.codecs.codestream import scan_codestream
from mersey.codecs.surgery import reorder
from pydicom.encaps import generate_frames

SYNTAXES = {f"1.2.840.10008.1.2.4.{number}" for number in (90, 91, 201, 202, 203)}


def j2k(image: np.ndarray, *, level: float | None = None) -> bytes:
    data: bytes = imagecodecs.jpeg2k_encode(
        image, level=level, codecformat="j2k", reversible=level is None, bitspersample=12
    )
    return data


def ht(image: np.ndarray, *, reversible: bool = True, resolutions: int = 4) -> bytes:
    """HTJ2K in LRCP, without TLM."""
    data = imagecodecs.htj2k_encode(
        image, reversible=reversible, resolutions=resolutions, bitspersample=12
    )
    return reorder(data, progression="LRCP")


def frames_of(path: Path) -> list[bytes]:
    ds = pydicom.dcmread(path)
    count = int(ds.get("NumberOfFrames", 1))
    return list(generate_frames(ds.PixelData, number_of_frames=count))


def decoded(data: bytes) -> np.ndarray:
    return imagecodecs.jpeg2k_decode(data[scan_codestream(data).jp2_offset :])


def real_files(shared_data: Path) -> list[tuple[str, str]]:
    csv.field_size_limit(1 << 30)
    with (shared_data / "MANIFEST.tsv").open(newline="", encoding="utf-8") as file:
        return [
            (row["path"], row["transfer_syntax"])
            for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
            if row["path"].startswith("dicom/") and row["transfer_syntax"] in SYNTAXES
        ]
