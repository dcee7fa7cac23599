"""Objects woven of summaries are those that are put together member by member."""

from __future__ import annotations

import json
import random

import pytest
from mersey.engine.archive.levels import DEFAULT_FIELDS, LEVELS, MADE_TAGS, Level
from mersey.engine.archive.weaving import weave

CONSTANTS = {
    "00080005": '"00080005":{"vr":"CS","Value":["ISO_IR 192"]}',
    "00080056": '"00080056":{"vr":"CS","Value":["ON%LINE"]}',
}
ADDRESS = "http://h%20ost:1/dicom-web"
EVERY = "00080201"
COUNTS = {"study": ("00201206", "00201208"), "series": ("00201209",), "instance": ()}
VALUES = ("", "A^B", "100 %s %d", "grün 漢字 \u2028\x85", 'a "quote" \\', "}\n{", "}{,")


def summary(chance: random.Random, level: Level) -> str:
    """Some of the members that are told of a level, in lines."""
    tags = sorted(DEFAULT_FIELDS[level] - MADE_TAGS)
    kept = [tag for tag in tags if chance.random() < chance.choice((0.1, 0.5, 0.95))]
    return "\n".join(f'"{tag}":{_element("LO", chance.choice(VALUES))}' for tag in kept)


def _element(vr: str, value: str | int) -> str:
    told = {"vr": vr, "Value": [value]} if value != "" else {"vr": vr}
    return json.dumps(told, ensure_ascii=False, separators=(",", ":"))


def some_rows(chance: random.Random, level: Level, told: tuple[Level, ...]) -> list[tuple]:
    depth = LEVELS.index(level) + 1
    rows = []
    for _ in range(20):
        above = (*(f"1.{n}.{chance.randrange(9)}" for n in range(depth - 1)),)
        summaries = [summary(chance, one) for one in told[:-1]]
        for _ in range(chance.randrange(4)):
            counts = tuple(chance.randrange(99) for _ in COUNTS[level])
            modalities = ('"00080061":{"vr":"CS","Value":["%"]}',) if level == "study" else ()
            uid = f"1.9.{chance.randrange(99)}"
            rows.append((*above, uid, *modalities, *counts, *summaries, summary(chance, level)))
    return rows


def plain(row: tuple, level: Level, told: tuple[Level, ...]) -> str:
    """One object, member by member."""
    depth = LEVELS.index(level) + 1
    uids, *rest = row[:depth], *row[depth:]
    members = list(CONSTANTS.values())
    if level == "study":
        members.append(rest.pop(0))
    for tag in COUNTS[level]:
        members.append(f'"{tag}":{{"vr":"IS","Value":[{rest.pop(0)}]}}')
    for one, lines in zip(told, rest, strict=True):
        found = lines.split("\n") if lines else []
        members += [line for line in found if one == level or line[1:9] != EVERY]
    place = ADDRESS
    for tag, segment, uid in zip(
        ("0020000D", "0020000E", "00080018"), ("studies", "series", "instances"), uids, strict=False
    ):
        members.append(f'"{tag}":{_element("UI", uid)}')
        place += f"/{segment}/{uid}"
    members.append(f'"00081190":{_element("UR", place)}')
    return "{" + ",".join(sorted(members)) + "}"


@pytest.mark.parametrize(
    "told",
    [
        ("study",),
        ("series",),
        ("study", "series"),
        ("instance",),
        ("series", "instance"),
        ("study", "series", "instance"),
    ],
    ids="+".join,
)
def test_what_is_woven_is_what_is_put_together_by_members(told: tuple[Level, ...]) -> None:
    level = told[-1]
    chance = random.Random(len(told))
    rows = some_rows(chance, level, told)
    woven = weave(rows, level, told=told, constants=CONSTANTS, address=ADDRESS)
    assert woven == "[" + ",".join(plain(row, level, told) for row in rows) + "]"
    json.loads(woven)


def test_nothing_found_is_an_empty_array() -> None:
    assert weave([], "study", told=("study",), constants=CONSTANTS, address=ADDRESS) == "[]"


@pytest.mark.parametrize(
    "lines",
    [
        '"00080030":{"vr":"TM"}\n"00080020":{"vr":"DA"}',
        '"00080020":{"vr":"DA"}\n"00080020":{"vr":"DA"}',
        '"00080021":{"vr":"DA"}',
        "no member",
    ],
    ids=["out of order", "twice", "not told by default", "no member"],
)
def test_a_summary_that_is_made_otherwise_is_not_woven(lines: str) -> None:
    for row in (("1.2", "", 1, 1, lines),):
        told: tuple[Level, ...] = ("study",)
        assert weave([row], "study", told=told, constants=CONSTANTS, address=ADDRESS) is None
    above = ("1.2", "1.3", 1, lines, "")
    told = ("study", "series")
    assert weave([above], "series", told=told, constants=CONSTANTS, address=ADDRESS) is None
