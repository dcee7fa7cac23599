"""Cornerstone3D shows every kind of image that it knows exactly, whatever form it comes in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.pixels.processing import convert_color_space
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage

from .serving import Server
from .showing import RPCL, Show, assert_exact

pytestmark = [pytest.mark.long, pytest.mark.timeout(2400)]

_ROWS, _COLUMNS = 177, 193
_Y, _X = np.mgrid[:_ROWS, :_COLUMNS]
_GREY = _X * 7 + _Y * 3 + _X % 5
_COLOUR = np.stack([_X * 2 % 256, _Y * 3 % 256, (_X + _Y) % 256], -1).astype(np.uint8)


@dataclass(frozen=True, slots=True)
class Kind:
    """An image as it is stored, and the transfer syntax that a viewer is given it in."""

    samples: np.ndarray
    bits_stored: int
    photometric: str = "MONOCHROME2"
    planar: int | None = None
    syntax: str = RPCL


KINDS = {
    "8 bits": Kind((_GREY % 256).astype(np.uint8), 8),
    "inverted": Kind((_GREY % 256).astype(np.uint8), 8, "MONOCHROME1"),
    "12 bits signed": Kind((_GREY % 4096 - 2048).astype("<i2"), 12),
    "16 bits": Kind((_GREY * 33).astype("<u2"), 16),
    "16 bits signed": Kind((_GREY * 30 - 32768).astype("<i2"), 16),
    "RGB by pixel": Kind(_COLOUR, 8, "RGB", 0),
    "RGB by plane": Kind(_COLOUR, 8, "RGB", 1, ExplicitVRLittleEndian),
    "YBR by pixel": Kind(_COLOUR, 8, "YBR_FULL", 0, ExplicitVRLittleEndian),
    "YBR by plane": Kind(_COLOUR, 8, "YBR_FULL", 1, ExplicitVRLittleEndian),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of each kind, in a series of its own."""
    folder = tmp_path_factory.mktemp("kinds")
    for number, (name, kind) in enumerate(KINDS.items(), 1):
        _write(folder / f"{name}.dcm", kind, series=f"1.2.9.{number}")
    return folder


@pytest.fixture(scope="module")
def kinds(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server over them."""
    with Server(folder, tmp_path_factory.mktemp("store")) as server:
        yield server


def _write(path: Path, kind: Kind, *, series: str) -> None:
    samples = kind.samples
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = SecondaryCaptureImageStorage
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "1.2.9", series
    dataset.SOPInstanceUID, dataset.InstanceNumber = f"{series}.1", 1
    dataset.Modality, dataset.PatientID = "OT", "KINDS"
    dataset.Rows, dataset.Columns = samples.shape[:2]
    dataset.SamplesPerPixel = 3 if samples.ndim == 3 else 1
    dataset.PhotometricInterpretation = kind.photometric
    if kind.planar is not None:
        dataset.PlanarConfiguration = kind.planar
        samples = np.moveaxis(samples, 2, 0) if kind.planar else samples
    dataset.BitsAllocated = samples.itemsize * 8
    dataset.BitsStored, dataset.HighBit = kind.bits_stored, kind.bits_stored - 1
    dataset.PixelRepresentation = int(samples.dtype.kind == "i")
    dataset.PixelSpacing = [1, 1]
    data = np.ascontiguousarray(samples).tobytes()
    dataset.PixelData = data + b"\0" * (len(data) % 2)
    dataset["PixelData"].VR = "OB" if samples.itemsize == 1 else "OW"
    dataset.save_as(path, enforce_file_format=True)


@pytest.mark.parametrize("name", KINDS)
def test_an_image_is_exact(show: Show, kinds: Server, folder: Path, name: str) -> None:
    kind = KINDS[name]
    shown = show(
        kinds,
        kind="stack",
        mode="range" if kind.syntax == RPCL else "xhr",
        count=1,
        chunk_bytes=4096,
        file=folder / f"{name}.dcm",
    )
    if kind.photometric != "YBR_FULL":
        assert_exact(shown, [kind.samples], syntax=kind.syntax)
        return
    (picture,) = shown.pictures
    assert picture.transfer_syntax == kind.syntax
    expected = convert_color_space(kind.samples, "YBR_FULL", "RGB").astype(int)
    assert np.abs(picture.samples - expected).max() <= 1
