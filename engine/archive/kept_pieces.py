"""The pieces of a file's frames, kept beside the renditions, so that they are made once.

They are of the file as it was when it had its stamp; of another file there are none. Nothing
rests on their being there: they go with their rendition, or when the cache is full, and a file
that was cut or damaged is as good as none.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from ..transfer.body import FileStamp
from ..transfer.frame_pieces import PIECE_DIGEST_BYTES, FramePieces
from .frame_digests import DIGEST_BYTES, digest_of
from .part_file import scratch_path

__all__ = ["find_pieces", "keep_pieces", "pieces_path"]

_MAGIC = b"mersey pieces 1\n"
_HEAD = struct.Struct("<16sQqQQ")


def pieces_path(path: Path) -> Path:
    """Where the pieces of the frames of the rendition `path` lie."""
    return path.with_suffix(".pieces")


def keep_pieces(target: Path, stamp: FileStamp, pieces: Sequence[FramePieces]) -> None:
    """Lay `pieces` beside `target`, of a file with that stamp. One that cannot be written is not.

    Not durable: a damaged file of them is noticed.
    """
    head = _HEAD.pack(_MAGIC, stamp.size_bytes, stamp.mtime_ns, stamp.inode, len(pieces))
    counts = np.array([len(one.cut_points) for one in pieces], "<u1")
    cuts = np.array([cut for one in pieces for cut in one.cut_points], "<i8")
    body = b"".join((head, counts, cuts, *(one.digests for one in pieces)))
    part = scratch_path(target, "pieces")
    with suppress(OSError):
        target.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(body + digest_of(body))
        os.replace(part, pieces_path(target))


def find_pieces(target: Path, stamp: FileStamp) -> tuple[FramePieces, ...] | None:
    """The pieces beside `target`, where they are of a file with that stamp."""
    try:
        data = pieces_path(target).read_bytes()
    except OSError:
        return None
    body, digest = data[:-DIGEST_BYTES], data[-DIGEST_BYTES:]
    if len(body) < _HEAD.size or digest_of(body) != digest:
        return None
    magic, *told, count = _HEAD.unpack_from(body)
    if magic != _MAGIC or told != [stamp.size_bytes, stamp.mtime_ns, stamp.inode]:
        return None
    counts = np.frombuffer(body, "<u1", count, _HEAD.size).tolist()
    at = _HEAD.size + count
    cuts = np.frombuffer(body, "<i8", sum(counts), at).tolist()
    at += 8 * len(cuts)
    found, first = [], 0
    for each in counts:
        end = at + each * PIECE_DIGEST_BYTES
        found.append(FramePieces(tuple(cuts[first : first + each]), body[at:end]))
        first, at = first + each, end
    return tuple(found)
