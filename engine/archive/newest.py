"""The instances of a catalogue, the one that came last first, read as they are needed."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import select

from .catalogue import Catalogue
from .entry import Entry
from .tables import instances

__all__ = ["newest_first"]

_PAGE = 200


def newest_first(catalogue: Catalogue) -> Iterator[Entry]:
    """Every instance, newest first; what comes meanwhile is not met. Blocks between them."""
    column = instances.c.received
    before: int | None = None
    while True:
        statement = select(instances.c.sop_instance_uid, column).order_by(column.desc())
        if before is not None:
            statement = statement.where(column < before)
        with catalogue.database.reading() as connection:
            rows = connection.execute(statement.limit(_PAGE)).all()
        for row in rows:
            entry = catalogue.find(row.sop_instance_uid)
            if entry is not None:
                yield entry
        if len(rows) < _PAGE:
            return
        before = rows[-1].received
