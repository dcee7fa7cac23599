"""The bar of work that is counted: so many of so many, and MB/s."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from .terminal_bar import TerminalBar

if TYPE_CHECKING:
    from rich.progress import ProgressColumn

__all__ = ["CountProgress"]


class CountProgress(TerminalBar):
    """The progress of `what`, out of `total` things where that is known."""

    def __init__(self, what: str, *, total: int | None = None) -> None:
        super().__init__(what, total=total, speed=0.0)
        self._done = 0
        self._bytes = 0
        self._started_s = time.monotonic()

    def _columns(self) -> list[ProgressColumn]:
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

        speed = TextColumn("{task.fields[speed]:.0f} MB/s")
        return [BarColumn(), MofNCompleteColumn(), speed, TimeRemainingColumn()]

    def advance(self, count: int = 1, size_bytes: int = 0) -> None:
        """Count finished work."""
        self._done += count
        self._bytes += size_bytes
        passed_s = max(time.monotonic() - self._started_s, 1e-6)
        self._draw(completed=self._done, speed=self._bytes / 1e6 / passed_s)
