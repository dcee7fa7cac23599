"""Where the store is unless it is said: in the user's folder for data (XDG)."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["default_store"]


def default_store() -> Path:
    """``$XDG_DATA_HOME/mersey``, or ``~/.local/share/mersey``."""
    base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(base) / "mersey"
