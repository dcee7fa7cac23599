"""What a blob says of its instance, made anew: what verification and rebuilding compare and keep.

`describe_blob` reads all bytes, headers and data set; it runs wherever an Executor takes it.
"""

from __future__ import annotations

import hashlib
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from ...codecs.errors import IntegrityError, MerseyError
from ..dicom.indexing import index_instance
from ..dicom.instance import Instance
from ..transfer.body import BlobSlice, FileSlice, FileStamp
from .blob_unpacking import BlobUnpacking
from .blobs import BlobStore, is_compressed
from .entry import Entry, is_uid
from .metadata import make_metadata
from .part10_body import file_segments
from .receiving import Received, Receiving
from .stored import StoredInstance

__all__ = ["Described", "describe_blob", "original_file", "pieces_of"]

_PIECE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Described:
    """A blob: its instance, or why there is none.

    `is_damaged`: the bytes are not those of the key. Without it and without an instance the
    bytes are what they were, and no instance.
    """

    key: str
    size_bytes: int
    stored: StoredInstance | None = None
    is_damaged: bool = False
    message: str = ""


def describe_blob(blobs: BlobStore, key: str) -> Described:
    """Read the blob of `key`, compare it with its key, and make anew what is known of it.

    Raises
    ------
    ResourceError
        The store fails, or there is no room to decompress it.
    """
    kept_bytes = blobs.size(key) or 0
    try:
        with original_file(blobs, key) as original:
            if original.sha256 != key.partition(".")[0]:
                return Described(key, kept_bytes, None, True, "its bytes are not those of its key")
            return _described(original, key, kept_bytes)
    except IntegrityError as error:
        return Described(key, kept_bytes, None, True, error.message)


@contextmanager
def original_file(blobs: BlobStore, key: str) -> Iterator[Received]:
    """The original of a blob as a local file, with its digests; a copy where it needs one.

    Raises
    ------
    IntegrityError
        The blob is gone, or is no zstd frame where it should be one.
    """
    path = blobs.path_of(key)
    if path is not None and not is_compressed(key):
        yield _digested(path)
        return
    receiving = Receiving(blobs.incoming)
    try:
        for piece in pieces_of(blobs, key):
            receiving.write(piece)
        yield receiving.finish()
    finally:
        receiving.abandon()


def pieces_of(blobs: BlobStore, key: str) -> Iterator[bytes]:
    """The original bytes of a blob, a piece at a time.

    Raises
    ------
    IntegrityError
        The blob is gone, or is no zstd frame where it should be one.
    """
    unpacking = BlobUnpacking(key)
    for piece in _kept_pieces(blobs, key):
        yield from unpacking.feed(piece)
    unpacking.finish()


def _kept_pieces(blobs: BlobStore, key: str) -> Iterator[bytes]:
    size_bytes = blobs.size(key)
    if size_bytes is None:
        raise IntegrityError("the blob is gone")
    for offset in range(0, size_bytes, _PIECE_BYTES):
        yield blobs.read_at(key, offset, min(_PIECE_BYTES, size_bytes - offset))


def _digested(path: str) -> Received:
    digest, crc32, size_bytes = hashlib.sha256(), 0, 0
    try:
        with open(path, "rb", buffering=0) as file:
            while piece := file.read(_PIECE_BYTES):
                digest.update(piece)
                crc32 = zlib.crc32(piece, crc32)
                size_bytes += len(piece)
    except FileNotFoundError:
        raise IntegrityError("the blob is gone") from None
    except OSError as error:
        raise IntegrityError(f"the blob cannot be read: {error.strerror}") from error
    return Received(path, size_bytes, digest.hexdigest(), crc32)


def _described(original: Received, key: str, kept_bytes: int) -> Described:
    try:
        instance = _index(original)
        if not all(map(is_uid, (instance.sop_class_uid, *_uids(instance)))):
            return Described(key, kept_bytes, message="a UID is none")
        metadata = make_metadata(original.path, instance.layout)
    except IntegrityError:
        raise
    except MerseyError as error:
        return Described(key, kept_bytes, message=error.message)
    served_sha256, served_crc32 = _served_digests(original, instance)
    stored = StoredInstance(
        instance,
        key,
        original.size_bytes,
        original.sha256,
        served_sha256,
        served_crc32,
        metadata,
    )
    return Described(key, kept_bytes, stored)


def _uids(instance: Instance) -> tuple[str, str, str]:
    return (
        instance.study_instance_uid,
        instance.series_instance_uid,
        instance.sop_instance_uid,
    )


def _index(original: Received) -> Instance:
    with open(original.path, "rb", buffering=0) as file:
        descriptor = file.fileno()
        return index_instance(
            lambda offset_bytes, length_bytes: os.pread(descriptor, length_bytes, offset_bytes),
            size_bytes=original.size_bytes,
        )


def _served_digests(original: Received, instance: Instance) -> tuple[str, int]:
    entry = Entry(instance, original.path, FileStamp(original.size_bytes, 0, 0))
    digest, crc32 = hashlib.sha256(), 0
    with open(original.path, "rb", buffering=0) as file:
        for segment in file_segments(entry):
            if not isinstance(segment, FileSlice | BlobSlice):
                digest.update(segment)
                crc32 = zlib.crc32(segment, crc32)
                continue
            file.seek(segment.offset_bytes)
            left = segment.length_bytes
            while left and (piece := file.read(min(_PIECE_BYTES, left))):
                digest.update(piece)
                crc32 = zlib.crc32(piece, crc32)
                left -= len(piece)
    return digest.hexdigest(), crc32
