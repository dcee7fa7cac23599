"""What the rows of studies and series tell of the rows below them: counts and modalities.

Counted anew at the end of each transaction, for what it has touched and nothing else, so that
a search need not. The caller holds the lock of each study.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, and_, bindparam, delete, func, select, update

from .database import in_groups
from .tables import instances, series, studies

__all__ = ["tally"]

# Made once: to build and to name a statement takes longer than to execute it.
_IS_SERIES = and_(
    series.c.study_instance_uid == bindparam("study"),
    series.c.series_instance_uid == bindparam("series"),
)
_COUNT_SERIES = (
    update(series)
    .where(_IS_SERIES)
    .values(
        instance_count=select(func.count())
        .select_from(instances)
        .where(
            instances.c.study_instance_uid == series.c.study_instance_uid,
            instances.c.series_instance_uid == series.c.series_instance_uid,
        )
        .scalar_subquery()
    )
)
_DELETE_SERIES = delete(series).where(_IS_SERIES)
_SERIES_OF = select(
    series.c.study_instance_uid,
    series.c.series_instance_uid,
    series.c.modality,
    series.c.instance_count,
).where(series.c.study_instance_uid.in_(bindparam("studies", expanding=True)))
_IS_STUDY = studies.c.study_instance_uid == bindparam("study")
_COUNT_STUDY = (
    update(studies)
    .where(_IS_STUDY)
    .values(
        series_count=bindparam("series_total"),
        instance_count=bindparam("instance_total"),
        modalities=bindparam("found"),
    )
)
_DELETE_STUDY = delete(studies).where(_IS_STUDY)


def tally(connection: Connection, touched: Iterable[tuple[str, str]]) -> None:
    """Count what the series `touched` (Study and Series UID) and their studies hold.

    A series without instances goes, as does a study without series.
    """
    pairs = sorted(set(touched))
    if pairs:
        counted = [{"study": study, "series": one} for study, one in pairs]
        connection.execute(_COUNT_SERIES, counted)
    for uids in in_groups(sorted({study for study, _ in pairs})):
        _tally_studies(connection, uids)


def _tally_studies(connection: Connection, uids: Iterable[str]) -> None:
    modalities: dict[str, set[str]] = {uid: set() for uid in uids}
    counts: dict[str, list[int]] = {uid: [] for uid in uids}
    empty = []
    for study, one, modality, count in connection.execute(_SERIES_OF, {"studies": list(uids)}):
        if count == 0:
            empty.append({"study": study, "series": one})
            continue
        modalities[study].update(text for text in modality.split("\\") if text)
        counts[study].append(count)
    if empty:
        connection.execute(_DELETE_SERIES, empty)
    gone = [{"study": study} for study, found in counts.items() if not found]
    if gone:
        connection.execute(_DELETE_STUDY, gone)
    totals = [
        {
            "study": study,
            "series_total": len(found),
            "instance_total": sum(found),
            "found": "\\".join(sorted(modalities[study])),
        }
        for study, found in counts.items()
        if found
    ]
    if totals:
        connection.execute(_COUNT_STUDY, totals)
