"""Search: the attribute matching of QIDO-RS as statements over the catalogue.

Knows columns and kinds of matching (PS3.4 §C.2.2.2), nothing of URLs. Wildcards match
without regard to case, as PS3.18 leaves open; UIDs and single values match exactly.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Column, ColumnElement, Connection, Select, and_, func, or_, select

from ...codecs.errors import UsageError
from .attributes import JsonElement
from .catalogue import Catalogue
from .levels import LEVELS, Level
from .rows import fold_name
from .tables import instances, series, studies

__all__ = ["MATCHING_KEYS", "Match", "Page", "Search", "run_search"]

type _Kind = Literal["uid", "text", "name", "date", "time", "integer"]


@dataclass(frozen=True, slots=True)
class _Key:
    level: Level
    column: Column[Any]
    kind: _Kind


@dataclass(frozen=True, slots=True)
class Match:
    """One matching key: an attribute in `MATCHING_KEYS` and the value asked for."""

    tag: str
    value: str


@dataclass(frozen=True, slots=True)
class Search:
    """What to look for, on which level; study and series narrow it by the path of the URL."""

    level: Level
    matches: tuple[Match, ...] = ()
    study_uid: str | None = None
    series_uid: str | None = None
    offset: int = 0
    limit: int = 1000


@dataclass(frozen=True, slots=True)
class Page:
    """The attributes of what was found, in order; `cut` says that there is more behind."""

    found: tuple[dict[str, JsonElement], ...]
    cut: bool


MATCHING_KEYS: dict[str, _Key] = {
    "0020000D": _Key("study", studies.c.study_instance_uid, "uid"),
    "00080020": _Key("study", studies.c.study_date, "date"),
    "00080030": _Key("study", studies.c.study_time, "time"),
    "00080050": _Key("study", studies.c.accession_number, "text"),
    "00200010": _Key("study", studies.c.study_id, "text"),
    "00081030": _Key("study", studies.c.study_description, "text"),
    "00080090": _Key("study", studies.c.referring_physician_name, "name"),
    "00100010": _Key("study", studies.c.patient_name, "name"),
    "00100020": _Key("study", studies.c.patient_id, "text"),
    "00100030": _Key("study", studies.c.patient_birth_date, "date"),
    "00100040": _Key("study", studies.c.patient_sex, "text"),
    "00080061": _Key("series", series.c.modality, "text"),
    "0020000E": _Key("series", series.c.series_instance_uid, "uid"),
    "00080060": _Key("series", series.c.modality, "text"),
    "00200011": _Key("series", series.c.series_number, "integer"),
    "0008103E": _Key("series", series.c.series_description, "text"),
    "00180015": _Key("series", series.c.body_part_examined, "text"),
    "00400244": _Key("series", series.c.performed_date, "date"),
    "00400245": _Key("series", series.c.performed_time, "time"),
    "00080018": _Key("instance", instances.c.sop_instance_uid, "uid"),
    "00080016": _Key("instance", instances.c.sop_class_uid, "uid"),
    "00080062": _Key("instance", instances.c.sop_class_uid, "uid"),
    "00083002": _Key("instance", instances.c.transfer_syntax_uid, "uid"),
    "00200013": _Key("instance", instances.c.instance_number, "integer"),
}
"""The attributes that can be matched; (0008,0061) and (0008,0062) by what is in the study."""

_MODALITIES_IN_STUDY = "00080061"
_TABLES = {"study": studies, "series": series, "instance": instances}
_MAX_VALUES = 1024


def run_search(catalogue: Catalogue, search: Search) -> Page:
    """Find what matches; studies newest first, series and instances by number.

    Raises
    ------
    UsageError
        A value does not have the form that its attribute needs.
    """
    statement = _statement(search)
    with catalogue.engine.connect() as connection:
        rows = list(connection.execute(statement))
        cut = len(rows) > search.limit
        rows = rows[: search.limit]
        found = [_merged(row) for row in rows]
        if search.level == "study":
            _add_study_counts(connection, found)
        elif search.level == "series":
            _add_series_counts(connection, found)
    return Page(tuple(found), cut)


def _statement(search: Search) -> Select[Any]:
    parts: list[Any] = [studies.c.attributes]
    source: Any = studies
    order: tuple[Any, ...] = (studies.c.study_date.desc(), studies.c.study_instance_uid)
    if search.level != "study":
        source = source.join(series, series.c.study_instance_uid == studies.c.study_instance_uid)
        parts.append(series.c.attributes)
        order = (series.c.series_number, series.c.series_instance_uid)
    if search.level == "instance":
        source = source.join(
            instances, instances.c.series_instance_uid == series.c.series_instance_uid
        )
        parts.append(instances.c.attributes)
        order = (*order, instances.c.instance_number, instances.c.sop_instance_uid)
    conditions = [_condition(match, search.level) for match in search.matches]
    if search.study_uid is not None:
        conditions.append(studies.c.study_instance_uid == search.study_uid)
    if search.series_uid is not None:
        conditions.append(series.c.series_instance_uid == search.series_uid)
    statement = select(*parts).select_from(source).where(and_(True, *conditions))
    return statement.order_by(*order).offset(search.offset).limit(search.limit + 1)


def _condition(match: Match, level: Level) -> ColumnElement[bool]:
    """The condition on one attribute; on a lower level's, that there is such a one below."""
    key = MATCHING_KEYS[match.tag]
    found = _matching(key, match.value)
    here = LEVELS.index(level)
    below = match.tag == _MODALITIES_IN_STUDY and level != "study"
    if LEVELS.index(key.level) <= here and not below:
        return found
    table = _TABLES[key.level].alias()
    column = table.c[key.column.name]
    found = _matching(_Key(key.level, column, key.kind), match.value)
    if level == "series" and not below:
        of_this = table.c.series_instance_uid == series.c.series_instance_uid
    else:
        of_this = table.c.study_instance_uid == studies.c.study_instance_uid
    return select(table).where(of_this, found).exists()


def _matching(key: _Key, value: str) -> ColumnElement[bool]:
    column = key.column
    if key.kind == "uid":
        return column.in_(_values(value))
    if key.kind == "integer":
        return column.in_([_integer(text) for text in _values(value)])
    if key.kind in ("date", "time"):
        return _in_range(column, value, kind=key.kind)
    if key.kind == "name":
        return _like_name(column, value)
    return or_(*(_like(column, text) for text in _values(value)))


def _values(text: str) -> list[str]:
    values = [value.strip() for value in re.split(r"[,\\]", text)]
    if len(values) > _MAX_VALUES:
        raise UsageError(f"a list of {len(values)} values, at most {_MAX_VALUES} are matched")
    return values


def _integer(text: str) -> int:
    if not re.fullmatch(r"[+-]?\d{1,12}", text):
        raise UsageError("a matching key is no integer where one is needed")
    return int(text)


def _like(column: Column[Any], text: str) -> ColumnElement[bool]:
    if "*" not in text and "?" not in text:
        return column == text
    return func.lower(column).like(_pattern(text.lower()), escape="!")


def _like_name(column: Column[Any], text: str) -> ColumnElement[bool]:
    # Groups stand between "=" in the column: a pattern without one may match any group.
    folded = fold_name(text)
    if not folded:
        return column == ""
    return column.like("%" + _pattern(folded) + "%", escape="!")


def _pattern(text: str) -> str:
    escaped = re.sub(r"[!%_]", r"!\g<0>", text)
    return escaped.replace("*", "%").replace("?", "_")


_FORMS = {
    "date": (re.compile(r"\d{8}"), 8, "9"),
    "time": (re.compile(r"\d{2}(?:\d{2}(?:\d{2}(?:\.\d{1,6})?)?)?"), 6, "9"),
}


def _in_range(column: Column[Any], value: str, *, kind: str) -> ColumnElement[bool]:
    """A single value or a range (PS3.4 §C.2.2.2.5); what has no value is in no range."""
    form, digits, last = _FORMS[kind]
    cleaned = value.strip().replace(":", "").replace(".", "" if kind == "date" else ".")
    if re.fullmatch(r"\d{4}-\d{2}-\d{2}", cleaned):
        cleaned = cleaned.replace("-", "")
    start, dash, end = cleaned.partition("-")
    if not (start or end) or not all(form.fullmatch(text) for text in (start, end) if text):
        raise UsageError(f"a matching key is no {kind} and no range of {kind}s")
    if not dash and kind == "date":
        return column == start
    conditions: list[ColumnElement[bool]] = [column != ""]
    if start:
        conditions.append(column >= start)
    upper = end if dash else start
    if upper:
        # "1030" is all of that minute: the last time with this beginning is the bound.
        conditions.append(
            column <= (upper if "." in upper else upper.ljust(digits, last) + ".999999")
        )
    return and_(*conditions)


def _merged(row: Any) -> dict[str, JsonElement]:
    merged: dict[str, JsonElement] = {}
    for part in row:
        merged |= json.loads(part)
    return merged


def _uid(attributes: dict[str, JsonElement], tag: str) -> str:
    return str(attributes[tag]["Value"][0])


def _add_study_counts(connection: Connection, found: Sequence[dict[str, JsonElement]]) -> None:
    uids = [_uid(attributes, "0020000D") for attributes in found]
    parent = series.c.study_instance_uid
    modalities: dict[str, list[str]] = {uid: [] for uid in uids}
    pairs = select(parent, series.c.modality).where(parent.in_(uids)).distinct()
    for uid, modality in connection.execute(pairs.order_by(series.c.modality)):
        if modality:
            modalities[uid].append(modality)
    series_count = _counted(connection, parent, uids)
    instance_count = _counted(connection, instances.c.study_instance_uid, uids)
    for uid, attributes in zip(uids, found, strict=True):
        attributes["00080061"] = {"vr": "CS", "Value": modalities[uid]}
        attributes["00201206"] = {"vr": "IS", "Value": [series_count.get(uid, 0)]}
        attributes["00201208"] = {"vr": "IS", "Value": [instance_count.get(uid, 0)]}


def _add_series_counts(connection: Connection, found: Sequence[dict[str, JsonElement]]) -> None:
    uids = [_uid(attributes, "0020000E") for attributes in found]
    counts = _counted(connection, instances.c.series_instance_uid, uids)
    for uid, attributes in zip(uids, found, strict=True):
        attributes["00201209"] = {"vr": "IS", "Value": [counts.get(uid, 0)]}


def _counted(connection: Connection, owner: Column[Any], uids: Sequence[str]) -> dict[str, int]:
    """How many rows belong to each of `uids`, by the column `owner`."""
    statement = select(owner, func.count()).where(owner.in_(uids)).group_by(owner)
    return {row[0]: row[1] for row in connection.execute(statement)}
