"""What the rows of studies and series tell of the rows below them: counts and modalities.

Counted anew at the end of each transaction, for what it has touched and nothing else, so that
a search need not. The caller holds the lock of each study.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import (
    Connection,
    and_,
    bindparam,
    delete,
    exists,
    func,
    select,
    tuple_,
    update,
)

from .database import in_groups
from .tables import instances, series, studies

__all__ = ["tally"]


def tally(connection: Connection, touched: Iterable[tuple[str, str]]) -> None:
    """Count what the series `touched` (Study and Series UID) and their studies hold.

    A series without instances goes, as does a study without series.
    """
    pairs = sorted(set(touched))
    for group in in_groups(pairs):
        _tally_series(connection, group)
    for uids in in_groups(sorted({study for study, _ in pairs})):
        _tally_studies(connection, uids)


def _tally_series(connection: Connection, pairs: Iterable[tuple[str, str]]) -> None:
    touched = tuple_(series.c.study_instance_uid, series.c.series_instance_uid).in_(list(pairs))
    below = and_(
        instances.c.study_instance_uid == series.c.study_instance_uid,
        instances.c.series_instance_uid == series.c.series_instance_uid,
    )
    connection.execute(delete(series).where(touched, ~exists().where(below)))
    count = select(func.count()).select_from(instances).where(below).scalar_subquery()
    connection.execute(update(series).where(touched).values(instance_count=count))


def _tally_studies(connection: Connection, uids: Iterable[str]) -> None:
    touched = studies.c.study_instance_uid.in_(list(uids))
    below = series.c.study_instance_uid == studies.c.study_instance_uid
    connection.execute(delete(studies).where(touched, ~exists().where(below)))
    statement = select(
        series.c.study_instance_uid, series.c.modality, series.c.instance_count
    ).where(series.c.study_instance_uid.in_(list(uids)))
    modalities: dict[str, set[str]] = {}
    counts: dict[str, list[int]] = {}
    for study, modality, count in connection.execute(statement):
        modalities.setdefault(study, set()).update(text for text in modality.split("\\") if text)
        counts.setdefault(study, []).append(count)
    if counts:
        connection.execute(
            update(studies)
            .where(studies.c.study_instance_uid == bindparam("study"))
            .values(
                series_count=bindparam("series_total"),
                instance_count=bindparam("instance_total"),
                modalities=bindparam("found"),
            ),
            [
                {
                    "study": study,
                    "series_total": len(found),
                    "instance_total": sum(found),
                    "found": "\\".join(sorted(modalities[study])),
                }
                for study, found in counts.items()
            ],
        )
