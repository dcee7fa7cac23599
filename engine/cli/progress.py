"""Progress on a terminal: a bar with MB/s and time left, and lines that do not break it.

Where stderr is no terminal there is no bar, only the lines.
"""

from __future__ import annotations

import sys
import time
from typing import Any, Self

__all__ = ["TranscodeProgress"]

_REFRESH_S = 0.1


class TranscodeProgress:
    """The progress of a transcoding or, by its `label`, of the like, against all sources' bytes."""

    def __init__(self, *, total_bytes: int, label: str = "transcoding") -> None:
        self._total_bytes = total_bytes
        self._label = label
        self._bar: Any = None
        self._pixel_bytes = 0
        self._source_bytes = 0
        self._started = self._drawn = time.monotonic()

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import (
                BarColumn,
                Progress,
                TaskProgressColumn,
                TextColumn,
                TimeRemainingColumn,
            )

            self._bar = Progress(
                TextColumn(self._label),
                BarColumn(),
                TaskProgressColumn(),
                TextColumn("{task.fields[speed]:.0f} MB/s"),
                TimeRemainingColumn(),
                console=Console(stderr=True),
                auto_refresh=False,
                transient=True,
            )
            self._bar.start()
            self._task = self._bar.add_task("", total=self._total_bytes, speed=0.0)
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def advance(self, pixel_bytes: int, source_bytes: int) -> None:
        """Count finished work."""
        self._pixel_bytes += pixel_bytes
        self._source_bytes += source_bytes
        now = time.monotonic()
        if self._bar is None or now - self._drawn < _REFRESH_S:
            return
        self._drawn = now
        speed = self._pixel_bytes / 1e6 / (now - self._started)
        self._bar.update(self._task, completed=self._source_bytes, speed=speed, refresh=True)

    def say(self, line: str) -> None:
        """Print one line on stderr, above the bar where there is one."""
        if self._bar is None:
            print(line, file=sys.stderr, flush=True)
        else:
            self._bar.console.print(line, markup=False, highlight=False)
