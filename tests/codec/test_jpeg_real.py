"""Real JPEG in DICOM: pydicom's own files, the manifest's, and the broken ones."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pydicom
import pytest
from jpeg_streams import decode_dct
from mersey.codecs.errors import CodestreamError, MerseyError
from mersey.codecs.jpeg_colour import codestream_format
from mersey.codecs.pixels import PixelArray, PixelFormat
from mersey.codecs.registry import Registry
from pydicom.data import get_testdata_file
from pydicom.encaps import generate_frames

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")

_JPEG = {f"1.2.840.10008.1.2.4.{number}" for number in (50, 51, 52, 53, 54, 55, 56, 57, 70)}

_OTHER_PIXELS = {
    "dicom/ts_jpeg_extended/cs3d__CTImage.dcm_JPEGProcess2_4TransferSyntax_1.2.840.10008.1.2.4.51"
    ".dcm": "libjpeg's inverse DCT rounds another way than the digest's",
    "dicom/ts_jpeg_extended/pydicom__JPGExtended.dcm": (
        "libjpeg's inverse DCT rounds another way than the digest's"
    ),
    "dicom/ts_jpeg_extended/dtf__WG04_RG3_JPLY.dcm": (
        "8 samples overshoot the 10 bits stored: 1023 here, wrapped round to 0 in the digest"
    ),
}
"""All others give the manifest's digest."""

_PI_CORRECTED = {
    "dicom/ts_jpeg_baseline/pylibjpegdata__SC_rgb_jpeg_lossy_gdcm.dcm",
    "dicom/ts_jpeg_extended/fodicom__GH195.dcm",
}


def _pixels(dataset: pydicom.Dataset) -> PixelFormat:
    return PixelFormat(
        dataset.Rows,
        dataset.Columns,
        samples=dataset.SamplesPerPixel,
        bits_allocated=dataset.BitsAllocated,
        bits_stored=dataset.BitsStored,
        high_bit=dataset.HighBit,
        signed=bool(dataset.PixelRepresentation),
        photometric=dataset.PhotometricInterpretation,
    )


def _frames(dataset: pydicom.Dataset) -> list[bytes]:
    count = int(dataset.get("NumberOfFrames", 1) or 1)
    return list(generate_frames(dataset.PixelData, number_of_frames=count))


def _decoded(dataset: pydicom.Dataset, uid: str) -> PixelArray:
    pixels = _pixels(dataset)
    decoder = Registry.default().decoder(uid)
    frames = [decoder.decode(frame, pixels=pixels) for frame in _frames(dataset)]
    return np.stack(frames) if len(frames) > 1 else frames[0]


def _rows(shared_data: Path, folder: str) -> Iterator[dict[str, str]]:
    csv.field_size_limit(1 << 30)
    with (shared_data / "MANIFEST.tsv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
            if row["path"].startswith(folder + "/") and row["transfer_syntax"] in _JPEG:
                yield row


def test_real_files_decode_to_their_digests(shared_data: Path) -> None:
    right, wrong, corrected = 0, [], set()
    for row in _rows(shared_data, "dicom"):
        dataset = pydicom.dcmread(shared_data / row["path"], force=True)
        decoded = _decoded(dataset, row["transfer_syntax"])
        assert str((decoded.shape, decoded.dtype.name)).replace("'", "") == (
            "(" + row["decoded_shape_dtype"].replace(") ", "), ") + ")"
        )
        good = hashlib.sha256(decoded.tobytes()).hexdigest() == row["decoded_sha256"]
        right += good
        if good is (row["path"] in _OTHER_PIXELS):
            wrong.append(row["path"])
        pixels = _pixels(dataset)
        if codestream_format(_frames(dataset)[0], pixels=pixels) != pixels:
            corrected.add(row["path"])
    assert wrong == []
    assert corrected == _PI_CORRECTED
    assert right >= 40


def test_real_12_bit_frames_are_what_plain_arithmetic_makes_of_them() -> None:
    path = get_testdata_file("JPGExtended.dcm", download=False)
    if path is None:
        pytest.skip("this pydicom ships no JPGExtended.dcm")
    dataset = pydicom.dcmread(path)
    decoded = _decoded(dataset, dataset.file_meta.TransferSyntaxUID)
    (expected,) = decode_dct(_frames(dataset)[0])
    assert decoded.shape == (1024, 256)
    assert decoded.std() > 10
    assert np.abs(decoded - expected).max() <= 1


@pytest.mark.parametrize(
    ("name", "right"),
    [
        ("SC_rgb_dcmtk_+eb+cr.dcm", "RGB"),
        ("SC_rgb_dcmtk_+eb+cy+n1.dcm", "YBR_FULL"),
        ("SC_rgb_dcmtk_+eb+cy+n2.dcm", "YBR_FULL"),
        ("SC_rgb_dcmtk_+eb+cy+s4.dcm", "YBR_FULL"),
        ("SC_jpeg_no_color_transform.dcm", "RGB"),
        ("SC_jpeg_no_color_transform_2.dcm", "RGB"),
        ("SC_rgb_jpeg_gdcm.dcm", "RGB"),
    ],
)
def test_colours_of_real_files_come_unconverted(name: str, right: str) -> None:
    path = get_testdata_file(name, download=False)
    if path is None:
        pytest.skip(f"this pydicom ships no {name}")
    dataset = pydicom.dcmread(path)
    pixels = _pixels(dataset)
    frame = _frames(dataset)[0]
    assert codestream_format(frame, pixels=pixels).photometric == right
    decoded = _decoded(dataset, dataset.file_meta.TransferSyntaxUID)
    if dataset.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.4.50":
        first, *_ = decode_dct(frame)
        assert np.abs(decoded[..., 0] - first).max() <= 1
    if name.startswith("SC_rgb"):  # stripes: red, green, blue, black, white among them
        red = [255, 0, 0] if right == "RGB" else [76, 85, 255]
        assert np.abs(decoded[5, 50].astype(int) - red).max() <= 3


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("fodicom__genFile.dcm", "no JPEG codestream: it begins with 0000"),
        ("fodicom__multiframe.dcm", "240 rows, 55 columns, 3 components; the data set says 240"),
    ],
)
def test_broken_files_get_a_clear_error(shared_data: Path, name: str, says: str) -> None:
    dataset = pydicom.dcmread(shared_data / "broken" / "dicom" / name, force=True)
    with pytest.raises(CodestreamError, match=says):
        _decoded(dataset, dataset.file_meta.TransferSyntaxUID)


def test_sound_frames_of_a_broken_file_decode(shared_data: Path) -> None:
    dataset = pydicom.dcmread(shared_data / "broken" / "dicom" / "fodicom__multiframe.dcm")
    decoder, pixels = Registry.default().decoder("1.2.840.10008.1.2.4.50"), _pixels(dataset)
    sound = 0
    for frame in _frames(dataset):
        try:
            sound += decoder.decode(frame, pixels=pixels).shape == pixels.shape
        except MerseyError:
            continue
    assert sound == 117


def test_broken_files_that_can_be_decoded_are_right(shared_data: Path) -> None:
    right = set()
    for row in _rows(shared_data, "broken/dicom"):
        if not row["decoded_sha256"] or "multiframe" in row["path"]:
            continue
        dataset = pydicom.dcmread(shared_data / row["path"], force=True)
        decoded = _decoded(dataset, row["transfer_syntax"])
        assert hashlib.sha256(decoded.tobytes()).hexdigest() == row["decoded_sha256"], row["path"]
        right.add(row["path"].rpartition("__")[2])
    assert right == {
        "JPEG-lossy.dcm",
        "bad_sequence.dcm",
        "JPEGLossless_1s_1f_i_16_16_bad.dcm",
    }
