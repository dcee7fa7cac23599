"""The archive that a `mersey store` command works on, and the workers that it has."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ...codecs.errors import MerseyError
    from ..archive.blobs import BlobStore
    from ..archive.catalogue import Catalogue
    from ..archive.describing import Described
    from ..runtime.rendition_check import RenditionCheck
    from ..runtime.worker_pool import WorkerPool

__all__ = [
    "SLOWEST_BYTES",
    "OpenStore",
    "check_there",
    "describe_there",
    "open_store",
    "store_folder",
]

SLOWEST_BYTES = 10e6
"""A second, at which a store is read at the slowest."""


@dataclass(frozen=True, slots=True)
class OpenStore:
    """Blobs at `store`; `folder` is local and holds all else."""

    store: str
    folder: Path
    blobs: BlobStore

    def describe(self, pool: WorkerPool) -> Callable[[str], Future[Described]]:
        """Has a blob described in a worker."""

        def submit(key: str) -> Future[Described]:
            limit_s = 60 + (self.blobs.size(key) or 0) / SLOWEST_BYTES
            return pool.submit_within(limit_s, describe_there, self.store, self.folder, key)

        return submit


def store_folder(store: str, local: Path | None) -> Path:
    """The local folder of a store: itself, or where it is elsewhere, `local`."""
    from ..archive.blob_stores import is_remote
    from .default_store import default_store

    if is_remote(store):
        return local or default_store()
    return Path(store)


@contextmanager
def open_store(
    store: str | None, catalogue: str | None, local: Path | None
) -> Iterator[tuple[OpenStore, Catalogue]]:
    """The archive there; UsageError where there is none."""
    from ...codecs.errors import UsageError
    from ..archive.blob_stores import open_blobs
    from ..archive.catalogues import CATALOGUE_NAME, open_catalogue
    from .default_store import default_store

    place = store or str(default_store())
    folder = store_folder(place, local)
    if not folder.is_dir():
        raise UsageError(f"{folder} is no store")
    opened = OpenStore(place, folder, open_blobs(place, local=folder))
    is_lost = catalogue is None and not (folder / CATALOGUE_NAME).exists()
    if is_lost and next(iter(opened.blobs.keys()), None) is not None:
        # A new one would know no blob, and a collection take them all.
        raise UsageError(f"{folder} has blobs and no catalogue: `mersey store rebuild` first")
    held = open_catalogue(folder, catalogue, blobs=opened.blobs)
    try:
        yield opened, held
    finally:
        held.close()


def describe_there(store: str, folder: Path, key: str) -> Described:
    """`describe_blob`, in a worker, which opens the store once."""
    from ..archive.describing import describe_blob

    return describe_blob(_opened(store, folder), key)


def check_there(
    store: str, folder: Path, key: str, works: Sequence[RenditionCheck]
) -> list[str | MerseyError]:
    """`check_rendition` of several of one source, in a worker; what each came to.

    Where they name no source, that is the blob `key`, which is copied for as long as it takes.
    """
    from ...codecs.errors import MerseyError
    from ..archive.local_copies import LocalCopies
    from ..archive.store_folder import COPIES
    from ..runtime.rendition_check import check_rendition

    with ExitStack() as stack:
        if not works[0].source:
            copies = folder / COPIES
            copies.mkdir(parents=True, exist_ok=True)
            scratch = stack.enter_context(TemporaryDirectory(prefix="verify-", dir=copies))
            source = LocalCopies(Path(scratch), 0).get(key, _opened(store, folder))
            works = [replace(work, source=source) for work in works]
        found: list[str | MerseyError] = []
        for work in works:
            try:
                found.append(check_rendition(work))
            except MerseyError as error:
                found.append(error)
        return found


@functools.cache
def _opened(store: str, folder: Path) -> BlobStore:
    from ..archive.blob_stores import open_blobs

    return open_blobs(store, local=folder)
