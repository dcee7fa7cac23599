"""The bar of a benchmark: what is being measured, and how far it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .terminal_bar import TerminalBar

if TYPE_CHECKING:
    from rich.progress import ProgressColumn

__all__ = ["BenchProgress"]


class BenchProgress(TerminalBar):
    """A bar over `steps` steps."""

    def __init__(self, *, steps: int) -> None:
        super().__init__("", total=float(max(steps, 1)))

    def _columns(self) -> list[ProgressColumn]:
        from rich.progress import BarColumn, TaskProgressColumn, TimeElapsedColumn

        return [BarColumn(), TaskProgressColumn(), TimeElapsedColumn()]

    def at(self, step: int, text: str, *, part: float = 0.0) -> None:
        """Step `step`, counted from 0, is over by `part` (0–1); `text` says what it is."""
        done = step + min(max(part, 0.0), 1.0)
        self._draw(now=not part, completed=done, description=text)
