"""What `mersey store verify` does about renditions: each is decoded against its source.

The source of a blob that is compressed or elsewhere is copied first, by the worker that decodes
it: no more of them are on this disk at once than there are workers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...codecs.errors import MerseyError
from ..archive.blobs import is_compressed
from ..archive.catalogue import Catalogue
from ..archive.entry import Entry
from ..archive.renditions import RenditionStore
from ..archive.store_folder import RENDITIONS
from ..archive.verifying import Finding, submit_in_order
from ..runtime.rendition_check import RenditionCheck
from ..runtime.worker_pool import WorkerPool
from ..web.rendition_forms import possible_renditions
from .count_progress import CountProgress
from .store_opening import SLOWEST_BYTES, check_there

if TYPE_CHECKING:
    from .store_opening import OpenStore

__all__ = ["verify_renditions"]


@dataclass(frozen=True, slots=True)
class _Stored:
    """The renditions that there are of one instance."""

    entry: Entry
    keys: tuple[str, ...]


def verify_renditions(
    opened: OpenStore,
    catalogue: Catalogue,
    pool: WorkerPool,
    progress: CountProgress,
    *,
    dry_run: bool,
    note: Callable[[Finding], None],
) -> int:
    """Check every rendition; those with other samples are dropped unless `dry_run`.

    `note` is called with each finding. Returns how many were looked at.
    """
    store = RenditionStore(opened.folder / RENDITIONS)
    count = 0

    def submit(one: _Stored) -> Future[list[str | MerseyError]]:
        pixels, key = one.entry.instance.pixels, one.entry.blob_key
        pixel_bytes = 0 if pixels is None else pixels.decoded_bytes * one.entry.frame_count
        path = one.entry.path
        if key:
            path = "" if is_compressed(key) else opened.blobs.path_of(key) or ""
        works = [RenditionCheck(str(store.path_of(at)), path, pixel_bytes) for at in one.keys]
        limit_s = sum(work.time_limit_s for work in works)
        if not path:
            limit_s += one.entry.stamp.size_bytes / SLOWEST_BYTES
        return pool.submit_within(limit_s, check_there, opened.store, opened.folder, key, works)

    found = _renditions(store, catalogue.every_entry())
    for one, future in submit_in_order(found, submit, ahead=2 * pool.jobs):
        count += len(one.keys)
        uid = one.entry.instance.sop_instance_uid
        results: list[str | MerseyError]
        try:
            results = future.result()
        except (MerseyError, OSError) as error:
            failure = error if isinstance(error, MerseyError) else MerseyError(str(error))
            results = [failure] * len(one.keys)
        for key, result in zip(one.keys, results, strict=True):
            progress.advance()
            if isinstance(result, MerseyError):
                progress.say(f"not verified: the rendition {key} of instance {uid}: {result}")
            elif result:
                if not dry_run:
                    store.drop(key)
                repair = "" if dry_run else "dropped, to be made again"
                note(Finding("rendition", key, result, uid, repair))
    return count


def _renditions(store: RenditionStore, entries: Iterable[Entry]) -> Iterator[_Stored]:
    for entry in entries:
        keys = tuple(key for key in possible_renditions(entry) if store.path_of(key).exists())
        if keys:
            yield _Stored(entry, keys)
