"""What a received file is found to be, and what the archive is to know of it.

`examine` reads headers, makes the metadata and compresses what is worth it. It runs wherever
an Executor takes it: whatever a file does to the libraries that read it, it does there.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import warnings
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from io import FileIO, RawIOBase
from typing import Literal

import zstandard

from ...codecs.errors import MerseyError, ResourceError
from ..dicom.indexing import WINDOW_BYTES, index_instance
from ..dicom.instance import Instance
from ..dicom.tags import SOP_INSTANCE_UID
from ..transfer.body import FileSlice, FileStamp
from .blobs import COMPRESSED, PLAIN
from .entry import Entry, is_uid
from .metadata import pack_metadata, reader_of
from .part10_body import file_segments
from .receiving import Received
from .stored import StoredInstance

__all__ = ["Examined", "Refusal", "RefusedFor", "examine", "examine_all"]

type RefusedFor = Literal["unreadable", "mismatch", "conflict", "resources", "failure"]
"""``unreadable``: its bytes are no composite instance that can be kept. ``mismatch``: it does
not belong where it was sent. ``conflict``: its UID is taken by other bytes. ``resources``: the
store is full or failed. ``failure``: examining it failed; that is nobody's fault but ours."""

_PIECE_BYTES = 1 << 20
_MIN_COMPRESSED_BYTES = 8 << 10
_MAX_COMPRESSED_BYTES = 1 << 30
_WORTH = 0.8
"""Compressed to more than this share, a blob is better kept as it came."""


@dataclass(frozen=True, slots=True)
class Examined:
    """An instance that may be stored: the file at `path` is to become its blob."""

    stored: StoredInstance
    path: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a file is not stored, and which instance it was as far as that is known."""

    reason: RefusedFor
    message: str
    sop_class_uid: str = ""
    sop_instance_uid: str = ""


def examine_all(
    received: Sequence[Received], *, study_uid: str | None = None
) -> list[Examined | Refusal]:
    """`examine` several."""
    return [examine(one, study_uid=study_uid) for one in received]


def examine(received: Received, *, study_uid: str | None = None) -> Examined | Refusal:
    """Find out what a received file is.

    Where the compressed form is to become the blob, it is another file beside the first, with
    ``.zst`` after its name.

    Parameters
    ----------
    study_uid
        The study it has to belong to, if any.
    """
    with open(received.path, "rb", buffering=0) as file:
        return _examined(received, _Source(file), study_uid)


def _examined(received: Received, source: _Source, study_uid: str | None) -> Examined | Refusal:
    path = received.path
    try:
        instance = index_instance(source.read_at, size_bytes=received.size_bytes)
    except MerseyError as error:
        return Refusal("unreadable", error.message, *_uids_at_least(path))
    refusal = _refusal_of(instance, study_uid)
    if refusal is not None:
        return refusal
    known = (instance.sop_class_uid, instance.sop_instance_uid)
    try:
        metadata = pack_metadata(source.read_at, instance.layout)
    except MerseyError as error:
        return Refusal("unreadable", error.message, *known)
    served_sha256, served_crc32 = _served_digests(received, instance, source)
    try:
        compressed = _compress(received) if _is_worth_a_try(received, instance) else None
    except ResourceError as error:
        return Refusal("resources", error.message, *known)
    suffix = PLAIN if compressed is None else COMPRESSED
    stored = StoredInstance(
        instance,
        received.sha256 + suffix,
        received.size_bytes,
        received.sha256,
        served_sha256,
        served_crc32,
        metadata,
    )
    return Examined(stored.with_rows(), compressed or path)


class _Source:
    """A received file; its first bytes, which all want who read it, are read once."""

    def __init__(self, file: FileIO) -> None:
        self.file = file
        self._read_at = reader_of(file)
        self._head = self._read_at(0, WINDOW_BYTES)

    def read_at(self, offset_bytes: int, length_bytes: int, /) -> bytes:
        end = offset_bytes + length_bytes
        if end <= len(self._head):
            return self._head[offset_bytes:end]
        return self._read_at(offset_bytes, length_bytes)


def _uids_at_least(path: str) -> tuple[str, str]:
    """SOP Class and Instance UID of a file that cannot be read to its end, where they are UIDs."""
    from pydicom import dcmread

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            tags = ["SOPClassUID", "SOPInstanceUID"]
            dataset = dcmread(path, stop_before_pixels=True, force=True, specific_tags=tags)
            uids = [str(dataset.get(tag, "")) for tag in tags]
        except Exception:  # noqa: BLE001  whatever pydicom makes of bytes that are known to be wrong
            return "", ""
    class_uid, instance_uid = (uid if is_uid(uid) else "" for uid in uids)
    return class_uid, instance_uid


def _refusal_of(instance: Instance, study_uid: str | None) -> Refusal | None:
    """Why an instance that can be read is not taken (PS3.5 §9.1, PS3.18 §10.5)."""
    known = tuple(
        uid if is_uid(uid) else "" for uid in (instance.sop_class_uid, instance.sop_instance_uid)
    )
    for name, uid in (
        ("SOP Class", instance.sop_class_uid),
        ("SOP Instance", instance.sop_instance_uid),
        ("Series Instance", instance.series_instance_uid),
        ("Study Instance", instance.study_instance_uid),
    ):
        if not is_uid(uid):
            what = "it is no UID" if uid else "there is none"
            return Refusal("unreadable", f"its {name} UID cannot be taken: {what}", *known)
    if instance.text(SOP_INSTANCE_UID) != instance.sop_instance_uid:
        # The file meta alone names it: what is served would contradict its address.
        return Refusal("unreadable", "its data set holds no SOP Instance UID that fits", *known)
    if study_uid is not None and instance.study_instance_uid != study_uid:
        return Refusal("mismatch", "it belongs to another study than the one addressed", *known)
    return None


def _served_digests(received: Received, instance: Instance, source: _Source) -> tuple[str, int]:
    """SHA-256 and CRC-32 of what `file_segments` gives; known, where that is the file itself."""
    entry = Entry(instance, received.path, FileStamp(received.size_bytes, 0, 0))
    first, rest = file_segments(entry)
    assert isinstance(first, bytes)
    assert isinstance(rest, FileSlice)
    if rest.offset_bytes == len(first) and source.read_at(0, len(first)) == first:
        return received.sha256, received.crc32
    digest, crc32 = hashlib.sha256(first), zlib.crc32(first)
    source.file.seek(rest.offset_bytes)
    for piece in _pieces(source.file):
        digest.update(piece)
        crc32 = zlib.crc32(piece, crc32)
    return digest.hexdigest(), crc32


def _is_worth_a_try(received: Received, instance: Instance) -> bool:
    """Whether it holds no image, whose data are not to be compressed, nor is compressed itself."""
    return (
        instance.frames is None
        and not instance.layout.deflated
        and _MIN_COMPRESSED_BYTES <= received.size_bytes <= _MAX_COMPRESSED_BYTES
    )


def _compress(received: Received) -> str | None:
    """The file with one zstd frame of the original, or None where that is not clearly smaller."""
    target = received.path + ".zst"
    with open(received.path, "rb", buffering=0) as source:
        sample = source.read(_PIECE_BYTES)
        if len(zstandard.ZstdCompressor(level=1).compress(sample)) > _WORTH * len(sample):
            return None
        source.seek(0)
        compressor = zstandard.ZstdCompressor(level=6, write_checksum=True)
        try:
            with open(target, "xb", buffering=0) as file:
                fcntl.flock(file, fcntl.LOCK_EX)  # `collect` leaves it alone
                feed = compressor.stream_writer(file, size=received.size_bytes, closefd=False)
                with feed:
                    for piece in _pieces(source):
                        feed.write(piece)
            size_bytes = os.stat(target).st_size
        except (OSError, zstandard.ZstdError) as error:
            with suppress(FileNotFoundError):
                os.unlink(target)
            raise ResourceError(f"the compressed form cannot be written: {error}") from error
    if size_bytes > _WORTH * received.size_bytes:
        os.unlink(target)
        return None
    return target


def _pieces(file: RawIOBase) -> Iterator[memoryview]:
    buffer = bytearray(_PIECE_BYTES)
    view = memoryview(buffer)
    while length := file.readinto(buffer):
        yield view[:length]
