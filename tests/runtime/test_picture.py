"""Pictures made by a worker: of the resolution that is needed, and right at any."""

from __future__ import annotations

from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from mersey.codecs.pixels import PixelFormat
from mersey.codecs.registry import Registry
from mersey.engine.dicom.indexing import index_instance
from mersey.engine.runtime.display import Window
from mersey.engine.runtime.picture import PictureWork, View, make_picture
from mersey.engine.runtime.source_file import SourceFile
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

RPCL = "1.2.840.10008.1.2.4.202"
WINDOW = Window(700, 1200)


def write(path: Path, samples: np.ndarray, *, uid: str = ExplicitVRLittleEndian) -> None:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = uid
    dataset.SOPClassUID, dataset.SOPInstanceUID = CTImageStorage, "1.2.1.1"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "1.2", "1.2.1"
    dataset.Rows, dataset.Columns = samples.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.PixelRepresentation = 0
    if uid == RPCL:
        pixels = PixelFormat(
            rows=samples.shape[0], columns=samples.shape[1], bits_stored=12, high_bit=11
        )
        data = Registry.default().encoder(RPCL).encode(samples, pixels=pixels).data
        dataset.PixelData = encapsulate([bytes(data)])
        dataset["PixelData"].VR = "OB"
    else:
        dataset.PixelData = samples.tobytes()
    dataset.save_as(path, enforce_file_format=True)


def picture(path: Path, view: View) -> np.ndarray:
    with SourceFile(path) as file:
        instance = index_instance(file.read_at, size_bytes=file.size_bytes, source="a")
    assert instance.frames is not None
    assert instance.pixels is not None
    work = PictureWork(
        path=str(path),
        frame=instance.frames[0],
        pixels=instance.pixels,
        source_uid=instance.transfer_syntax_uid,
        view=view,
    )
    return imagecodecs.png_decode(make_picture(work))


def view_of(columns: int, rows: int, **more: object) -> View:
    region = more.pop("region", (0, 0, 200, 150))
    return View(region, columns, rows, window=WINDOW, media_type="image/png", **more)  # type: ignore[arg-type]


@pytest.fixture
def samples() -> np.ndarray:
    rows, columns = np.mgrid[:150, :200]
    return (400 + rows * 3 + columns * 2).astype("<u2")


@pytest.mark.parametrize("size", [(200, 150), (100, 75), (50, 38), (30, 22), (300, 225)])
def test_a_reduced_codestream_shows_what_the_full_size_would(tmp_path, samples, size) -> None:
    write(tmp_path / "plain.dcm", samples)
    write(tmp_path / "rpcl.dcm", samples, uid=RPCL)
    plain = picture(tmp_path / "plain.dcm", view_of(*size)).astype(int)
    reduced = picture(tmp_path / "rpcl.dcm", view_of(*size)).astype(int)
    assert plain.shape == reduced.shape == size[::-1]
    assert np.abs(plain - reduced).max() <= 4


def test_a_region_of_a_reduced_frame_is_where_the_whole_has_it(tmp_path, samples) -> None:
    write(tmp_path / "a.dcm", samples)
    whole = picture(tmp_path / "a.dcm", view_of(100, 75)).astype(int)
    cut = picture(tmp_path / "a.dcm", view_of(50, 25, region=(40, 20, 100, 50))).astype(int)
    assert np.abs(cut - whole[10:35, 20:70]).max() <= 1
    turned = picture(
        tmp_path / "a.dcm", view_of(50, 25, region=(40, 20, 100, 50), flip_columns=True)
    )
    np.testing.assert_array_equal(turned[:, ::-1], cut)


def test_a_view_halves_as_often_as_every_pixel_allows() -> None:
    assert view_of(200, 150).reduce == 0
    assert view_of(100, 75).reduce == 1
    assert view_of(26, 19).reduce == 2
    assert view_of(300, 225).reduce == 0
