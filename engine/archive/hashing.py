"""The digest of a file in place, if it is still the one that is known."""

from __future__ import annotations

import hashlib
import os

from ...codecs.errors import MerseyError
from ..transfer.body import FileStamp
from .entry import stamp_of

__all__ = ["digest_of_file"]


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
