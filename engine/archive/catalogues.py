"""Which catalogue belongs to a store: its own SQLite file, or a database that many share."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from pathlib import Path

from .blobs import BlobStore, is_key
from .catalogue import Catalogue

__all__ = ["BLOBS_NAME", "CATALOGUE_NAME", "forget_other_folders", "open_catalogue"]

BLOBS_NAME = "blobs"
CATALOGUE_NAME = "catalogue.sqlite"


def open_catalogue(
    store: Path, url: str | None = None, *, anew: bool = False, blobs: BlobStore | None = None
) -> Catalogue:
    """The catalogue at `url`, or without one the file in the folder `store`.

    In a shared one, files in place are noted as seen by this machine with this folder for its
    store: others find them too, and serve those that they see under the same path, but only
    this one forgets them. `anew` makes it empty, to be rebuilt from the blobs; so is one that is
    made where the folder `store`, or `blobs` elsewhere, hold some already.

    Raises
    ------
    UsageError
        The URL is none, or a catalogue on PostgreSQL is of another version.
    UnsupportedError
        psycopg is not installed.
    ResourceError
        The database or `blobs` cannot be reached, or another process keeps an old version open.
    """
    with_blobs = _holds_blobs(store) or (blobs is not None and any(blobs.keys()))
    if url is None:
        return Catalogue.open(store / CATALOGUE_NAME, anew=anew, with_blobs=with_blobs)
    scope = f"{socket.gethostname()}:{os.path.abspath(store)}"
    # Bytes of a path that are no text are no text in the database either.
    scope = scope.encode("utf-8", "backslashreplace").decode()
    return Catalogue.at(url, scope=scope, anew=anew, with_blobs=with_blobs)


def forget_other_folders(catalogue: Catalogue, roots: Sequence[Path]) -> None:
    """Forget the files in place outside `roots`: what was served before is not served now."""
    inside = [os.path.abspath(root) for root in roots]
    for folder in catalogue.folders():
        if not any(folder == root or _is_below(folder, root) for root in inside):
            catalogue.forget(folder, list(catalogue.known_files(folder)))


def _holds_blobs(store: Path) -> bool:
    """Whether there is a blob in the folder of the store; stops at the first."""
    return any(is_key(name) for _, _, names in os.walk(store / BLOBS_NAME) for name in names)


def _is_below(folder: str, root: str) -> bool:
    return folder.startswith(root.rstrip(os.sep) + os.sep)
