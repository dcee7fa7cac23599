"""Search: what QIDO-RS finds, as the members of JSON objects that the catalogue keeps.

Knows levels and order, nothing of URLs. What an answer tells was made JSON when it came; here
it is only put together: no value is parsed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import Select, select

from .catalogue import Catalogue
from .levels import DEFAULT_FIELDS, MADE_TAGS, SERIES_TAGS, STUDY_TAGS, Level
from .matching import Match, condition_of
from .metadata_fields import fields_of, is_kept
from .tables import instances, series, studies
from .weaving import weave

__all__ = ["Found", "Page", "Search", "run_search", "search_text"]

_TABLES = {"study": studies, "series": series, "instance": instances}
_ABOVE: dict[Level, tuple[Level, ...]] = {
    "study": ("study",),
    "series": ("study", "series"),
    "instance": ("study", "series", "instance"),
}


@dataclass(frozen=True, slots=True)
class Search:
    """What to look for, on which level; study and series narrow it by the path of the URL.

    `fields` are tags that are wanted beyond the default; None means all that is kept. `defaults`
    names the levels whose default attributes are told.
    """

    level: Level
    matches: tuple[Match, ...] = ()
    study_uid: str | None = None
    series_uid: str | None = None
    fields: frozenset[str] | None = frozenset()
    defaults: tuple[Level, ...] = ()
    fuzzy: bool = False
    offset: int = 0
    limit: int = 1000


@dataclass(frozen=True, slots=True)
class Found:
    """One result: its UIDs from the study down, and members of its object, ``"tag":{…}``.

    The members come in any order, counts and UIDs among them. `instance_uids` are of the
    instance that bulk data in them belongs to.
    """

    uids: tuple[str, ...]
    members: list[str]
    instance_uids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Page:
    """What was found, in order; `cut` says that there is more behind."""

    found: tuple[Found, ...]
    cut: bool


def run_search(catalogue: Catalogue, search: Search) -> Page:
    """Find what matches: studies newest first, series and instances by study and number.

    Raises
    ------
    UsageError
        A value does not have the form that its attribute needs.
    ResourceError
        The catalogue cannot be reached.
    """
    summary = _is_summary(search)
    extra = frozenset[str]() if summary else _beyond_kept(search)
    told = _told(search, summary=summary)
    rows, cut = _rows(catalogue, search, told, metadata=bool(extra))
    wanted = None if summary or search.fields is None else _wanted(search)
    found = _read(rows, search.level, told=told, wanted=wanted, extra=extra)
    return Page(tuple(found), cut)


def search_text(
    catalogue: Catalogue, search: Search, *, constants: Mapping[str, str], address: str
) -> tuple[str, bool] | None:
    """As `run_search`, at once as the text of a JSON array, and whether there is more behind.

    None where more is asked for than is told by default.

    Parameters
    ----------
    constants
        Members that all objects have, by their tags.
    address
        Of the service, as it stands in JSON.

    Raises
    ------
    UsageError
        A value does not have the form that its attribute needs.
    ResourceError
        The catalogue cannot be reached.
    """
    if not _is_summary(search):
        return None
    told = _told(search, summary=True)
    found, cut = _rows(catalogue, search, told, metadata=False)
    rows = list(map(tuple, found))
    if search.level == "study":
        rows = [(uid, _modalities_in_study(modalities), *rest) for uid, modalities, *rest in rows]
    text = weave(rows, search.level, told=told, constants=constants, address=address)
    return None if text is None else (text, cut)


def _is_summary(search: Search) -> bool:
    """Whether nothing is asked for beyond what is told by default."""
    return search.fields is not None and not search.fields - _default(search)


def _rows(
    catalogue: Catalogue, search: Search, told: Sequence[Level], *, metadata: bool
) -> tuple[Sequence[Any], bool]:
    """The rows of the page, and whether there is more behind."""
    statement = _statement(search, told, summary=_is_summary(search), metadata=metadata)
    with catalogue.database.reading(much=True) as connection:
        rows = connection.execute(statement).all()
    return rows[: search.limit], len(rows) > search.limit


def _default(search: Search) -> frozenset[str]:
    tags = MADE_TAGS | DEFAULT_FIELDS[search.level]
    return tags.union(*(DEFAULT_FIELDS[level] for level in search.defaults))


def _wanted(search: Search) -> frozenset[str]:
    """The keys of members that are told, as they begin a line."""
    return frozenset(f'"{tag}"' for tag in _default(search) | (search.fields or frozenset()))


def _beyond_kept(search: Search) -> frozenset[str]:
    """The tags that only the whole metadata has."""
    asked = (search.fields or frozenset()) - MADE_TAGS
    return frozenset(tag for tag in asked if not is_kept(tag))


def _statement(
    search: Search, told: Sequence[Level], *, summary: bool, metadata: bool
) -> Select[Any]:
    level = search.level
    source: Any = studies
    if level != "study":
        source = source.join(series, series.c.study_instance_uid == studies.c.study_instance_uid)
    if level == "instance":
        source = source.join(
            instances,
            (instances.c.study_instance_uid == series.c.study_instance_uid)
            & (instances.c.series_instance_uid == series.c.series_instance_uid),
        )
    name = "summary" if summary else "attributes"
    parts: list[Any] = [_TABLES[above].c[name].label(f"{above}_members") for above in told]
    if metadata:
        parts += _metadata_columns(level)
    conditions = [condition_of(search.matches, level, fuzzy=search.fuzzy)]
    lowest = _TABLES[level]
    if search.study_uid is not None:
        conditions.append(lowest.c.study_instance_uid == search.study_uid)
    if search.series_uid is not None:
        conditions.append(lowest.c.series_instance_uid == search.series_uid)
    statement = select(*_key_columns(level), *parts).select_from(source).where(*conditions)
    order = _order(search)
    return statement.order_by(*order).offset(search.offset).limit(search.limit + 1)


def _told(search: Search, *, summary: bool) -> list[Level]:
    """The levels whose members are read: all of them, unless defaults alone are told."""
    levels = _ABOVE[search.level]
    if not summary:
        return list(levels)
    return [level for level in levels if level == search.level or level in search.defaults]


def _key_columns(level: Level) -> tuple[Any, ...]:
    if level == "study":
        columns = studies.c
        return (
            columns.study_instance_uid,
            columns.modalities,
            columns.series_count,
            columns.instance_count,
        )
    if level == "series":
        return (series.c.study_instance_uid, series.c.series_instance_uid, series.c.instance_count)
    columns = instances.c
    return (columns.study_instance_uid, columns.series_instance_uid, columns.sop_instance_uid)


def _order(search: Search) -> tuple[Any, ...]:
    """An order that an index has, where much may be found."""
    if search.level == "study":
        return (studies.c.study_date.desc(), studies.c.study_instance_uid)
    if search.level == "series":
        uids = (series.c.study_instance_uid, series.c.series_instance_uid)
        return uids if search.study_uid is None else (series.c.series_number, uids[1])
    columns = instances.c
    below = (columns.series_instance_uid, columns.instance_number, columns.sop_instance_uid)
    if search.study_uid is None:
        return (columns.study_instance_uid, *below)
    return below if search.series_uid is not None else (series.c.series_number, *below)


def _metadata_columns(level: Level) -> list[Any]:
    """The whole metadata and the UIDs of the instance, or of the first one below."""
    if level == "instance":
        return [
            instances.c.metadata_json,
            instances.c.series_instance_uid.label("first_series"),
            instances.c.sop_instance_uid.label("first_instance"),
        ]
    first = instances.alias()
    above = _TABLES[level].c
    here = first.c.study_instance_uid == above.study_instance_uid
    if level == "series":
        here &= first.c.series_instance_uid == above.series_instance_uid
    order = (first.c.series_instance_uid, first.c.instance_number, first.c.sop_instance_uid)

    def of_first(name: str) -> Any:
        statement = select(first.c[name]).where(here, first.c.metadata_json.is_not(None))
        return statement.order_by(*order).limit(1).scalar_subquery()

    return [
        of_first("metadata_json").label("metadata_json"),
        of_first("series_instance_uid").label("first_series"),
        of_first("sop_instance_uid").label("first_instance"),
    ]


def _read(
    rows: Sequence[Any],
    level: Level,
    *,
    told: Sequence[Level],
    wanted: frozenset[str] | None,
    extra: frozenset[str],
) -> Iterator[Found]:
    depth = len(_ABOVE[level])
    counts = _COUNTS.get(level)
    first = len(_key_columns(level))
    last = first + len(told) - 1
    if level != "instance":
        extra &= STUDY_TAGS if level == "study" else STUDY_TAGS | SERIES_TAGS
    above: tuple[str, ...] | None = None
    shared: list[str] = []
    for row in rows:
        values = tuple(row)
        uids = values[:depth]
        upper = uids[:-1] + values[first:last]
        if upper != above:  # neighbours are mostly of one series
            above = upper
            lines = [line for line in _members(values[first:last], wanted) if line[:10] != _EVERY]
            shared = sorted(lines + _uid_members(uids[:-1]))
        members = shared + _members(values[last : last + 1], wanted)
        members.append(f'{_UID_KEYS[depth - 1]}:{{"vr":"UI","Value":["{uids[-1]}"]}}')
        if counts is not None:
            members += counts(values)
        instance_uids: tuple[str, ...] = ()
        if extra and row.metadata_json is not None:
            members += fields_of(row.metadata_json, extra)
            instance_uids = (row[0], row.first_series, row.first_instance)
        yield Found(uids, members, instance_uids)


def _members(texts: Sequence[str], wanted: frozenset[str] | None) -> list[str]:
    lines = [line for text in texts if text for line in text.split("\n")]
    if wanted is None:
        return lines
    return [line for line in lines if line[:10] in wanted]


def _uid_members(uids: Sequence[str]) -> list[str]:
    return [
        f'{key}:{{"vr":"UI","Value":["{uid}"]}}' for key, uid in zip(_UID_KEYS, uids, strict=False)
    ]


def _study_counts(values: tuple[Any, ...]) -> tuple[str, ...]:
    _, modalities, series_count, instance_count, *_ = values
    return (
        _modalities_in_study(modalities),
        f'"00201206":{{"vr":"IS","Value":[{series_count}]}}',
        f'"00201208":{{"vr":"IS","Value":[{instance_count}]}}',
    )


def _series_counts(values: tuple[Any, ...]) -> tuple[str, ...]:
    return (f'"00201209":{{"vr":"IS","Value":[{values[2]}]}}',)


@lru_cache(maxsize=1024)
def _modalities_in_study(joined: str) -> str:
    modalities = [text for text in joined.split("\\") if text]
    value = f',"Value":{json.dumps(modalities, ensure_ascii=False)}' if modalities else ""
    return f'"00080061":{{"vr":"CS"{value}}}'


_UID_KEYS = ('"0020000D"', '"0020000E"', '"00080018"')
_EVERY = '"00080201"'  # kept at every level: the lowest one's is told
_COUNTS: dict[Level, Callable[[tuple[Any, ...]], tuple[str, ...]]] = {
    "study": _study_counts,
    "series": _series_counts,
}
