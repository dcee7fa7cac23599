"""Sources that count what is read of them, and what is done with files in these tests."""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import pydicom
import pytest
from mersey.engine.dicom.header_rewriting import LossyStep
from mersey.engine.dicom.indexing import index_instance
from mersey.engine.dicom.inflation import inflate
from mersey.engine.dicom.instance import Instance
from mersey.engine.dicom.part10_reader import Part10Reader
from mersey.engine.dicom.writer import Part10Writer

from .dicom_files import Make


@dataclass
class Source:
    """Bytes that can be read at any place, and a record of the reads."""

    data: bytes
    reads: list[tuple[int, int]] = field(default_factory=list)

    def __call__(self, offset: int, length: int, /) -> bytes:
        assert 0 <= offset <= len(self.data)
        assert length > 0
        self.reads.append((offset, length))
        return self.data[offset : offset + length]

    @property
    def bytes_read(self) -> int:
        return sum(length for _, length in self.reads)


def _index(data: bytes, *, source: Source | None = None) -> Instance:
    return index_instance(source or Source(data), size_bytes=len(data))


def _push(data: bytes, cuts: Iterable[int], *, size_known: bool = True) -> Instance:
    """The Instance of `data` pushed in pieces that end at `cuts`."""
    reader = Part10Reader(size_bytes=len(data) if size_known else None)
    start = 0
    for cut in [*cuts, len(data)]:
        reader.feed(data[start:cut])
        start = cut
    return reader.finish()


def stream_of(data: bytes, instance: Instance) -> bytes:
    """What the offsets of an Instance count in."""
    if not instance.layout.deflated:
        return data
    return b"".join(inflate([data[instance.layout.dataset_offset :]]))


def _frames(data: bytes, instance: Instance) -> list[bytes]:
    assert instance.frames is not None
    stream = stream_of(data, instance)
    return [
        b"".join(
            stream[span.offset_bytes : span.offset_bytes + span.length_bytes]
            for span in instance.frames[number].spans
        )
        for number in range(instance.frames.count)
    ]


def _write(
    data: bytes,
    *,
    target: str = "1.2.840.10008.1.2.4.202",
    frames: list[bytes] | None = None,
    lossy: LossyStep | None = None,
    ratio: float | None = None,
    **changes: object,
) -> bytes:
    """The file written from `data`, with `frames` instead of its own."""
    instance = _index(data)
    stream = stream_of(data, instance)
    assert instance.pixels is not None
    frames = _frames(data, instance) if frames is None else frames
    writer = Part10Writer(
        instance,
        Source(stream),
        transfer_syntax_uid=target,
        pixels=instance.pixels.with_(**changes),
        frame_count=len(frames),
        lossy=lossy,
    )
    out = bytearray().join(writer.header())
    assert len(out) == writer.header_bytes
    for frame in frames:
        for piece in writer.item(frame):
            out += piece
    writer.add_lengths(map(len, frames))
    for piece in writer.trailer():
        out += piece
    if ratio is not None:
        writer.set_ratio(ratio)
    for offset, patch in writer.patches():
        assert not any(out[offset : offset + len(patch)].replace(b" ", b"\0"))
        out[offset : offset + len(patch)] = patch
    return bytes(out)


def _describe(instance: Instance) -> tuple[object, ...]:
    """All that an Instance says, comparable."""
    return (
        instance.sop_class_uid,
        instance.sop_instance_uid,
        instance.study_instance_uid,
        instance.series_instance_uid,
        instance.transfer_syntax_uid,
        instance.layout,
        dict(instance.attributes),
        instance.pixels,
        None if instance.frames is None else instance.frames.to_bytes(),
        instance.lossy,
        instance.warnings,
    )


def _pydicom_frames(dataset: pydicom.Dataset) -> list[bytes]:
    """The frames of an encapsulated or uncompressed data set, as pydicom sees them."""
    from pydicom.encaps import generate_frames

    count = int(dataset.get("NumberOfFrames", 1) or 1)
    if "PixelData" in dataset and dataset["PixelData"].is_undefined_length:
        tables = None
        if "ExtendedOffsetTable" in dataset:
            tables = (dataset.ExtendedOffsetTable, dataset.ExtendedOffsetTableLengths)
        return list(
            generate_frames(dataset.PixelData, number_of_frames=count, extended_offsets=tables)
        )
    for keyword in ("PixelData", "FloatPixelData", "DoubleFloatPixelData"):
        if keyword in dataset:
            value = dataset[keyword].value
    size = len(value) // count
    bits = dataset.Rows * dataset.Columns * dataset.SamplesPerPixel * dataset.BitsAllocated
    if dataset.PhotometricInterpretation.startswith("YBR_FULL_422"):
        bits = bits * 2 // 3
    assert bits % 8 == 0
    size = bits // 8
    return [value[start : start + size] for start in range(0, size * count, size)]


@dataclass(frozen=True)
class Tools:
    """What tests of this folder share."""

    make: Make = field(default_factory=Make)
    source = Source
    index = staticmethod(_index)
    push = staticmethod(_push)
    stream = staticmethod(stream_of)
    frames = staticmethod(_frames)
    describe = staticmethod(_describe)
    write = staticmethod(_write)
    pydicom_frames = staticmethod(_pydicom_frames)


@pytest.fixture(scope="session")
def tools() -> Tools:
    return Tools()


@pytest.fixture(scope="session")
def make() -> Make:
    return Make()


@pytest.fixture(scope="session")
def pydicom_files() -> list[Path]:
    """The DICOM files inside pydicom's wheel; nothing is downloaded."""
    folder = Path(pydicom.__file__).parent / "data" / "test_files"
    nested = (path for path in folder.glob("dicomdirtests/**/*") if path.is_file())
    return sorted(folder.glob("*.dcm")) + sorted(p for p in nested if "README" not in p.name)


@pytest.fixture
def reread():
    """Parses bytes with pydicom."""

    def parse(data: bytes) -> pydicom.FileDataset:
        return pydicom.dcmread(io.BytesIO(data), force=True)

    return parse
