"""Where the bytes of an entry are on this machine: its blob itself, or a copy of it.

An entry of a file in a folder is returned as it is, at no cost.
"""

from __future__ import annotations

import os
from dataclasses import replace

from ...codecs.errors import IntegrityError, ResourceError
from .blobs import BlobStore, is_compressed
from .entry import Entry, stamp_of
from .local_copies import LocalCopies

__all__ = ["Locator"]


class Locator:
    """Gives entries of blobs their local file. Safe in threads."""

    def __init__(self, blobs: BlobStore, copies: LocalCopies) -> None:
        self.blobs = blobs
        self._copies = copies

    def locate(self, entry: Entry) -> Entry:
        """`entry` with its local file and that file's stamp, for a stat; path "" if it has none.

        Raises
        ------
        IntegrityError
            The file that is the blob is gone.
        """
        if not entry.blob_key:
            return entry
        path = None if is_compressed(entry.blob_key) else self.blobs.path_of(entry.blob_key)
        if path is None:
            path = self._copies.find(entry.blob_key)
            if path is None:
                return replace(entry, path="")
        return _at(entry, path)

    def local(self, entry: Entry) -> Entry:
        """`entry` with a local file, copied first where there is none. Blocks.

        Raises
        ------
        IntegrityError
            The blob is gone or damaged.
        ResourceError
            The copy cannot be written.
        """
        found = self.locate(entry)
        if found.path or not found.blob_key:
            return found
        return _at(entry, self._copies.get(entry.blob_key, self.blobs))


def _at(entry: Entry, path: str) -> Entry:
    try:
        status = os.stat(path)
    except FileNotFoundError:
        raise IntegrityError("the blob of this instance is gone") from None
    except OSError as error:
        raise ResourceError(f"the blob cannot be read: {error.strerror}") from error
    stamp = stamp_of(status)
    if path == entry.path and stamp == entry.stamp:
        return entry
    return replace(entry, path=path, stamp=stamp)
