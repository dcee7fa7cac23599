"""What an archive's own store holds, as a source to push from; a server may run meanwhile.

Digests are those of ingest, so nothing is read of what the other end has. Blobs that are
compressed, or elsewhere, get a local copy when their turn comes, among those of the server.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ...codecs.errors import FormatError, IntegrityError, UsageError
from ..archive.blob_stores import is_remote, open_blobs
from ..archive.catalogue import Catalogue
from ..archive.catalogues import CATALOGUE_NAME, open_catalogue
from ..archive.entry import Entry, stamp_of
from ..archive.held_studies import held_studies
from ..archive.local_copies import LocalCopies
from ..archive.locating import Locator
from .push_sources import PushSources

__all__ = ["StoredStudies", "open_stored"]

_COPIES_BYTES = 4 << 30


@dataclass(frozen=True, slots=True)
class StoredStudies:
    """The studies of `store`, a folder or the URL of an object store; all, where none is named.

    `catalogue` is the URL of a shared catalogue. `local` is the folder for all that is not in
    the store, where that is elsewhere.
    """

    store: str | Path
    studies: tuple[str, ...] = ()
    catalogue: str | None = None
    local: Path | None = None


@contextmanager
def open_stored(source: StoredStudies) -> Iterator[tuple[PushSources, Callable[[Entry], Entry]]]:
    """The instances, and what gives one of them its local file; that blocks. Blocks itself.

    Raises
    ------
    UsageError
        There is no such store, or no such study in it.
    """
    folder = source.local if is_remote(source.store) else Path(source.store)
    if folder is None:
        raise UsageError("a store that is elsewhere takes a local folder as well")
    if not folder.is_dir() or not (source.catalogue or (folder / CATALOGUE_NAME).exists()):
        raise UsageError(f"{folder} is no store")
    blobs = open_blobs(source.store, local=folder)
    catalogue = open_catalogue(folder, source.catalogue)
    try:
        if catalogue.needs_rebuild:
            raise UsageError(f"the catalogue of {folder} is lost: `mersey store rebuild` first")
        locator = Locator(blobs, LocalCopies(folder / "copies", _COPIES_BYTES))
        yield _instances(catalogue, source.studies), lambda entry: _current(locator.local(entry))
    finally:
        catalogue.close()


def _current(entry: Entry) -> Entry:
    """An entry of a file in place may be of one that has changed since it was indexed."""
    try:
        if stamp_of(os.stat(entry.path)) == entry.stamp:
            return entry
    except (OSError, FormatError):
        pass
    raise IntegrityError("its file is gone, or has changed since it was indexed")


def _instances(catalogue: Catalogue, studies: tuple[str, ...]) -> PushSources:
    found = []
    for uid in dict.fromkeys(studies) or held_studies(catalogue):
        entries = catalogue.entries(uid)
        if not entries and studies:
            raise UsageError(f"the store holds no study {uid}")
        if entries:
            found.append(tuple(entries))
    return PushSources(tuple(found))
