"""A transfer on a terminal: bytes, MB/s, time left, and what compression saved.

Where stderr is no terminal there is no bar, only the lines.
"""

from __future__ import annotations

import sys
import time
from typing import Any, Self

from .terminal import printable, size

__all__ = ["TransferProgress"]

_REFRESH_S = 0.1


class TransferProgress:
    """The progress of a transfer, in bytes of originals."""

    def __init__(self, label: str) -> None:
        self._label = label
        self._bar: Any = None
        self._drawn = 0.0

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import (
                BarColumn,
                DownloadColumn,
                Progress,
                TextColumn,
                TimeRemainingColumn,
                TransferSpeedColumn,
            )

            self._bar = Progress(
                TextColumn(self._label),
                BarColumn(),
                DownloadColumn(),
                TransferSpeedColumn(),
                TimeRemainingColumn(),
                TextColumn("{task.fields[saved]}"),
                console=Console(stderr=True),
                auto_refresh=False,
                transient=True,
            )
            self._bar.start()
            self._task = self._bar.add_task("", total=None, saved="")
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def show(self, size_bytes: int, total_bytes: int, wire_bytes: int) -> None:
        """`size_bytes` of `total_bytes` are there, for which `wire_bytes` travelled."""
        now = time.monotonic()
        if self._bar is None or now - self._drawn < _REFRESH_S:
            return
        self._drawn = now
        saved = size_bytes - wire_bytes
        text = f"{size(saved)} saved" if saved > 0.01 * size_bytes else ""
        self._bar.update(
            self._task,
            completed=size_bytes,
            total=total_bytes or None,
            saved=text,
            refresh=True,
        )

    def say(self, line: str) -> None:
        """Print one line on stderr, above the bar where there is one."""
        if self._bar is None:
            print(printable(line), file=sys.stderr, flush=True)
        else:
            self._bar.console.print(printable(line), markup=False, highlight=False)
