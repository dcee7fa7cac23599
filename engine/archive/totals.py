"""How much a catalogue holds."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import func, select

from .database import Database
from .tables import instances, series, studies

__all__ = ["Totals", "count_rows", "count_totals"]


@dataclass(frozen=True, slots=True)
class Totals:
    """How much there is; `blob_bytes` is the length of the originals, however they are kept."""

    studies: int
    series: int
    instances: int
    instances_in_place: int
    blobs: int
    blob_bytes: int


def count_rows(database: Database) -> tuple[int, int, int]:
    """How many studies, series and instances there are."""
    with database.reading() as connection:
        counts = [
            connection.scalar(select(func.count()).select_from(table)) or 0
            for table in (studies, series, instances)
        ]
    return counts[0], counts[1], counts[2]


def count_totals(database: Database) -> Totals:
    """How much there is of everything."""
    key = instances.c.blob_key
    blobs = (
        select(key, func.max(instances.c.size_bytes).label("size_bytes"))
        .where(key != "")
        .group_by(key)
        .subquery()
    )
    statement = select(func.count(), func.coalesce(func.sum(blobs.c.size_bytes), 0))
    in_place = select(func.count()).select_from(instances).where(key == "")
    with database.reading() as connection:
        blob_count, blob_bytes = connection.execute(statement.select_from(blobs)).one()
        in_place_count = connection.scalar(in_place) or 0
    return Totals(*count_rows(database), in_place_count, blob_count, int(blob_bytes))
