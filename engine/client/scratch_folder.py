"""A folder for what may go at any time, also when its process was killed.

Whoever makes the next one beside it removes those whose process is gone: what is left of a push
that was killed is copies of patients' images.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["scratch_folder"]

_UNLOCKED_S = 60.0
"""How old a folder is before it is taken for locked if its process lives."""


@contextmanager
def scratch_folder(prefix: str, *, parent: Path | None = None) -> Iterator[Path]:
    """A new folder below `parent`, by default where temporary files are; gone at the end.

    Folders of that `prefix` that nobody holds any more are removed first.
    """
    where = Path(tempfile.gettempdir()) if parent is None else parent
    for left in where.glob(f"{prefix}*"):
        with suppress(OSError):  # held by a living process, another user's, or gone meanwhile
            if not left.is_symlink() and left.stat().st_mtime < time.time() - _UNLOCKED_S:
                with _held(left):
                    shutil.rmtree(left)
    with tempfile.TemporaryDirectory(prefix=prefix, dir=where) as made, _held(Path(made)):
        yield Path(made)


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """OSError where another process holds it."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)
