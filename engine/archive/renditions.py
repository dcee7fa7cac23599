"""The store of renditions: instances in other transfer syntaxes, each a valid DICOM file.

A rendition's key is a digest of all that its bytes depend on: the source's fingerprint, the
target, the codec library and its settings. Keys are names of files; no UID and nothing else
that came over a wire is ever part of a path. The store is a cache: any file of it may go at
any time, and is made again.

Beside each rendition lie the digests of its bytes, made by the worker that encoded and verified
them. What is asked for is compared with them before it is served, once in `RECHECK_S`: a frame
for a frame, all of them for the whole instance. A rendition without digests, or with other
bytes, is dropped.

When a rendition was used last is the digests' time of change, set at most once a minute: the
rendition's own belongs to its stamp. `rendition_cache` goes by it.
"""

from __future__ import annotations

import functools
import hashlib
import logging
import os
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path

from ...codecs.errors import IntegrityError, MerseyError
from ..dicom.frame_index import FrameIndex
from ..dicom.indexing import index_instance
from ..transfer.body import FileSlice, FileStamp
from .bounded_cache import BoundedCache
from .entry import Entry, stamp_of
from .frame_digests import FileDigests, digests_path
from .kept_pieces import pieces_path

__all__ = [
    "RECHECK_S",
    "Rendition",
    "RenditionStore",
    "read_rendition",
    "rendition_key",
    "verify_rendition",
]

RECHECK_S = 600.0
"""Bytes that were compared with their digests longer ago are compared again."""

_OPEN_LIMIT_BYTES = 8 << 20
_NOTE_USE_EVERY_S = 60.0
_MOST_NOTED = 100_000
_FORMAT = "rendition 3"
"""Another number makes every rendition anew: for codecs' settings and the files' form."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Rendition:
    """A stored rendition and where its frames are.

    `checked` has a 1 for each stretch of `digests` that was found to be right, at
    `checked_since_s` of the store's clock or later.
    """

    path: str
    stamp: FileStamp
    has_preamble: bool
    frames: FrameIndex
    digests: FileDigests
    checked: bytearray = field(compare=False)
    checked_since_s: float = field(default=0.0, compare=False)

    def unchecked(self, indices: Iterable[int] | None) -> list[int]:
        """The stretches of the frames at `indices`, or of the whole file, not yet compared."""
        if indices is None:
            return [at for at, is_right in enumerate(self.checked) if not is_right]
        return [
            at
            for index in indices
            for span in self.frames[index].spans
            for at in self.digests.stretches(span.offset_bytes, span.length_bytes)
            if not self.checked[at]
        ]

    def check(self, stretches: Iterable[int]) -> None:
        """Read those stretches and compare them with their digests. Blocks on the disk.

        Raises
        ------
        IntegrityError
            Some byte is not what was written.
        """
        descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            for at in stretches:
                self.digests.check(lambda offset, length: os.pread(descriptor, length, offset), at)
                self.checked[at] = 1
        finally:
            os.close(descriptor)

    def frame_slices(self, index: int) -> tuple[FileSlice, ...]:
        """The bytes of the frame at `index`, counted from 0."""
        return tuple(
            FileSlice(self.path, span.offset_bytes, span.length_bytes, self.stamp)
            for span in self.frames[index].spans
        )


def rendition_key(entry: Entry, *, target_uid: str, library: str) -> str:
    """What names the rendition of `entry` in `target_uid`, made by `library` as we set it.

    `library` names the codecs with their versions. Mersey's own version is in the key too: it
    holds what codecs are set to, and how the file around the frames is written.
    """
    parts = (_FORMAT, _our_version(), entry.fingerprint, target_uid, library)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


@functools.cache
def _our_version() -> str:
    return version("mersey")  # reads a file and parses it: a millisecond


def verify_rendition(rendition: Rendition) -> None:
    """Compare all bytes of a rendition with their digests, whatever was checked before.

    Raises
    ------
    IntegrityError
        Some byte is not what was written.
    """
    rendition.check(range(len(rendition.checked)))


class RenditionStore:
    """Renditions under one folder. For one thread, or one event loop."""

    def __init__(self, root: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.root = root
        self._clock = clock
        self._noted: dict[str, float] = {}
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
            self._noted.pop(key, None)
            return None
        now = self._clock()
        known = self._known.get(key)
        if known is None or known.stamp != stamp:
            try:
                known = replace(read_rendition(path), checked_since_s=now)
            except IntegrityError as error:
                _log.warning("rendition %s is dropped: %s", key, error)
                self.drop(key)
                return None
            self._known.put(key, known)
        elif now - known.checked_since_s > RECHECK_S:
            known = replace(known, checked=bytearray(len(known.checked)), checked_since_s=now)
            self._known.put(key, known)
        self._note_use(key, path, now)
        return known

    def _note_use(self, key: str, path: str, now: float) -> None:
        noted = self._noted.get(key)
        if noted is not None and now - noted < _NOTE_USE_EVERY_S:
            return
        if len(self._noted) >= _MOST_NOTED:
            self._noted.clear()
        self._noted[key] = now
        with suppress(OSError):  # gone just now, or a disk that takes no writes
            os.utime(digests_path(Path(path)))

    def drop(self, key: str) -> None:
        """Remove a rendition that is not right; it can be made again."""
        self._known.drop(key)
        path = self.path_of(key)
        for each in (path, digests_path(path), pieces_path(path)):
            each.unlink(missing_ok=True)


def read_rendition(path: str) -> Rendition:
    """The rendition in the file `path`, its headers compared with their digest.

    Raises
    ------
    IntegrityError
        It is none, or damaged.
    """
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
    digests = FileDigests.read(Path(path))
    if digests.size_bytes != stamp.size_bytes:
        raise IntegrityError(
            f"{stamp.size_bytes} bytes, the digests are of {digests.size_bytes} bytes"
        )
    checked = bytearray(len(digests.ends))
    has_preamble = instance.layout.has_preamble
    rendition = Rendition(path, stamp, has_preamble, instance.frames, digests, checked)
    rendition.check((0,))  # the headers: what the frames were found by
    return rendition


def _weight(rendition: Rendition) -> int:
    frames, digests = rendition.frames, rendition.digests
    arrays = (frames.offsets, frames.lengths, frames.starts, digests.ends, digests.digests)
    return 512 + len(rendition.checked) + sum(array.nbytes for array in arrays if array is not None)
