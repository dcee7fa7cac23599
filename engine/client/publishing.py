"""What was pulled, under its own name: only whole, verified and durable files ever have one.

``FOLDER/<study>/<series>/<instance>.dcm``. Names are made of UIDs that were looked at, of
nothing else that came over a wire.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from ...codecs.errors import FormatError, ResourceError
from ..archive.entry import is_uid
from ..archive.part_file import sync_files, sync_folder
from ..transfer.manifest import Item

__all__ = ["has_bytes", "publish", "require_room", "require_uids", "target_of"]

_MARGIN_BYTES = 64 << 20


def target_of(folder: Path, study: str, series: str, instance: str) -> Path:
    """Where an instance goes.

    Raises
    ------
    FormatError
        One of them is no UID.
    """
    require_uids(study, series, instance)
    return folder / study / series / f"{instance}.dcm"


def require_uids(*told: str) -> None:
    """Refuse names that are no UIDs: they may be anything, a path too.

    Raises
    ------
    FormatError
        One of them is none.
    """
    if not all(map(is_uid, told)):
        raise FormatError("the server names an instance by what is no UID")


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
        sync_files(path for path, _ in pairs)
        for path, target in pairs:
            os.replace(path, target)
        for above in dict.fromkeys(
            one for folder in folders for one in (folder, folder.parent, folder.parent.parent)
        ):
            sync_folder(above)
    except OSError as error:
        raise ResourceError(f"an instance cannot be written: {error.strerror}") from error
