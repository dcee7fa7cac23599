"""What was pulled, under its own name: only whole, verified and durable files ever have one.

``FOLDER/<study>/<series>/<instance>.dcm``. Names are made of UIDs that were looked at, of
nothing else that came over a wire.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ...codecs.errors import FormatError, ResourceError
from ..archive.entry import is_uid
from ..archive.part_file import sync_folder
from ..transfer.manifest import Item

__all__ = ["has_bytes", "publish", "require_room", "target_of"]

_MARGIN_BYTES = 64 << 20
_FLUSHES = 4


def target_of(folder: Path, study: str, series: str, instance: str) -> Path:
    """Where an instance goes.

    Raises
    ------
    FormatError
        One of them is no UID: it may be anything, a path too.
    """
    if not (is_uid(study) and is_uid(series) and is_uid(instance)):
        raise FormatError("the server names an instance by what is no UID")
    return folder / study / series / f"{instance}.dcm"


def has_bytes(path: Path, item: Item) -> bool:
    """Whether the file is there, byte for byte. Blocks: it is read where its length is right."""
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size != item.size_bytes:
                return False
            return hashlib.file_digest(file, "sha256").hexdigest() == item.sha256
    except OSError:
        return False


def require_room(folder: Path, needed_bytes: int) -> None:
    """Refuse to begin what the disk cannot hold; nothing is allocated for it.

    Raises
    ------
    ResourceError
        The disk has less room, or cannot be asked.
    """
    try:
        free = shutil.disk_usage(folder).free
    except OSError as error:
        raise ResourceError(f"{folder} cannot be written: {error.strerror}") from error
    if free < needed_bytes + _MARGIN_BYTES:
        raise ResourceError(f"{folder} has room for {free} bytes, {needed_bytes} are to come")


def publish(files: Iterable[tuple[Path, Path]]) -> None:
    """Make files durable and give each its name, all together. Blocks.

    Parameters
    ----------
    files
        Where each is, and what it is to be called; the folder is made.

    Raises
    ------
    ResourceError
        The disk is full, or fails. Each has its name or has it not.
    """
    pairs = list(files)
    try:
        folders = dict.fromkeys(target.parent for _, target in pairs)
        for folder in folders:
            folder.mkdir(parents=True, exist_ok=True)
        for path, _ in pairs:
            _begin_write_back(path)
        with ThreadPoolExecutor(_FLUSHES) as pool:
            list(pool.map(_flush, (path for path, _ in pairs)))
        for path, target in pairs:
            os.replace(path, target)
        for above in dict.fromkeys(
            one for folder in folders for one in (folder, folder.parent, folder.parent.parent)
        ):
            sync_folder(above)
    except OSError as error:
        raise ResourceError(f"an instance cannot be written: {error.strerror}") from error


def _begin_write_back(path: Path) -> None:
    # For dirty pages "not needed" means: begin to write them. No page of them is dropped yet.
    if hasattr(os, "posix_fadvise"):
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fdatasync(descriptor)
    finally:
        os.close(descriptor)
