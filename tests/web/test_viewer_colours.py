"""Colour that viewers would misread as HTJ2K, because they go by the metadata of what is stored.

Seen with Cornerstone3D 5.14.0 and codec-openjph 2.4.11 (tests/clients/test_viewer.py).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.pixels import get_encoder
from pydicom.uid import (
    ExplicitVRLittleEndian,
    HTJ2KLosslessRPCL,
    RLELossless,
    SecondaryCaptureImageStorage,
)

from .samples import write
from .viewer_forms import DEFAULT

URL = "/studies/1.2.8/series/1.2.8.1/instances/1.2.8.1.1/frames/1"
SAMPLES = np.random.default_rng(3).integers(0, 256, (30, 44, 3), dtype=np.uint8)


def describe(photometric: str, planar: int) -> Dataset:
    dataset = Dataset()
    dataset.SOPClassUID = SecondaryCaptureImageStorage
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "1.2.8", "1.2.8.1"
    dataset.SOPInstanceUID = "1.2.8.1.1"
    dataset.Rows, dataset.Columns, dataset.SamplesPerPixel = 30, 44, 3
    dataset.PhotometricInterpretation, dataset.PlanarConfiguration = photometric, planar
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8, 8, 7
    dataset.PixelRepresentation = 0
    return dataset


def save(folder: Path, dataset: Dataset, data: bytes, uid: str) -> None:
    folder.mkdir()
    dataset.PixelData = data
    dataset["PixelData"].VR = "OB"
    write(folder / "a.dcm", dataset, uid)


def in_order(planar: int) -> bytes:
    return np.ascontiguousarray(np.moveaxis(SAMPLES, 2, 0) if planar else SAMPLES).tobytes()


@pytest.mark.parametrize(("photometric", "planar"), [("RGB", 1), ("YBR_FULL", 0), ("YBR_FULL", 1)])
def test_uncompressed_colour_comes_by_default_as_the_metadata_lays_it_out(
    tmp_path, run_server, photometric, planar
) -> None:
    data = in_order(planar)
    save(tmp_path / "files", describe(photometric, planar), data, ExplicitVRLittleEndian)
    with run_server(tmp_path / "files", tmp_path / "store") as client:
        ((content_type, found),) = client.get(URL, DEFAULT).parts()
        asked = client.get(URL, "image/jphc")
    assert content_type == f"application/octet-stream; transfer-syntax={ExplicitVRLittleEndian}"
    assert found == data
    assert asked.headers["content-type"] == f"image/jphc; transfer-syntax={HTJ2KLosslessRPCL}"


def test_colour_by_pixel_in_rgb_is_progressive_by_default(tmp_path, run_server) -> None:
    save(tmp_path / "files", describe("RGB", 0), in_order(0), ExplicitVRLittleEndian)
    with run_server(tmp_path / "files", tmp_path / "store") as client:
        ((content_type, _),) = client.get(URL, DEFAULT).parts()
    assert content_type == f"application/octet-stream; transfer-syntax={HTJ2KLosslessRPCL}"


def test_compressed_colour_by_plane_comes_by_default_as_it_is_stored(tmp_path, run_server) -> None:
    dataset = describe("RGB", 1)
    frame = get_encoder(RLELossless).encode(
        SAMPLES.tobytes(),
        rows=30,
        columns=44,
        samples_per_pixel=3,
        bits_allocated=8,
        bits_stored=8,
        pixel_representation=0,
        photometric_interpretation="RGB",
        planar_configuration=0,
        number_of_frames=1,
        encoding_plugin="pydicom",
    )
    save(tmp_path / "files", dataset, encapsulate([frame]), RLELossless)
    with run_server(tmp_path / "files", tmp_path / "store") as client:
        ((content_type, found),) = client.get(URL, DEFAULT).parts()
    assert content_type == f"application/octet-stream; transfer-syntax={RLELossless}"
    assert found == frame


@pytest.mark.parametrize(
    ("photometric", "transform", "uid"),
    [
        ("YBR_RCT", True, HTJ2KLosslessRPCL),
        ("RGB", False, ExplicitVRLittleEndian),
        ("YBR_FULL", False, ExplicitVRLittleEndian),
    ],
)
def test_stored_htj2k_without_a_colour_transform_comes_decoded_by_default(
    tmp_path, run_server, photometric, transform, uid
) -> None:
    import imagecodecs

    frame = imagecodecs.htj2k_encode(SAMPLES, rgb=transform, reversible=True)
    save(tmp_path / "files", describe(photometric, 0), encapsulate([frame]), HTJ2KLosslessRPCL)
    with run_server(tmp_path / "files", tmp_path / "store") as client:
        ((content_type, found),) = client.get(URL, DEFAULT).parts()
    assert content_type == f"application/octet-stream; transfer-syntax={uid}"
    if uid == ExplicitVRLittleEndian:
        assert found == SAMPLES.tobytes()
