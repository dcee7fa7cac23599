"""The bar of a transfer: bytes, MB/s, time left, and what compression saved."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .terminal import size
from .terminal_bar import TerminalBar

if TYPE_CHECKING:
    from rich.progress import ProgressColumn

__all__ = ["TransferProgress"]


class TransferProgress(TerminalBar):
    """The progress of a transfer, in bytes of originals."""

    def __init__(self, label: str) -> None:
        super().__init__(label, saved="")

    def _columns(self) -> list[ProgressColumn]:
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            TextColumn,
            TimeRemainingColumn,
            TransferSpeedColumn,
        )

        return [
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[saved]}"),
        ]

    def show(self, size_bytes: int, total_bytes: int, wire_bytes: int) -> None:
        """`size_bytes` of `total_bytes` are there, for which `wire_bytes` travelled."""
        saved = size_bytes - wire_bytes
        text = f"{size(saved)} saved" if saved > 0.01 * size_bytes else ""
        self._draw(completed=size_bytes, total=total_bytes or None, saved=text)
