"""A bar on a terminal, with lines that do not break it.

Where stderr is no terminal there is no bar, only the lines. What a bar shows beside the label is
its subclass's to say.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any, Self

from .terminal import printable

if TYPE_CHECKING:
    from rich.progress import ProgressColumn

__all__ = ["TerminalBar"]

_REFRESH_S = 0.1


class TerminalBar:
    """A bar up to `total`, where that is known; a context.

    `fields` are what its columns show at first. What is written to it is drawn ten times a
    second at the most.
    """

    def __init__(self, label: str, *, total: float | None = None, **fields: Any) -> None:
        self._label = label
        self._total = total
        self._fields = fields
        self._bar: Any = None
        self._drawn_s = 0.0

    def _columns(self) -> list[ProgressColumn]:
        """What stands behind the label, made when the bar is."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import Progress, TextColumn

            self._bar = Progress(
                TextColumn("{task.description}", markup=False),
                *self._columns(),
                console=Console(stderr=True),
                auto_refresh=False,
                transient=True,
            )
            self._bar.start()
            self._task = self._bar.add_task(self._label, total=self._total, **self._fields)
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def _draw(self, *, now: bool = False, **fields: Any) -> None:
        """Show `fields`, unless there is no bar or, without `now`, it was drawn a moment ago."""
        time_s = time.monotonic()
        if self._bar is None or (not now and time_s - self._drawn_s < _REFRESH_S):
            return
        self._drawn_s = time_s
        self._bar.update(self._task, refresh=True, **fields)

    def say(self, line: str) -> None:
        """Print one line on stderr, above the bar where there is one."""
        if self._bar is None:
            print(printable(line), file=sys.stderr, flush=True)
        else:
            self._bar.console.print(printable(line), markup=False, highlight=False)
