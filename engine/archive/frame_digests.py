"""Digests of a file, stretch by stretch, kept beside it: decoders notice only half of damage.

A stretch is a frame with its item header and padding, a run of frames whose bits run into
each other, what comes before the frames, or what comes behind them; together they are the
whole file. A frame is checked by reading its stretch and nothing else.

Digests are SHA-256 cut to 128 bits. CRC-32 would miss one in 4 billion damaged frames, which
an archive of that many meets, and anyone can forge it; SHA-256 costs 0.1 ms on a CT frame
where the processor has instructions for it, and is in the standard library.
"""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from ...codecs.errors import IntegrityError
from ...codecs.pixels import Buffer
from ..dicom.instance import ReadAt
from .part_file import scratch_path, sync_folder

__all__ = ["DIGEST_BYTES", "FileDigests", "digest_of", "digests_path"]

DIGEST_BYTES = 16

_MAGIC = b"mersey digests 1"
_HEAD = struct.Struct("<16sQ")
_PIECE_BYTES = 1 << 20

type _Array = np.ndarray[Any, np.dtype[Any]]


def digest_of(*pieces: Buffer) -> bytes:
    """The digest of `pieces`, one after the other."""
    state = hashlib.sha256()
    for piece in pieces:
        state.update(piece)
    return state.digest()[:DIGEST_BYTES]


def digests_path(path: Path) -> Path:
    """Where the digests of the file `path` lie."""
    return path.with_suffix(".digests")


@dataclass(frozen=True, slots=True, eq=False)
class FileDigests:
    """The stretches of one file in order: where each ends, int64, and its digest, uint8."""

    ends: _Array
    digests: _Array

    @classmethod
    def of(cls, stretches: Iterable[tuple[int, bytes]]) -> Self:
        """From the length in bytes and the digest of each stretch."""
        lengths, digests = [], []
        for length_bytes, digest in stretches:
            lengths.append(length_bytes)
            digests.append(digest)
        table = np.frombuffer(b"".join(digests), np.uint8).reshape(-1, DIGEST_BYTES)
        return cls(np.cumsum(lengths, dtype="<i8"), table)

    @property
    def size_bytes(self) -> int:
        """The size of the file."""
        return int(self.ends[-1]) if len(self.ends) else 0

    def stretches(self, offset_bytes: int, length_bytes: int) -> range:
        """The indices of the stretches that hold these bytes of the file."""
        if length_bytes <= 0:
            return range(0)
        first = int(np.searchsorted(self.ends, offset_bytes, side="right"))
        last = int(np.searchsorted(self.ends, offset_bytes + length_bytes, side="left"))
        return range(first, min(last + 1, len(self.ends)))

    def check(self, read_at: ReadAt, index: int) -> None:
        """Read the stretch at `index` and compare.

        Raises
        ------
        IntegrityError
            It is not what it was when it was written.
        """
        start = int(self.ends[index - 1]) if index else 0
        end = int(self.ends[index])
        state = hashlib.sha256()
        for position in range(start, end, _PIECE_BYTES):
            state.update(read_at(position, min(_PIECE_BYTES, end - position)))
        if state.digest()[:DIGEST_BYTES] != self.digests[index].tobytes():
            raise IntegrityError(f"bytes {start} to {end} are not those that were written")

    def write(self, target: Path) -> None:
        """Lay the digests beside `target`, durably and in one step."""
        body = _HEAD.pack(_MAGIC, len(self.ends)) + self.ends.tobytes() + self.digests.tobytes()
        part = scratch_path(target, "digests")
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
        with open(descriptor, "wb") as file:
            file.write(body + digest_of(body))
            file.flush()
            os.fsync(descriptor)
        os.replace(part, digests_path(target))
        sync_folder(target.parent)

    @classmethod
    def read(cls, target: Path) -> Self:
        """The digests beside `target`.

        Raises
        ------
        IntegrityError
            There are none, or they are damaged.
        """
        try:
            data = digests_path(target).read_bytes()
        except FileNotFoundError:
            raise IntegrityError("no digests lie beside the file") from None
        body, digest = data[:-DIGEST_BYTES], data[-DIGEST_BYTES:]
        if len(body) < _HEAD.size or digest_of(body) != digest:
            raise IntegrityError("the digests beside the file are damaged")
        magic, count = _HEAD.unpack_from(body)
        if magic != _MAGIC or len(body) != _HEAD.size + count * (8 + DIGEST_BYTES):
            raise IntegrityError("the digests beside the file are of another kind")
        ends = np.frombuffer(body, "<i8", count, _HEAD.size)
        digests = np.frombuffer(body, np.uint8, offset=_HEAD.size + 8 * count)
        return cls(ends, digests.reshape(count, DIGEST_BYTES))
