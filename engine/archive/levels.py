"""Which attributes belong to a study, a series or an instance, and which QIDO-RS returns.

Tables and nothing else (PS3.18 §10.6.1.2.3 and §10.6.3.3; PS3.3 §A.1 for the levels).
"""

from __future__ import annotations

from typing import Literal

__all__ = [
    "DEFAULT_FIELDS",
    "LEVELS",
    "MADE_TAGS",
    "SERIES_TAGS",
    "STUDY_TAGS",
    "Level",
    "level_of",
]

type Level = Literal["study", "series", "instance"]

LEVELS: tuple[Level, ...] = ("study", "series", "instance")


def _tags(**groups: str) -> frozenset[str]:
    return frozenset(
        group.removeprefix("g") + element
        for group, elements in groups.items()
        for element in elements.split()
    )


STUDY_TAGS = _tags(
    g0008="0020 0030 0050 0051 0080 0081 0082 0090 0092 0094 0096 009C 009D 0201 1030 1032 1048"
    " 1049 1060 1062 1080 1084 1110 1120",
    g0010="0010 0020 0021 0022 0024 0026 0027 0028 0030 0032 0033 0034 0035 0040 0050 0101 1000"
    " 1001 1002 1005 1010 1020 1021 1022 1024 1030 1040 1060 1080 1081 1090 1100 2000 2110 2150"
    " 2152 2154 2155 2160 2180 21A0 21B0 21C0 21D0 21F0 2201 2202 2203 2292 2293 2294 2295 2296"
    " 2297 2298 2299 4000",
    g0012="0010 0020 0021 0022 0030 0031 0040 0042 0050 0051 0052 0053 0062 0063 0064 0081 0082",
    g0020="000D 0010",
    g0032="1032 1033 1034 1060 1064 1066 1067 1070",
    g0038="0010 0014 0060 0062 0064 0300 0500",
    g0040="1012",
)

SERIES_TAGS = _tags(
    g0008="0021 0031 0060 0064 0068 0070 1010 1040 1041 103E 103F 1050 1052 1070 1072 1090 1111",
    g0012="0060 0071 0072",
    g0018="0015 1000 1002 1020 1030 1050 1200 1201 5100",
    g0020="000E 0011 0052 0060 0200 1040",
    g0028="0108 0109 0120",
    g0040="0244 0245 0250 0251 0253 0254 0260 0275 0280",
    g0054="0081 1000 1001 1002",
)
"""The modules of Patient and Study, and of Series, Equipment and Frame of Reference (PS3.3 §C.7).

Some of a series may differ between instances of bad objects; its first instance's are told.
"""

DEFAULT_FIELDS: dict[Level, frozenset[str]] = {
    "study": _tags(
        g0008="0005 0020 0030 0050 0056 0061 0090 0201 1030 1190",
        g0010="0010 0020 0030 0040",
        g0020="000D 0010 1206 1208",
    ),
    "series": _tags(
        g0008="0005 0056 0060 0201 103E 1190",
        g0020="000D 000E 0011 1209",
        g0040="0244 0245",
    ),
    "instance": _tags(
        g0008="0005 0016 0018 0056 0201 1190",
        g0020="000D 000E 0013",
        g0028="0008 0010 0011 0100",
    ),
}
"""What is returned unasked, Study Description among it: every viewer asks for it."""

MADE_TAGS = _tags(
    g0008="0005 0018 0056 0061 1190",
    g0020="000D 000E 1206 1208 1209",
)
"""What an answer is given whatever the object says of it: UIDs, counts, addresses."""


def level_of(tag: str) -> Level:
    """The level that the attribute `tag`, eight hexadecimal digits, is kept at."""
    if tag in STUDY_TAGS:
        return "study"
    return "series" if tag in SERIES_TAGS else "instance"
