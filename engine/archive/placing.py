"""Rows into the tables, in few statements: the instances, and what they need above them.

The caller holds the lock of each study, and knows that none of the instances is there.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, Table, bindparam, delete, select, update

from .database import in_groups
from .rows import LightRows, Row, Rows
from .tables import instances, name_words, series, studies

__all__ = ["place", "renew"]

# Made once: to build and to name a statement takes longer than to execute it.
_STUDIES_THERE = select(studies.c.study_instance_uid).where(
    studies.c.study_instance_uid.in_(bindparam("studies", expanding=True))
)
_SERIES_THERE = select(series.c.study_instance_uid, series.c.series_instance_uid).where(
    series.c.study_instance_uid.in_(bindparam("studies", expanding=True)),
    series.c.series_instance_uid.in_(bindparam("series", expanding=True)),
)


def place(connection: Connection, placed: Sequence[Rows | LightRows]) -> None:
    """Insert instances, and their studies and series where those are not there yet."""
    if not placed:
        return
    of_series = {rows.uids[:2]: rows for rows in reversed(placed)}
    known = _series_there(connection, list(of_series))
    new = [rows for uids, rows in sorted(of_series.items()) if uids not in known]
    if new:
        of_studies = {rows.uids[0]: rows for rows in reversed(new)}
        there = _studies_there(connection, list(of_studies))
        made = [rows for uid, rows in sorted(of_studies.items()) if uid not in there]
        if made:
            connection.execute(studies.insert(), [rows.study() for rows in made])
            _insert_words(connection, made)
        connection.execute(series.insert(), [rows.series() for rows in new])
    ordered = sorted(placed, key=lambda rows: rows.uids[2])  # no two wait for each other
    connection.execute(instances.insert(), [rows.instance for rows in ordered])


def renew(connection: Connection, replacing: Sequence[Rows]) -> None:
    """Let studies and series tell what these instances say, which took the place of others."""
    of_studies = {rows.uids[0]: rows for rows in replacing}
    of_series = {rows.uids[:2]: rows for rows in replacing}
    for rows in of_studies.values():
        _update(connection, studies, rows.study(), keys=("study_instance_uid",))
    for uids in in_groups(list(of_studies)):
        connection.execute(delete(name_words).where(name_words.c.study_instance_uid.in_(uids)))
    _insert_words(connection, list(of_studies.values()))
    for rows in of_series.values():
        keys = ("study_instance_uid", "series_instance_uid")
        _update(connection, series, rows.series(), keys=keys)


def _update(connection: Connection, table: Table, row: Row, *, keys: Sequence[str]) -> None:
    statement = update(table).values({name: bindparam(f"new_{name}") for name in row})
    for key in keys:
        statement = statement.where(table.c[key] == bindparam(f"new_{key}"))
    connection.execute(statement, {f"new_{name}": value for name, value in row.items()})


def _insert_words(connection: Connection, made: Sequence[Rows | LightRows]) -> None:
    words = [word for rows in made for word in rows.name_words()]
    if words:
        connection.execute(name_words.insert(), words)


def _studies_there(connection: Connection, uids: Sequence[str]) -> set[str]:
    return {
        uid
        for group in in_groups(uids)
        for uid in connection.scalars(_STUDIES_THERE, {"studies": list(group)})
    }


def _series_there(connection: Connection, pairs: Sequence[tuple[str, str]]) -> set[tuple[str, str]]:
    """Those of the series that are there; others may be among them."""
    found: set[tuple[str, str]] = set()
    for group in in_groups(pairs):
        values = {
            "studies": list({study for study, _ in group}),
            "series": list({one for _, one in group}),
        }
        found.update((row[0], row[1]) for row in connection.execute(_SERIES_THERE, values))
    return found
