"""The bar of work on files: the share of their bytes that is done, MB/s and time left."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from .terminal_bar import TerminalBar

if TYPE_CHECKING:
    from rich.progress import ProgressColumn

__all__ = ["TranscodeProgress"]


class TranscodeProgress(TerminalBar):
    """The progress of a transcoding or, by its `label`, of the like, against all sources' bytes."""

    def __init__(self, *, total_bytes: int, label: str = "transcoding") -> None:
        super().__init__(label, total=total_bytes, speed=0.0)
        self._pixel_bytes = 0
        self._source_bytes = 0
        self._started_s = time.monotonic()

    def _columns(self) -> list[ProgressColumn]:
        from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn

        speed = TextColumn("{task.fields[speed]:.0f} MB/s")
        return [BarColumn(), TaskProgressColumn(), speed, TimeRemainingColumn()]

    def advance(self, pixel_bytes: int, source_bytes: int) -> None:
        """Count finished work: the speed is of pixels, the bar of the sources."""
        self._pixel_bytes += pixel_bytes
        self._source_bytes += source_bytes
        passed_s = max(time.monotonic() - self._started_s, 1e-6)
        self._draw(completed=self._source_bytes, speed=self._pixel_bytes / 1e6 / passed_s)
