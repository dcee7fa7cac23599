"""Opens the store of blobs that a path or URL names.

A path is a folder on this machine. ``s3://bucket/prefix`` and the like is an object store, by
the extra ``mersey[s3]``; only files on their way there are in the local folder.
"""

from __future__ import annotations

import re
from pathlib import Path

from ...codecs.errors import UsageError
from .blobs import BlobStore
from .directory_blobs import DirectoryBlobs

__all__ = ["is_remote", "open_blobs"]

_SCHEMES = frozenset({"s3", "gs", "az"})
_URL = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]*)://")


def is_remote(store: str | Path) -> bool:
    """Whether `store` names something else than a folder."""
    return isinstance(store, str) and _URL.match(store) is not None


def open_blobs(store: str | Path, *, local: Path) -> BlobStore:
    """The store; `local` is the folder for what an object store needs on this machine.

    Raises
    ------
    UsageError
        The URL is of no kind that is known, or what it takes is not installed.
    ResourceError
        The folder cannot be made.
    """
    match = _URL.match(store) if isinstance(store, str) else None
    if match is None:
        return DirectoryBlobs(Path(store))
    if match[1].lower() not in _SCHEMES:
        known = ", ".join(sorted(f"{scheme}://" for scheme in _SCHEMES))
        raise UsageError(f"no store has a URL like {match[0]}; expected a folder or {known}")
    try:
        from .object_blobs import ObjectBlobs
    except ImportError as error:
        if error.name is None or error.name.partition(".")[0] != "obstore":
            raise
        raise UsageError("object stores need obstore: install mersey[s3]") from error
    return ObjectBlobs(str(store), local=local)
