"""What lies in a store's folder beside its blobs: names, counts and lengths."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import func, select

from .blobs import BlobStore, is_compressed
from .catalogue import Catalogue
from .tables import instances

__all__ = ["COPIES", "QUARANTINE", "RENDITIONS", "UPLOADS", "Stats", "take_stats"]

RENDITIONS = "renditions"
COPIES = "copies"
QUARANTINE = "quarantine"
UPLOADS = "uploads"


@dataclass(frozen=True, slots=True)
class Stats:
    """How much an archive holds. Times are in seconds since 1970, None where it holds nothing.

    `blob_bytes` is the length of the originals, `kept_bytes` what they take as they are kept.
    The counts of `renditions` and what follows are files and bytes.
    """

    studies: int
    series: int
    instances: int
    instances_in_place: int
    blobs: int
    blob_bytes: int
    kept_blobs: int
    kept_bytes: int
    compressed_blobs: int
    renditions: tuple[int, int]
    copies: tuple[int, int]
    quarantine: tuple[int, int]
    uploads: tuple[int, int]
    oldest_s: float | None
    newest_s: float | None
    needs_rebuild: bool
    taken_s: float


def take_stats(blobs: BlobStore, catalogue: Catalogue, folder: Path) -> Stats:
    """Count what there is: one walk through the blobs, and one through the folder."""
    kept_blobs = kept_bytes = compressed = 0
    for key in blobs.keys():  # noqa: SIM118  no mapping
        size_bytes = blobs.size(key)
        if size_bytes is not None:
            kept_blobs += 1
            kept_bytes += size_bytes
            compressed += is_compressed(key)
    totals = catalogue.totals()
    column = instances.c.received
    with catalogue.database.reading() as connection:
        oldest, newest = connection.execute(select(func.min(column), func.max(column))).one()
    return Stats(
        studies=totals.studies,
        series=totals.series,
        instances=totals.instances,
        instances_in_place=totals.instances_in_place,
        blobs=totals.blobs,
        blob_bytes=totals.blob_bytes,
        kept_blobs=kept_blobs,
        kept_bytes=kept_bytes,
        compressed_blobs=compressed,
        renditions=_held(folder / RENDITIONS),
        copies=_held(folder / COPIES),
        quarantine=_held(folder / QUARANTINE),
        uploads=_held(folder / UPLOADS),
        oldest_s=None if oldest is None else oldest / 1e9,
        newest_s=None if newest is None else newest / 1e9,
        needs_rebuild=catalogue.needs_rebuild,
        taken_s=time.time(),
    )


def _held(folder: Path) -> tuple[int, int]:
    count = size_bytes = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):
                size_bytes += os.stat(os.path.join(parent, name)).st_size
                count += 1
    return count, size_bytes
