"""What every benchmark finds: data for programs, tables and plots for people."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Plot", "Result", "Table"]


@dataclass(frozen=True, slots=True)
class Table:
    """A table for people; the columns in `right` hold numbers."""

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    right: frozenset[int]


@dataclass(frozen=True, slots=True)
class Plot:
    """A plot of the report; `draw` gives an SVG and is called only where there is a report."""

    caption: str
    draw: Callable[[], bytes]


@dataclass(slots=True)
class Result:
    """What a benchmark found: `data` for programs, `tables` and `plots` for people.

    `failed` makes the exit code 1; `interrupted` says that the user did not wait for all.
    """

    title: str
    data: dict[str, Any]
    tables: list[Table] = field(default_factory=list)
    plots: list[Plot] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    failed: bool = False
    interrupted: bool = False
