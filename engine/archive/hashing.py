"""The digests of files in place."""

from __future__ import annotations

import hashlib
import os
import zlib

from ...codecs.errors import MerseyError
from ..transfer.body import FileStamp
from .entry import stamp_of

__all__ = ["digest_of_file", "digests_in_place"]

_PIECE_BYTES = 1 << 20
_PREAMBLE_BYTES = 128


def digest_of_file(path: str, stamp: FileStamp) -> str:
    """SHA-256, hexadecimal, of the file that has `stamp`; "" where it is another or gone."""
    try:
        with open(path, "rb") as file:
            if stamp_of(os.fstat(file.fileno())) != stamp:
                return ""
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            return digest if stamp_of(os.fstat(file.fileno())) == stamp else ""
    except (OSError, MerseyError):
        return ""


def digests_in_place(path: str, *, has_preamble: bool) -> tuple[str, str, int]:
    """SHA-256 of a file, then SHA-256 and CRC-32 of it as it is served: with a preamble of zeros.

    Raises
    ------
    OSError
        It cannot be read.
    """
    whole = hashlib.sha256()
    crc = 0
    served = None
    with open(path, "rb") as file:
        while piece := file.read(_PIECE_BYTES):
            whole.update(piece)
            if has_preamble and file.tell() == len(piece):
                zeroed = bytes(min(_PREAMBLE_BYTES, len(piece))) + piece[_PREAMBLE_BYTES:]
                if zeroed != piece:
                    served = hashlib.sha256()
                    piece = zeroed
            if served is not None:
                served.update(piece)
            crc = zlib.crc32(piece, crc)
    digest = whole.hexdigest()
    return digest, digest if served is None else served.hexdigest(), crc
