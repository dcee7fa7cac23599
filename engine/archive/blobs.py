"""The seam behind which the archive keeps originals: named by their digest, never altered.

A blob's key is the SHA-256 of the original bytes in hexadecimal and a suffix that says how
they are kept: ``.dcm`` as they came, ``.dcm.zst`` as one zstd frame. Keys are made of digests
alone: nothing that came over a wire is part of a path. The contract is tests/conformance's;
all methods block and are safe in threads and between processes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

__all__ = ["COMPRESSED", "PLAIN", "BlobStore", "Ready", "is_compressed", "is_key", "other_key"]

PLAIN = ".dcm"
COMPRESSED = ".dcm.zst"

_KEY = re.compile(r"[0-9a-f]{64}\.dcm(?:\.zst)?")


def is_key(name: str) -> bool:
    """Whether `name` has the form of a key."""
    return _KEY.fullmatch(name) is not None


def is_compressed(key: str) -> bool:
    """Whether the blob of that key is one zstd frame of the original."""
    return key.endswith(COMPRESSED)


def other_key(key: str) -> str:
    """The key under which the same original is kept the other way, compressed or plain."""
    digest = key.partition(".")[0]
    return digest + (PLAIN if is_compressed(key) else COMPRESSED)


@dataclass(frozen=True, slots=True)
class Ready:
    """A file in the store's `incoming` folder that holds all bytes of the blob `key`."""

    path: str
    key: str


class BlobStore(Protocol):
    """Where blobs are."""

    @property
    def incoming(self) -> Path:
        """The local folder for files that are to become blobs."""
        ...

    def commit(self, ready: Sequence[Ready]) -> None:
        """Make them blobs: all are durable and to be had under their keys on return.

        Together they cost about one flush. A key that is there already stays as it is. The
        files are gone from `incoming` afterwards.

        Raises
        ------
        ResourceError
            There is no space, or the store fails; files that did not become blobs are left.
        """
        ...

    def size(self, key: str) -> int | None:
        """The length of a blob as it is kept; None where there is none."""
        ...

    def path_of(self, key: str) -> str | None:
        """The local file that is the blob; None where blobs are not local files."""
        ...

    def read_at(self, key: str, offset_bytes: int, length_bytes: int, /) -> bytes:
        """Bytes of a blob as it is kept; fewer only at its end. IntegrityError if it is gone."""
        ...

    def remove(self, key: str) -> None:
        """Remove a blob, if it is there."""
        ...

    def quarantine(self, key: str) -> None:
        """Take a damaged blob away from its key, and keep it aside."""
        ...

    def keys(self) -> Iterator[str]:
        """The key of every blob, in no order."""
        ...

    def dated_keys(self) -> Iterator[tuple[str, int]]:
        """The key of every blob and when it was put there, in ns since 1970; in no order."""
        ...

    def collect(self, *, older_than_s: float) -> int:
        """Remove what was left in `incoming` by processes that died; how many files went."""
        ...
