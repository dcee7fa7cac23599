"""Every real file: our decode gives the digest that other software gave, or is listed.

And every lossless encoder on every real image: what it writes, others read back exactly.
"""

from __future__ import annotations

import csv
import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from mersey.codecs.errors import CodestreamError, UnsupportedError
from mersey.codecs.pixels import PixelArray, PixelFormat
from mersey.codecs.registry import Registry
from mersey.codecs.samples import fit_samples, true_samples
from mersey.codecs.syntaxes import EXPLICIT_LE, SYNTAXES
from mersey.codecs.uncompressed import align_bits
from mersey.engine.dicom.indexing import index_instance
from mersey.engine.dicom.inflation import inflate
from other_decoders import OTHERS, decode_otherwise

_JPEG_12_BIT = (
    "12-bit DCT by libjpeg; the digest is another decoder's, whose inverse DCT rounds another "
    "way or wraps: tests/codec/test_jpeg_real.py says how near"
)

OTHER_PIXELS = {
    "dicom/ts_jpeg_extended/cs3d__CTImage.dcm_JPEGProcess2_4TransferSyntax_1.2.840.10008.1.2.4.51"
    ".dcm": _JPEG_12_BIT,
    "dicom/ts_jpeg_extended/dtf__WG04_RG3_JPLY.dcm": _JPEG_12_BIT,
    "dicom/ts_jpeg_extended/pydicom__JPGExtended.dcm": _JPEG_12_BIT,
}
REFUSED = {
    "broken/dicom/fodicom__multiframe.dcm": (
        "codestreams of 55 columns in a data set of 240: which of them is wrong nobody knows"
    ),
}
OF_TRUE_SAMPLES = {
    "dicom/mono_uncompressed/pydicomdata__mlut_18.dcm": (
        "negative samples with zeros in their unused bits: stored values here, kept bit for bit; "
        "sample values (PS3.5 §8.1.1) in the digest"
    ),
}
OF_PACKED_BITS = {
    "dicom/seg/pydicomdata__liver_deflate.dcm": "Bits Allocated 1, the digest is of packed bytes",
}
"""Rows of MANIFEST.tsv that do not give their digest as it stands, each with the reason."""

_SAMPLE_EVERY = 9


@dataclass(frozen=True, slots=True)
class RealImage:
    """A file's frames, as stored."""

    path: str
    uid: str
    pixels: PixelFormat
    frames: list[bytes]

    def decoded(self) -> Iterator[PixelArray]:
        decoder = Registry.default().decoder(self.uid)
        for frame in self.frames:
            yield decoder.decode(bytearray(frame), pixels=self.pixels)


def _rows(shared_data: Path) -> list[dict[str, str]]:
    with (shared_data / "MANIFEST.tsv").open(newline="", encoding="utf-8") as file:
        rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        return [row for row in rows if row["kind"] == "dicom" and row["decoded_sha256"]]


def _read(shared_data: Path, path: str) -> RealImage:
    data = (shared_data / path).read_bytes()
    instance = index_instance(
        lambda offset, length: data[offset : offset + length], size_bytes=len(data), source=path
    )
    if instance.layout.deflated:
        data = b"".join(inflate([data[instance.layout.dataset_offset :]]))
    assert instance.frames is not None
    assert instance.pixels is not None
    frames = []
    for frame in (instance.frames[index] for index in range(instance.frames.count)):
        stored = b"".join(
            data[s.offset_bytes : s.offset_bytes + s.length_bytes] for s in frame.spans
        )
        if (
            instance.pixels.frame_bits % 8
            and not SYNTAXES[instance.transfer_syntax_uid].encapsulated
        ):
            bits = instance.pixels.frame_bits
            stored = align_bits(stored, bit_offset=frame.bit_offset, bit_count=bits)
        frames.append(stored)
    return RealImage(path, instance.transfer_syntax_uid, instance.pixels, frames)


def _digest(frames: Iterator[PixelArray], image: RealImage) -> str:
    state = hashlib.sha256()
    for samples in frames:
        if image.path in OF_TRUE_SAMPLES:
            samples = true_samples(samples, pixels=image.pixels)
        if image.path in OF_PACKED_BITS:
            samples = np.packbits(samples, bitorder="little")
        state.update(samples.astype(samples.dtype.newbyteorder("<")).tobytes())
    return state.hexdigest()


def test_every_file_decodes_to_its_digest_or_is_listed(shared_data: Path) -> None:
    rows = _rows(shared_data)
    assert len(rows) > 300
    listed = OTHER_PIXELS | REFUSED | OF_TRUE_SAMPLES | OF_PACKED_BITS
    assert set(listed) <= {row["path"] for row in rows}
    wrong = []
    for row in rows:
        image = _read(shared_data, row["path"])
        if image.path in REFUSED:
            with pytest.raises(CodestreamError):
                list(image.decoded())
        elif (_digest(image.decoded(), image) == row["decoded_sha256"]) == (
            image.path in OTHER_PIXELS
        ):
            wrong.append(image.path)
    assert wrong == []


def _lossless_encoders() -> list[str]:
    rows = Registry.default().rows()
    return [row.uid for row in rows if row.encode and SYNTAXES[row.uid].lossless]


def _frames_of(image: RealImage, *, most: int) -> Iterator[PixelArray]:
    kept = image.frames[:: max(1, -(-len(image.frames) // most))]
    yield from RealImage(image.path, image.uid, image.pixels, kept).decoded()


def _round_trips(shared_data: Path, uid: str, *, every: int, most_frames: int) -> Counter[str]:
    """Encode frames of the real images, decode them elsewhere, compare; why some have no form."""
    encoder = Registry.default().encoder(uid)
    met: Counter[str] = Counter()
    rows = [row for row in _rows(shared_data) if row["path"].startswith("dicom/")]
    for row in rows[::every]:
        image = _read(shared_data, row["path"])
        pixels = Registry.default().decoder(image.uid).decoded_format(image.pixels)
        for samples in _frames_of(image, most=most_frames):
            try:
                stored = encoder.encoded_format(pixels)
                data = encoder.encode(samples, pixels=pixels).data
            except UnsupportedError as error:
                met[error.feature or "no reason"] += 1
                continue
            found = decode_otherwise(uid, bytes(data), stored)
            expected = samples
            if not np.array_equal(found, samples):
                # Codestreams hold Bits Stored bits: the same sample values, PS3.5 §8.1.1.
                expected = fit_samples(samples, pixels=pixels)
            assert np.array_equal(found, expected), image.path
            met["equal"] += 1
    assert met["no reason"] == 0
    return met


@pytest.mark.parametrize("uid", _lossless_encoders())
def test_others_read_back_exactly_what_a_lossless_encoder_writes(
    shared_data: Path, uid: str
) -> None:
    met = _round_trips(shared_data, uid, every=_SAMPLE_EVERY, most_frames=1)
    assert met["equal"] >= 10, met


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("uid", _lossless_encoders())
def test_others_read_back_every_real_image_that_a_lossless_encoder_writes(
    shared_data: Path, uid: str
) -> None:
    met = _round_trips(shared_data, uid, every=1, most_frames=5)
    assert met["equal"] >= 100, met


def test_every_lossless_encoder_has_another_decoder() -> None:
    assert set(_lossless_encoders()) <= set(OTHERS)


@pytest.mark.parametrize("uid", sorted(set(_lossless_encoders()) - {EXPLICIT_LE}))
def test_others_read_back_an_image_made_here(uid: str) -> None:
    pixels = PixelFormat(61, 47, bits_stored=12, high_bit=11)
    y, x = np.mgrid[:61, :47]
    samples = ((np.sin(x / 5) + np.cos(y / 9)) * 900 + 2000).astype(np.uint16)
    samples[0, 0], samples[-1, -1] = 0, 4095
    encoder = Registry.default().encoder(uid)
    data = encoder.encode(samples, pixels=pixels).data
    found = decode_otherwise(uid, bytes(data), encoder.encoded_format(pixels))
    assert np.array_equal(found, samples)
