"""Good frames to start from: real ones where there are any, and small ones made here.

A seed's samples are what the codec makes of it undamaged.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from mersey.codecs.errors import MerseyError
from mersey.codecs.pixels import PixelFormat
from mersey.codecs.registry import Registry
from mersey.engine.dicom.indexing import index_instance

__all__ = ["Seed", "seeds_of"]

_MOST_SEEDS = 12
_MOST_PIXEL_BYTES = 800_000
_SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"

_KIN = {
    **dict.fromkeys((f"1.2.840.10008.1.2.4.{n}" for n in (52, 54)), "1.2.840.10008.1.2.4.51"),
    **dict.fromkeys((f"1.2.840.10008.1.2.4.{n}" for n in (55, 56)), "1.2.840.10008.1.2.4.53"),
    **dict.fromkeys((f"1.2.840.10008.1.2.4.{n}" for n in (111, 112)), "1.2.840.10008.1.2.4.110"),
    "1.2.840.10008.1.2.4.92": "1.2.840.10008.1.2.4.90",
    "1.2.840.10008.1.2.4.93": "1.2.840.10008.1.2.4.91",
    "1.2.840.10008.1.2.1.99": "1.2.840.10008.1.2.1",
}
"""Transfer syntaxes of which there are no files, and others whose frames they may hold."""

_MADE = (
    PixelFormat(48, 40, bits_stored=12, high_bit=11),
    PixelFormat(33, 65, bits_stored=16, signed=True),
    PixelFormat(64, 64, bits_allocated=8, bits_stored=8, high_bit=7),
    PixelFormat(40, 56, samples=3, bits_allocated=8, bits_stored=8, high_bit=7, photometric="RGB"),
)


@dataclass(frozen=True, slots=True)
class Seed:
    """One encoded frame, what its data set declares, and what it is decoded to."""

    name: str
    data: bytes
    pixels: PixelFormat
    samples: Any


def seeds_of(uid: str) -> list[Seed]:
    """At most a dozen small frames of one transfer syntax, in a stable order."""
    found = []
    from_ = _KIN.get(uid, uid)
    for name, data, pixels in (*_made(from_), *_real(from_)):
        try:
            samples = Registry.default().decoder(uid).decode(data, pixels=pixels)
        except MerseyError:
            continue  # a file that is broken to begin with
        found.append(Seed(name, data, pixels, samples))
        if len(found) == _MOST_SEEDS:
            break
    return found


def _made(uid: str) -> Iterator[tuple[str, bytes, PixelFormat]]:
    """Frames of our own encoder, where there is one."""
    for pixels in _MADE:
        rng = np.random.default_rng(pixels.rows)
        y, x = np.mgrid[: pixels.rows, : pixels.columns]
        wave = 0.5 + np.sin(x / 9) / 4 + np.cos(y / 7) / 5
        noisy = wave[..., None] + rng.normal(0, 0.01, (*wave.shape, pixels.samples))
        low = -(1 << (pixels.bits_stored - 1)) if pixels.signed else 0
        high = low + (1 << pixels.bits_stored) - 1
        samples = (low + noisy.clip(0, 1) * (high - low)).astype(pixels.dtype)
        try:
            encoder = Registry.default().encoder(uid)
            stored = encoder.encoded_format(pixels)
            data = encoder.encode(samples.reshape(pixels.shape), pixels=pixels).data
        except MerseyError:
            continue
        yield f"made, {pixels.samples} x {pixels.bits_stored} bit", bytes(data), stored


def _real(uid: str) -> Iterator[tuple[str, bytes, PixelFormat]]:
    """First frames of real files, the smallest first."""
    for path in sorted(_paths(uid), key=lambda path: (path.stat().st_size, path.name)):
        try:
            data = path.read_bytes()
            instance = index_instance(
                lambda offset, length, data=data: data[offset : offset + length],
                size_bytes=len(data),
            )
        except MerseyError:
            continue
        frames, pixels = instance.frames, instance.pixels
        if instance.transfer_syntax_uid != uid or frames is None or pixels is None:
            continue
        if not frames.count or pixels.decoded_bytes > _MOST_PIXEL_BYTES or pixels.frame_bits % 8:
            continue
        if instance.layout.deflated:
            continue
        spans = frames[0].spans
        frame = b"".join(data[s.offset_bytes : s.offset_bytes + s.length_bytes] for s in spans)
        yield path.name, frame, pixels


def _paths(uid: str) -> Iterator[Path]:
    """Files of that syntax: pydicom's, and those of ../shared/data where they are."""
    import pydicom.data

    yield from (Path(pydicom.data.__file__).parent / "test_files").glob("*.dcm")
    manifest = _SHARED / "MANIFEST.tsv"
    if not manifest.is_file():
        return
    with manifest.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
            if row["transfer_syntax"] == uid and row["path"].startswith("dicom/"):
                yield _SHARED / row["path"]
