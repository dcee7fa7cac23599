"""A bar on a terminal for work that is counted, with lines that do not break it.

Where stderr is no terminal there is no bar, only the lines.
"""

from __future__ import annotations

import sys
import time
from typing import Any, Self

from .terminal import printable

__all__ = ["CountProgress"]

_REFRESH_S = 0.1


class CountProgress:
    """The progress of `what`, out of `total` things where that is known."""

    def __init__(self, what: str, *, total: int | None = None) -> None:
        self._what = what
        self._total = total
        self._bar: Any = None
        self._done = 0
        self._bytes = 0
        self._started = self._drawn = time.monotonic()

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import (
                BarColumn,
                MofNCompleteColumn,
                Progress,
                TextColumn,
                TimeRemainingColumn,
            )

            self._bar = Progress(
                TextColumn(self._what),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[speed]:.0f} MB/s"),
                TimeRemainingColumn(),
                console=Console(stderr=True),
                auto_refresh=False,
                transient=True,
            )
            self._bar.start()
            self._task = self._bar.add_task("", total=self._total, speed=0.0)
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def advance(self, count: int = 1, size_bytes: int = 0) -> None:
        """Count finished work."""
        self._done += count
        self._bytes += size_bytes
        now = time.monotonic()
        if self._bar is None or now - self._drawn < _REFRESH_S:
            return
        self._drawn = now
        speed = self._bytes / 1e6 / (now - self._started)
        self._bar.update(self._task, completed=self._done, speed=speed, refresh=True)

    def say(self, line: str) -> None:
        """Print one line on stderr, above the bar where there is one."""
        if self._bar is None:
            print(printable(line), file=sys.stderr, flush=True)
        else:
            self._bar.console.print(printable(line), markup=False, highlight=False)
