"""The store of renditions: instances in other transfer syntaxes, each a valid DICOM file.

A rendition's key is a digest of all that its bytes depend on: the source's fingerprint, the
target, the codec library and its settings. Keys are names of files; no UID and nothing else
that came over a wire is ever part of a path. The store is a cache: any file of it may go at
any time, and is made again.
"""

from __future__ import annotations

import hashlib
import logging
import os
from dataclasses import dataclass
from pathlib import Path

from ...codecs.errors import IntegrityError, MerseyError
from ..dicom.frame_index import FrameIndex
from ..dicom.indexing import index_instance
from ..transfer.body import FileSlice, FileStamp
from .bounded_cache import BoundedCache
from .entry import Entry, stamp_of

__all__ = ["Rendition", "RenditionStore", "rendition_key"]

_OPEN_LIMIT_BYTES = 8 << 20
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Rendition:
    """A stored rendition and where its frames are."""

    path: str
    stamp: FileStamp
    has_preamble: bool
    frames: FrameIndex

    def frame_slices(self, index: int) -> tuple[FileSlice, ...]:
        """The bytes of the frame at `index`, counted from 0."""
        return tuple(
            FileSlice(self.path, span.offset_bytes, span.length_bytes, self.stamp)
            for span in self.frames[index].spans
        )


def rendition_key(entry: Entry, *, target_uid: str, library: str) -> str:
    """What names the rendition of `entry` in `target_uid`, made by `library` as we set it."""
    parts = ("rendition 1", entry.fingerprint, target_uid, library)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


class RenditionStore:
    """Renditions under one folder. For one thread, or one event loop."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._known: BoundedCache[str, Rendition] = BoundedCache(
            limit_bytes=_OPEN_LIMIT_BYTES, weigh=_weight
        )

    def path_of(self, key: str) -> Path:
        """Where the rendition of that key is, or will be."""
        return self.root / key[:2] / f"{key}.dcm"

    def find(self, key: str) -> Rendition | None:
        """The rendition, if it is there.

        Costs a stat; the file's headers are read when it is first asked for, or has changed.
        A file that is there and is no rendition is removed: it can be made again.
        """
        path = str(self.path_of(key))
        try:
            stamp = stamp_of(os.stat(path))
        except FileNotFoundError:
            self._known.drop(key)
            return None
        known = self._known.get(key)
        if known is None or known.stamp != stamp:
            try:
                known = _read(path)
            except IntegrityError as error:
                _log.warning("rendition %s is dropped: %s", key, error)
                self.drop(key)
                return None
            self._known.put(key, known)
        return known

    def drop(self, key: str) -> None:
        """Remove a rendition that is not right; it can be made again."""
        self._known.drop(key)
        self.path_of(key).unlink(missing_ok=True)


def _read(path: str) -> Rendition:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        stamp = stamp_of(os.fstat(descriptor))
        instance = index_instance(
            lambda offset, length: os.pread(descriptor, length, offset),
            size_bytes=stamp.size_bytes,
        )
    except MerseyError as error:
        raise IntegrityError(f"a stored rendition cannot be read: {error}") from error
    finally:
        os.close(descriptor)
    if instance.frames is None:
        raise IntegrityError("a stored rendition has no frames")
    return Rendition(path, stamp, instance.layout.has_preamble, instance.frames)


def _weight(rendition: Rendition) -> int:
    frames = rendition.frames
    arrays = (frames.offsets, frames.lengths, frames.starts)
    return 512 + sum(array.nbytes for array in arrays if array is not None)
