"""Attribute matching (PS3.4 §C.2.2.2) as conditions on the columns of the catalogue.

Wildcards match without regard to the case of ASCII letters, as PS3.18 leaves open, and names
to that of any letter; UIDs and single values match exactly. The same on every database.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Column, ColumnElement, Table, and_, false, func, or_, select

from ...codecs.errors import UsageError
from .levels import LEVELS, Level
from .names import fold_name, one_edit_patterns, sound_of, words_asked_for
from .tables import instances, name_words, series, studies

__all__ = ["MATCHING_KEYS", "Match", "condition_of"]

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
_OF_WHOLE_STUDY = frozenset({_MODALITIES_IN_STUDY, "00080062"})
_DATE, _TIME = "00080020", "00080030"
_TABLES: dict[Level, Table] = {"study": studies, "series": series, "instance": instances}
_MAX_VALUES = 1024


def condition_of(matches: tuple[Match, ...], level: Level, *, fuzzy: bool) -> ColumnElement[bool]:
    """The condition that a row of `level`, joined with those above it, matches them all.

    On a lower level's attribute: that there is such a one below. A range of dates and one of
    times are one range of moments (PS3.4 §C.2.2.2.5); `fuzzy` lets names match loosely.

    Raises
    ------
    UsageError
        A value does not have the form that its attribute needs.
    """
    conditions = []
    moments = _range_of_moments(matches)
    for match in matches:
        if moments is not None and match.tag in (_DATE, _TIME):
            continue
        conditions.append(_condition(match, level, fuzzy=fuzzy))
    if moments is not None:
        conditions.append(moments)
    return and_(True, *conditions)


def _condition(match: Match, level: Level, *, fuzzy: bool) -> ColumnElement[bool]:
    key = MATCHING_KEYS[match.tag]
    if key.kind == "name" and fuzzy:
        return or_(_matching(key, match.value), _sounds_like(match))
    here = LEVELS.index(level)
    of_study = match.tag in _OF_WHOLE_STUDY
    if LEVELS.index(key.level) <= here and not (of_study and level != "study"):
        return _matching(key, match.value)
    table = _TABLES[key.level].alias()
    found = _matching(_Key(key.level, table.c[key.column.name], key.kind), match.value)
    of_this = table.c.study_instance_uid == studies.c.study_instance_uid
    if level == "series" and not of_study:
        of_this &= table.c.series_instance_uid == series.c.series_instance_uid
    return select(table.c.study_instance_uid).where(of_this, found).exists()


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
    if not re.fullmatch(r"[+-]?[0-9]{1,12}", text):
        raise UsageError("a matching key is no integer where one is needed")
    return int(text)


def _like(column: Column[Any], text: str) -> ColumnElement[bool]:
    if "*" not in text and "?" not in text:
        return column == text
    return func.lower(column).like(_pattern(text).translate(_ASCII_LOWER), escape="!")


def _like_name(column: Column[Any], text: str) -> ColumnElement[bool]:
    # Groups stand between "=" in the column: a pattern without one may match any group.
    folded = fold_name(text)
    if not folded:
        return column == ""
    return column.like("%" + _pattern(folded) + "%", escape="!")


_ASCII_LOWER = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}


def _pattern(text: str) -> str:
    escaped = re.sub(r"[!%_]", r"!\g<0>", text)
    return escaped.replace("*", "%").replace("?", "_")


def _sounds_like(match: Match) -> ColumnElement[bool]:
    """Every word that is looked for begins, sounds like or nearly is a word of the name."""
    words = words_asked_for(match.value)
    if not words:
        return false()
    return and_(*(_has_word(match.tag, word) for word in words))


def _has_word(tag: str, word: str) -> ColumnElement[bool]:
    columns = name_words.alias().c
    choices = [_begins(columns.word, word)]
    sound = sound_of(word)
    if sound:
        choices.append(columns.code == sound)
    patterns = one_edit_patterns(word)
    if patterns:
        near = or_(*(columns.word.like(pattern) for pattern in patterns))
        choices.append(_begins(columns.word, word[0]) & near)
    found = select(columns.study_instance_uid).where(columns.tag == tag, or_(*choices))
    return studies.c.study_instance_uid.in_(found)


def _begins(column: Column[Any], beginning: str) -> ColumnElement[bool]:
    """Said so that an index of the column serves."""
    return and_(column >= beginning, column < beginning + "\U0010ffff")


_Bounds = tuple[str, str]
_FORMS: dict[str, tuple[re.Pattern[str], Callable[[str], str]]] = {
    "date": (re.compile(r"[0-9]{8}"), lambda text: text),
    # "1030" is all of that minute: the last time with this beginning is the bound.
    "time": (
        re.compile(r"[0-9]{2}(?:[0-9]{2}(?:[0-9]{2}(?:\.[0-9]{1,6})?)?)?"),
        lambda text: text if "." in text else text.ljust(6, "9") + ".999999",
    ),
}


def _bounds(value: str, *, kind: str) -> _Bounds:
    """The first and the last value of a range or of a single value; "" where it is open."""
    form, last = _FORMS[kind]
    cleaned = value.strip().replace(":", "").replace(".", "" if kind == "date" else ".")
    if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", cleaned):
        cleaned = cleaned.replace("-", "")
    start, dash, end = cleaned.partition("-")
    start, end = start.strip(), end.strip()
    if not (start or end) or not all(form.fullmatch(text) for text in (start, end) if text):
        raise UsageError(f"a matching key is no {kind} and no range of {kind}s")
    upper = end if dash else start
    return start, last(upper) if upper else ""


def _in_range(column: Column[Any], value: str, *, kind: str) -> ColumnElement[bool]:
    """A single value or a range; what has no value is in no range."""
    start, end = _bounds(value, kind=kind)
    conditions: list[ColumnElement[bool]] = [column != ""]
    if start:
        conditions.append(column >= start)
    if end:
        conditions.append(column <= end)
    return and_(*conditions)


def _range_of_moments(matches: tuple[Match, ...]) -> ColumnElement[bool] | None:
    """Study Date and Study Time as one range from moment to moment, where both are ranges.

    ``StudyDate=20240310-20240311&StudyTime=2200-0600`` is one night. Single dates with a range
    of times, and the other way round, are two conditions.
    """
    values = {match.tag: match.value for match in matches if match.tag in (_DATE, _TIME)}
    asked = [match for match in matches if match.tag in (_DATE, _TIME)]
    if len(values) != 2 or len(asked) != 2:
        return None
    first_day, last_day = _bounds(values[_DATE], kind="date")
    start, end = _bounds(values[_TIME], kind="time")
    if first_day == last_day or "-" not in values[_TIME]:
        return None
    day, time = studies.c.study_date, studies.c.study_time
    conditions: list[ColumnElement[bool]] = [day != "", time != ""]
    if first_day:
        conditions.append(or_(day > first_day, and_(day == first_day, time >= start)))
    if last_day:
        within = time <= end if end else time != ""
        conditions.append(or_(day < last_day, and_(day == last_day, within)))
    return and_(*conditions)
