"""Real streams and files: what the manifest says they decode to, we decode to."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterator
from pathlib import Path

import imagecodecs
import numpy as np
import pydicom
import pytest
from mersey.codecs.codestream import CodestreamLayout, scan_codestream
from mersey.codecs.errors import UnsupportedError
from mersey.codecs.pixels import PixelArray, PixelFormat
from mersey.codecs.registry import Registry
from mersey.codecs.samples import true_samples
from mersey.codecs.syntaxes import DEFLATED_FRAME, HTJ2K, J2K, SYNTAXES
from mersey.codecs.uncompressed import align_bits
from pydicom.encaps import generate_frames

_OTHER_PIXELS = {
    "j2k/conformance/file5.jp2": "the JP2 wrapper names an ICC profile",
    "j2k/conformance/file9.jp2": "the JP2 wrapper holds a palette",
    "j2k/nonregression/issue171.jp2": "the JP2 wrapper names a colour space",
    "j2k/nonregression/issue235.jp2": "the JP2 wrapper holds a palette",
    "j2k/nonregression/issue254.jp2": "the JP2 wrapper holds a palette",
    "j2k/nonregression/issue412.jp2": "the JP2 wrapper holds a palette",
}
"""DICOM has no use for what a JP2 wrapper says of colour: we decode the codestream."""

_OTHER_IDCT = {
    "dicom/ts_jpeg_extended/cs3d__CTImage.dcm_JPEGProcess2_4TransferSyntax_1.2.840.10008.1.2.4.51.dcm",
    "dicom/ts_jpeg_extended/dtf__WG04_RG3_JPLY.dcm",
    "dicom/ts_jpeg_extended/pydicom__JPGExtended.dcm",
}
"""12-bit DCT, decoded by others than libjpeg: tests/codec/test_jpeg_real.py says how near."""

_MIXED_SUBSAMPLING = {
    "htj2k/conformance/ds1_ht_07_b11.j2k",
    "j2k/conformance/p0_05.j2k",
    "j2k/conformance/p1_01.j2k",
    "j2k/conformance/p1_03.j2k",
    "j2k/conformance/p1_07.j2k",
}


def _rows(shared_data: Path, folder: str) -> Iterator[dict[str, str]]:
    csv.field_size_limit(1 << 30)
    with (shared_data / "MANIFEST.tsv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
            if row["decoded_sha256"] and row["path"].startswith(folder + "/"):
                yield row


def _digest(samples: PixelArray) -> str:
    return hashlib.sha256(samples.astype(samples.dtype.newbyteorder("<")).tobytes()).hexdigest()


def _declared(layout: CodestreamLayout) -> PixelFormat:
    """The data set that would go with a bare codestream."""
    bits = max(layout.precision)
    return PixelFormat(
        layout.height,
        layout.width,
        samples=layout.components,
        bits_allocated=max(8, 1 << (bits - 1).bit_length()),
        bits_stored=bits,
        high_bit=bits - 1,
        signed=layout.signed[0],
    )


@pytest.mark.parametrize(("folder", "uid"), [("htj2k", HTJ2K), ("j2k", J2K)])
def test_conformance_streams_decode_to_their_digests(
    shared_data: Path, folder: str, uid: str
) -> None:
    decoder = Registry.default().decoder(uid)
    wrong, right = [], 0
    for row in _rows(shared_data, folder):
        path = row["path"]
        data = (shared_data / path).read_bytes()
        layout = scan_codestream(data)
        if layout.components > 4:
            continue  # no DICOM image has so many samples
        pixels = _declared(layout)
        if path in _MIXED_SUBSAMPLING:
            with pytest.raises(UnsupportedError, match="subsampled"):
                decoder.decode(data, pixels=pixels)
            continue
        decoded = decoder.decode(data, pixels=pixels)
        if path in _OTHER_PIXELS or not layout.reversible:
            # Irreversible transforms may round another way, by one.
            bare = data[layout.jp2_offset :]
            other = imagecodecs.jpeg2k_decode(bare, planar=False)
            error = np.abs(decoded.astype(np.int64) - np.asarray(other)).max()
            good = error <= (0 if layout.reversible else 1)
        else:
            good = _digest(decoded) == row["decoded_sha256"]
        right += good
        if not good:
            wrong.append(path)
    assert wrong == []
    assert right >= 35


def test_lower_resolutions_of_real_streams_are_those_of_openjpeg(shared_data: Path) -> None:
    decoder = Registry.default().decoder(HTJ2K)
    seen = 0
    for name in ("CT1", "MR2", "NM1", "RG3", "US1", "VL1"):
        data = (shared_data / f"htj2k/medical/{name}.j2c").read_bytes()
        layout = scan_codestream(data)
        for reduce in range(1, layout.decompositions + 1):
            decoded = decoder.decode(data, pixels=_declared(layout), reduce=reduce)
            expected = imagecodecs.jpeg2k_decode(data, skipres=reduce, planar=False)
            np.testing.assert_array_equal(decoded, expected, err_msg=f"{name} at {reduce}")
            seen += 1
    assert seen >= 25


@pytest.mark.filterwarnings("ignore::UserWarning:pydicom")
def test_dicom_files_decode_to_their_digests(shared_data: Path) -> None:
    registry = Registry.default()
    decodable = {row.uid for row in registry.rows() if row.decode}
    wrong, right = [], 0
    for row in _rows(shared_data, "dicom"):
        uid = row["transfer_syntax"]
        if uid not in decodable or row["path"] in _OTHER_IDCT:
            continue
        dataset = pydicom.dcmread(shared_data / row["path"], force=True)
        pixels = _format_of(dataset)
        decoder = registry.decoder(uid)
        frames = [decoder.decode(frame, pixels=pixels) for frame in _frames(dataset, uid, pixels)]
        stored = np.concatenate([frame.ravel() for frame in frames])
        # pydicom, which made the digests, leaves garbage in unused bits out.
        values = true_samples(stored, pixels=pixels)
        digests = {_digest(stored), _digest(values)}
        if uid == DEFLATED_FRAME and pixels.bits_allocated == 1:
            digests = {_digest(np.packbits(stored, bitorder="little"))}
        good = row["decoded_sha256"] in digests
        right += good
        if not good:
            wrong.append(row["path"])
    assert wrong == []
    assert right >= 170


def _format_of(dataset: pydicom.Dataset) -> PixelFormat:
    keyword = _pixel_keyword(dataset)
    allocated = dataset.BitsAllocated
    return PixelFormat(
        dataset.Rows,
        dataset.Columns,
        samples=dataset.SamplesPerPixel,
        bits_allocated=allocated,
        bits_stored=dataset.get("BitsStored", allocated),
        high_bit=dataset.get("HighBit", allocated - 1),
        signed=bool(dataset.get("PixelRepresentation", 0)),
        planar=int(dataset.get("PlanarConfiguration", 0) or 0),
        photometric=dataset.PhotometricInterpretation,
        floating=keyword != "PixelData",
        swapped_words=dataset[keyword].VR == "OW" and allocated <= 8,
    )


def _pixel_keyword(dataset: pydicom.Dataset) -> str:
    return next(
        name for name in ("PixelData", "FloatPixelData", "DoubleFloatPixelData") if name in dataset
    )


def _frames(dataset: pydicom.Dataset, uid: str, pixels: PixelFormat) -> Iterator[bytes]:
    count = int(dataset.get("NumberOfFrames", 1) or 1)
    value = dataset[_pixel_keyword(dataset)].value
    if SYNTAXES[uid].encapsulated:
        tables = None
        if "ExtendedOffsetTable" in dataset:
            tables = (dataset.ExtendedOffsetTable, dataset.ExtendedOffsetTableLengths)
        yield from generate_frames(value, number_of_frames=count, extended_offsets=tables)
        return
    for index in range(count):
        first = index * pixels.frame_bits
        end = len(value) if count == 1 else -(-(first + pixels.frame_bits) // 8)
        frame = value[first // 8 : end]
        if first % 8:
            frame = align_bits(frame, bit_offset=first % 8, bit_count=pixels.frame_bits)
        yield frame
