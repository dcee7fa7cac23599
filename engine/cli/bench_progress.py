"""Progress of a benchmark on a terminal: what is being measured, and how far it is.

Where stderr is no terminal nothing is drawn.
"""

from __future__ import annotations

import sys
import time
from typing import Any, Self

__all__ = ["BenchProgress"]

_REFRESH_S = 0.1


class BenchProgress:
    """A bar over `steps` steps; a context."""

    def __init__(self, *, steps: int) -> None:
        self._steps = max(steps, 1)
        self._bar: Any = None
        self._drawn = 0.0

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
            from rich.progress import TimeElapsedColumn as Elapsed

            self._bar = Progress(
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                TaskProgressColumn(),
                Elapsed(),
                console=Console(stderr=True),
                auto_refresh=False,
                transient=True,
            )
            self._bar.start()
            self._task = self._bar.add_task("", total=float(self._steps))
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def at(self, step: int, text: str, *, part: float = 0.0) -> None:
        """Step `step`, counted from 0, is over by `part` (0–1); `text` says what it is."""
        now = time.monotonic()
        if self._bar is None or (part and now - self._drawn < _REFRESH_S):
            return
        self._drawn = now
        done = step + min(max(part, 0.0), 1.0)
        self._bar.update(self._task, completed=done, description=text, refresh=True)
