"""What `mersey store gc` does, and in which order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..archive.catalogue import Catalogue
from ..archive.collecting import (
    Collected,
    collect_blobs,
    collect_copies,
    collect_old_catalogues,
    collect_renditions,
)
from ..archive.rendition_cache import collect_parts
from ..archive.store_folder import COPIES, RENDITIONS
from ..web.rendition_forms import possible_renditions
from .count_progress import CountProgress

if TYPE_CHECKING:
    from .store_opening import OpenStore

__all__ = ["collect_store"]

_OLD_CATALOGUES_S = 30 * 24 * 3600.0


def collect_store(
    opened: OpenStore, catalogue: Catalogue, *, grace_s: float, dry_run: bool
) -> dict[str, Collected]:
    """Remove what is not needed, unless `dry_run`; what went, by kind."""
    found = {}
    with CountProgress("blobs") as progress:
        found["blobs"] = collect_blobs(
            opened.blobs,
            catalogue,
            folder=opened.folder,
            grace_s=grace_s,
            dry_run=dry_run,
            on_progress=progress.advance,
        )
    if not dry_run:
        found["incoming"] = Collected(opened.blobs.collect(older_than_s=grace_s))
    root = opened.folder / RENDITIONS
    with CountProgress("renditions") as progress:
        wanted: set[str] = set()
        for entry in catalogue.every_entry():
            wanted.update(possible_renditions(entry))
            progress.advance()
    found["renditions"] = collect_renditions(root, wanted, grace_s=grace_s, dry_run=dry_run)
    parts = collect_parts(root, older_than_s=grace_s, dry_run=dry_run)
    found["part files"] = Collected(parts.removed, parts.removed_bytes)
    copies = opened.folder / COPIES
    found["copies"] = collect_copies(copies, grace_s=grace_s, dry_run=dry_run)
    kept_s = max(grace_s, _OLD_CATALOGUES_S)
    found["old catalogues"] = collect_old_catalogues(opened.folder, grace_s=kept_s, dry_run=dry_run)
    return found
