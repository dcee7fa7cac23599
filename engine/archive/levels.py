"""Which attributes belong to a study, a series or an instance, and which QIDO-RS returns.

Tables and nothing else (PS3.18 §10.6.1.2.3 and §10.6.3.3; PS3.3 §A for the levels).
"""

from __future__ import annotations

from typing import Literal

__all__ = ["DEFAULT_FIELDS", "LEVELS", "SERIES_TAGS", "STUDY_TAGS", "Level", "level_of"]

type Level = Literal["study", "series", "instance"]

LEVELS: tuple[Level, ...] = ("study", "series", "instance")


def _tags(**groups: str) -> frozenset[str]:
    return frozenset(
        group.removeprefix("g") + element
        for group, elements in groups.items()
        for element in elements.split()
    )


STUDY_TAGS = _tags(
    g0008="0020 0030 0050 0051 0080 0081 0090 0201 1010 1030 1048 1060 1080",
    g0010="0010 0020 0021 0022 0030 0032 0040 1000 1001 1010 1020 1030 2160 2180 4000",
    g0020="000D 0010",
    g0032="1032 1060 1070",
    g0038="0010 0300 0500",
)

SERIES_TAGS = _tags(
    g0008="0021 0031 0060 0064 0070 103E 1040 1050 1070 1090",
    g0018="0015 1000 1020 1030 5100",
    g0020="000E 0011 0052 0060 0200 1040",
    g0040="0244 0245 0253 0254",
    g0054="0081 1000 1001",
)

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


def level_of(tag: str) -> Level:
    """The level that the attribute `tag`, eight hexadecimal digits, is kept at."""
    if tag in STUDY_TAGS:
        return "study"
    return "series" if tag in SERIES_TAGS else "instance"
