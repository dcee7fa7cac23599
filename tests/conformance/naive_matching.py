"""Attribute matching as a plain loop over objects, to compare a database's with."""

from __future__ import annotations

import fnmatch
import random
from dataclasses import dataclass, field

__all__ = ["Made", "find", "make_objects", "make_query"]

_NAMES = ("Doe^Jane", "doe^john", "Doé^Jane=山田^太郎", "Smith_%^A", "", "O'Neil^Ann")
_PATIENTS = ("P1", "p1", "P2", "P%", "P_", "ID!", "")
_DATES = ("20240101", "20240102", "20240310", "19991231", "")
_TIMES = ("000000", "103000", "103059.5", "235959", "1030", "")
_MODALITIES = ("CT", "MR", "ct", "SEG")


@dataclass(frozen=True, slots=True)
class Made:
    uid: str
    where: dict[str, str]
    values: dict[str, str] = field(default_factory=dict)


def make_objects(chosen: random.Random, *, count: int) -> list[Made]:
    """Objects whose attributes agree within their study and series."""
    studies = {
        f"1.{n}": {
            "PatientName": chosen.choice(_NAMES),
            "PatientID": chosen.choice(_PATIENTS),
            "StudyDate": chosen.choice(_DATES),
            "StudyTime": chosen.choice(_TIMES),
        }
        for n in range(count // 4)
    }
    series = {
        f"{study}.{n}": {"Modality": chosen.choice(_MODALITIES), "SeriesNumber": str(n)}
        for study in studies
        for n in range(2)
    }
    found = []
    for number in range(count):
        uid = chosen.choice(sorted(series))
        study = uid.rpartition(".")[0]
        values = {**studies[study], **series[uid], "InstanceNumber": str(number % 5)}
        found.append(Made(f"{uid}.{number}", {"study": study, "series": uid}, values))
    return found


def make_query(chosen: random.Random) -> dict[str, str]:
    """One to three keys."""
    values = {
        "PatientName": ("Doe*", "*jane", "DOE^JANE", "*山田*", "smith?%*", "Doe^J?ne", "*'*", "x"),
        "PatientID": ("P1", "p?", "P%", "P_", "*", "?", "P1\\P2", "P1,P_", "id!*", "*1"),
        "StudyDate": ("20240101", "20240101-20240102", "-20240102", "20240102-", "20000101-"),
        "StudyTime": ("103000", "1030", "10-", "-1030", "1030-2359", "00-103059"),
        "Modality": ("CT", "C*", "MR\\SEG", "??"),
        "ModalitiesInStudy": ("CT", "MR", "S*", "CT\\MR"),
        "SeriesNumber": ("1", "0\\1", "7"),
        "InstanceNumber": ("3", "+1", "0\\4"),
    }
    keys = chosen.sample(sorted(values), chosen.randint(1, 3))
    return {key: chosen.choice(values[key]) for key in keys}


def find(objects: list[Made], level: str, keys: dict[str, str]) -> set[tuple[str, ...]]:
    """The UIDs of what matches: for a higher level, one below must match each lower key."""
    found = set()
    for made in objects:
        uids = (made.where["study"], made.where["series"], made.uid)
        depth = ("study", "series", "instance").index(level) + 1
        if all(_matches(objects, uids, depth, key, keys) for key in keys):
            found.add(uids[:depth])
    return found


def _matches(
    objects: list[Made], uids: tuple[str, ...], depth: int, key: str, keys: dict[str, str]
) -> bool:
    if key == "ModalitiesInStudy":
        name, depth = "Modality", 1
    else:
        name = key
    below = [
        made
        for made in objects
        if (made.where["study"], made.where["series"], made.uid)[:depth] == uids[:depth]
    ]
    return any(_value_matches(name, made.values, keys[key], keys) for made in below)


def _value_matches(name: str, values: dict[str, str], asked: str, keys: dict[str, str]) -> bool:
    value = values[name]
    if name in ("StudyDate", "StudyTime"):
        day, time = keys.get("StudyDate", ""), keys.get("StudyTime", "")
        if "-" in day and "-" in time:
            return _in_moments(values, day, time)
        return _in_range(value, asked, name == "StudyTime")
    if name in ("SeriesNumber", "InstanceNumber"):
        return int(value) in [int(text) for text in asked.split("\\")]
    if name == "PatientName":
        groups = [group for group in value.casefold().split("=") if group]
        return any(_like(group, asked.casefold()) for group in groups)
    for text in asked.replace(",", "\\").split("\\"):
        wild = "*" in text or "?" in text
        if _like(value.lower(), text.lower()) if wild else value == text:
            return True
    return False


def _like(value: str, pattern: str) -> bool:
    return fnmatch.fnmatchcase(value, pattern.replace("[", "[[]"))


def _last(text: str, is_time: bool) -> str:
    if is_time and text and "." not in text:
        return text.ljust(6, "9") + ".999999"
    return text


def _in_range(value: str, asked: str, is_time: bool) -> bool:
    start, dash, end = asked.partition("-")
    upper = _last(end if dash else start, is_time)
    return bool(value) and value >= start and (not upper or value <= upper)


def _in_moments(values: dict[str, str], days: str, times: str) -> bool:
    moment = (values["StudyDate"], values["StudyTime"])
    first_day, _, last_day = days.partition("-")
    start, _, end = times.partition("-")
    if not all(moment):
        return False
    if first_day and moment < (first_day, start):
        return False
    return (
        not last_day
        or moment[0] < last_day
        or (moment[0] == last_day and (not end or moment[1] <= _last(end, True)))
    )
