"""The whole data set of an instance as DICOM JSON, without its bulk data (PS3.18 Annex F).

Made once; `make_metadata` is a pure function of a file and runs wherever an Executor takes
it. Values that do not fit are left out, as their attribute's vr alone. Where bulk data lies is
written as `BULK_PREFIX` and a path of tags and item numbers, for the server to put its own
address before.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from io import FileIO

import zstandard

from ...codecs.errors import DicomError, IntegrityError, MerseyError
from ..dicom.instance import Layout, ReadAt
from ..dicom.json_members import BULK_PREFIX, INLINE_BYTES
from ..dicom.json_reading import data_set_json

__all__ = [
    "BULK_PREFIX",
    "INLINE_BYTES",
    "make_metadata",
    "make_metadata_of",
    "pack_metadata",
    "reader_of",
    "unpack_all",
    "unpack_metadata",
]

MAX_METADATA_BYTES = 1 << 28
_LEVEL = 3  # level 6 takes three times as long, for a tenth less


def make_metadata(path: str, layout: Layout) -> bytes:
    """The metadata of the instance in a file: one JSON object, compressed with zstd.

    Raises
    ------
    DicomError
        The file cannot be read as a data set.
    """
    try:
        with open(path, "rb", buffering=0) as file:
            return pack_metadata(reader_of(file), layout)
    except OSError as error:
        raise DicomError(f"the file cannot be read: {error.strerror}") from error


def reader_of(file: FileIO) -> ReadAt:
    """Reads an open file at any place."""

    def read_at(offset_bytes: int, length_bytes: int, /) -> bytes:
        file.seek(offset_bytes)
        return _read_fully(file, length_bytes)

    return read_at


def pack_metadata(read_at: ReadAt, layout: Layout) -> bytes:
    """As `make_metadata`, of an instance that `read_at` reads; bulk values are not read.

    Raises
    ------
    DicomError
        The data set is damaged.
    ResourceError
        It is longer than is kept.
    """
    text = data_set_json(read_at, layout)
    data = text.encode("utf-8", "replace")
    if len(data) > MAX_METADATA_BYTES:
        raise DicomError(f"its metadata takes over {MAX_METADATA_BYTES} bytes")
    return zstandard.ZstdCompressor(level=_LEVEL).compress(data)


def make_metadata_of(
    sources: Sequence[tuple[str, Layout]],
) -> list[bytes | MerseyError]:
    """The metadata of several files, or for each why it cannot be had."""
    made: list[bytes | MerseyError] = []
    for path, layout in sources:
        try:
            made.append(make_metadata(path, layout))
        except MerseyError as error:
            made.append(error)
    return made


def _read_fully(file: FileIO, length_bytes: int) -> bytes:
    """Up to `length_bytes`; one system call gives at most 2 GiB."""
    data = file.read(length_bytes)
    while len(data) < length_bytes and (piece := file.read(length_bytes - len(data))):
        data += piece
    return data


def unpack_metadata(data: bytes) -> bytes:
    """The JSON object that `make_metadata` compressed.

    Raises
    ------
    IntegrityError
        The data are damaged.
    """
    return unpack_all([data])[0]


def unpack_all(packed: Iterable[bytes]) -> list[bytes]:
    """As `unpack_metadata`, of many: to set a decompressor up costs more than to use it."""
    decompress = zstandard.ZstdDecompressor().decompress
    try:
        return [decompress(data, max_output_size=MAX_METADATA_BYTES) for data in packed]
    except zstandard.ZstdError as error:
        raise IntegrityError(f"the kept metadata is damaged: {error}") from error
