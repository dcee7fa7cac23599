"""The journal of a parcel that arrives: a line for each thing that happened to its bytes.

A torn last line is as if it had never been begun. Lines are in the page cache when they are
noted: they survive a kill of the process, and the machine's once the journal is synced.
"""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

__all__ = ["boot_id", "note", "whole_lines"]

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def note(descriptor: int, line: dict[str, Any]) -> None:
    """Append `line` to a journal, whole or not at all.

    Raises
    ------
    OSError
        The disk is full, or fails.
    """
    data = json.dumps(line, separators=(",", ":")).encode() + b"\n"
    whole_bytes = os.fstat(descriptor).st_size
    if os.write(descriptor, data) < len(data):
        # What came behind a torn line would not be found again.
        os.ftruncate(descriptor, whole_bytes)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def whole_lines(data: bytes) -> tuple[list[dict[str, Any]], int]:
    """The lines of a journal up to the first that is torn, and where that begins."""
    lines: list[dict[str, Any]] = []
    at = 0
    for raw in data.splitlines(keepends=True):
        if not raw.endswith(b"\n"):
            break
        try:
            line = json.loads(raw)
        except ValueError:
            break
        if not isinstance(line, dict):
            break
        lines.append(line)
        at += len(raw)
    return lines, at


def boot_id() -> str:
    """Which start of the machine this is; "" where that cannot be known."""
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return ""
