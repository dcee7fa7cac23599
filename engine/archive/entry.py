"""An Entry: an instance in the archive, and the file or blob that its bytes are in.

`fingerprint` names the bytes of one version of one instance. Entity tags and the keys of
renditions rest on it: where the bytes change, it does.
"""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass, field
from stat import S_ISREG

from ...codecs.errors import FormatError
from ..dicom.frame_index import Frame
from ..dicom.instance import Instance
from ..transfer.body import BlobSlice, FileSlice, FileStamp

__all__ = ["Entry", "Place", "is_uid", "stamp_of"]

_MAX_INTEGER = (1 << 63) - 1  # databases' integers are signed, inodes are not
_UID = re.compile(r"(?=.{1,64}\Z)[0-9]+(?:\.[0-9]+)*")


def is_uid(text: str) -> bool:
    """Whether `text` is made as UIDs are (PS3.5 §9.1): numbers between dots, at most 64 characters.

    Components with leading zeros are not allowed, but exist.
    """
    return _UID.fullmatch(text) is not None


def stamp_of(status: os.stat_result) -> FileStamp:
    """The stamp of a file, from its stat; `FormatError` where it is not a regular file."""
    if not S_ISREG(status.st_mode):
        raise FormatError("not a regular file")
    return FileStamp(status.st_size, status.st_mtime_ns, status.st_ino & _MAX_INTEGER)


@dataclass(frozen=True, slots=True)
class Place:
    """Where the bytes of an instance of that SOP Class are, as an `Entry` says it: light."""

    sop_class_uid: str
    path: str
    stamp: FileStamp
    blob_key: str


@dataclass(frozen=True, slots=True)
class Entry:
    """An instance, and the file `path` that held it when it had `stamp`.

    `blob_key` names its blob where the archive keeps the bytes itself, else "". A blob never
    changes; `path` is a local file that holds the same bytes, "" where there is none (yet).
    `sha256` (hexadecimal) is of the original bytes. `served_sha256` and `served_crc32` are of
    the bytes as they are served, which differ where the preamble is not zero. All are "" or
    None where they are not known.
    """

    instance: Instance
    path: str
    stamp: FileStamp
    blob_key: str = ""
    sha256: str = ""
    served_sha256: str = ""
    served_crc32: int | None = None
    fingerprint: str = field(init=False)

    def __post_init__(self) -> None:
        stamp = self.stamp
        parts: tuple[object, ...]
        if self.blob_key:
            parts = (self.instance.sop_instance_uid, self.sha256)
        else:
            parts = (self.instance.sop_instance_uid, stamp.size_bytes, stamp.mtime_ns, stamp.inode)
        digest = hashlib.sha256("|".join(map(str, parts)).encode()).hexdigest()
        object.__setattr__(self, "fingerprint", digest)

    @property
    def uids(self) -> tuple[str, str, str]:
        """Study, Series and SOP Instance UID."""
        instance = self.instance
        return (
            instance.study_instance_uid,
            instance.series_instance_uid,
            instance.sop_instance_uid,
        )

    @property
    def frame_count(self) -> int:
        return 0 if self.instance.frames is None else self.instance.frames.count

    def slice(self, offset_bytes: int, length_bytes: int) -> FileSlice | BlobSlice:
        """A piece of the file or blob, as a segment of a Body."""
        if not self.path:
            return BlobSlice(self.blob_key, offset_bytes, length_bytes)
        return FileSlice(self.path, offset_bytes, length_bytes, self.stamp)

    def frame_slices(self, frame: Frame) -> tuple[FileSlice | BlobSlice, ...]:
        """The bytes of a frame as stored, fragment by fragment."""
        return tuple(self.slice(span.offset_bytes, span.length_bytes) for span in frame.spans)
