"""The journal of an upload: a line for each thing that is durable, and what they come to.

A line is written after what it tells is on the disk, and is itself on the disk before anybody is
told. A torn last line is as if it had never been begun. The offset in it never decreases.
"""

from __future__ import annotations

import errno
import json
import os
from dataclasses import dataclass, replace
from typing import Any

__all__ = ["JournalState", "note", "replay"]

_MAX_BYTES = 32 << 20
"""More than a million appends to one upload are no honest ones."""


@dataclass(frozen=True, slots=True)
class JournalState:
    """What the lines come to; `whole_bytes` is where the next one begins."""

    offset_bytes: int = 0
    length_bytes: int | None = None
    is_complete: bool = False
    is_void: bool = False
    whole_bytes: int = 0

    def after(self, line: Any, *, line_bytes: int) -> JournalState | None:
        """What they come to with `line`; None where it is no line."""
        whole = self.whole_bytes + line_bytes
        match line:
            case {"offset": int(offset)} if offset >= self.offset_bytes:
                return replace(self, offset_bytes=offset, whole_bytes=whole)
            case {"length": int(length)}:
                return replace(self, length_bytes=length, whole_bytes=whole)
            case {"complete": True}:
                return replace(self, is_complete=True, whole_bytes=whole)
            case {"void": True}:
                return replace(self, is_void=True, whole_bytes=whole)
        return None


def note(descriptor: int, line: dict[str, int | bool], *, state: JournalState) -> JournalState:
    """Append `line` to a journal that comes to `state`, and have it on the disk.

    Raises
    ------
    OSError
        The disk is full, or fails. Nothing is there then that `replay` would take for a line.
    """
    data = json.dumps(line, separators=(",", ":")).encode() + b"\n"
    changed = state.after(line, line_bytes=len(data))
    assert changed is not None
    if changed.whole_bytes > _MAX_BYTES:
        raise OSError(errno.EFBIG, "too many appends to one upload")
    try:
        written = 0
        while written < len(data):
            written += os.pwrite(descriptor, data[written:], state.whole_bytes + written)
        os.fdatasync(descriptor)
    except OSError:
        os.ftruncate(descriptor, state.whole_bytes)
        raise
    return changed


def replay(descriptor: int) -> JournalState:
    """What the journal comes to, up to the first line that is torn.

    Raises
    ------
    OSError
        It cannot be read.
    """
    state = JournalState()
    for raw in os.pread(descriptor, _MAX_BYTES, 0).splitlines(keepends=True):
        try:
            line = json.loads(raw) if raw.endswith(b"\n") else None
        except ValueError:
            break
        changed = state.after(line, line_bytes=len(raw))
        if changed is None:
            break
        state = changed
    return state
