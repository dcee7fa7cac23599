"""The parcels that are arriving: a folder for each, named by the SHA-256 of its manifest.

The same manifest is the same parcel, whoever sends it and how often: so a push that was broken
off finds again what it sent. What nobody has touched for a while is removed.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from ...codecs.errors import FormatError, MerseyError, ResourceError
from ..transfer.manifest import MAX_MANIFEST_BYTES, Manifest
from .part_file import sync_folder
from .shared_inbound import SharedInbound

__all__ = ["InboundStore"]

_ID = re.compile(r"[0-9a-f]{64}")
_MANIFEST = "manifest.json"
_MOST_PARCELS = 4096


class InboundStore:
    """The folder `root`, which is made when the first parcel comes. Safe in threads."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def create(self, manifest: Manifest) -> tuple[str, SharedInbound]:
        """Begin to receive a parcel, or go on with it; its id, and what is there of it.

        Raises
        ------
        ResourceError
            The disk is full or fails, or there are too many parcels.
        """
        data = manifest.to_json()
        parcel_id = hashlib.sha256(data).hexdigest()
        folder = self.root / parcel_id
        path = folder / _MANIFEST
        if not path.exists():
            if sum(1 for _ in self.ids()) >= _MOST_PARCELS:
                raise ResourceError(f"more than {_MOST_PARCELS} parcels are arriving")
            part = folder / f"{_MANIFEST}.{os.getpid()}.part"
            try:
                folder.mkdir(parents=True, exist_ok=True)
                with part.open("wb") as file:
                    file.write(data)
                    file.flush()
                    os.fdatasync(file.fileno())
                part.replace(path)
                sync_folder(folder)
                sync_folder(self.root)
            except OSError as error:
                shutil.rmtree(folder, ignore_errors=True)
                raise ResourceError(f"a parcel cannot be received: {error.strerror}") from error
        return parcel_id, SharedInbound.open(folder, manifest)

    def find(self, parcel_id: str) -> SharedInbound | None:
        """The parcel of that id, to go on with; None where there is none.

        Raises
        ------
        ResourceError
            The disk fails.
        """
        if not _ID.fullmatch(parcel_id):
            return None
        folder = self.root / parcel_id
        try:
            with (folder / _MANIFEST).open("rb") as file:
                data = file.read(MAX_MANIFEST_BYTES + 1)
            manifest = Manifest.from_json(data)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except FormatError:
            shutil.rmtree(folder, ignore_errors=True)  # a disk that forgot: it comes again
            return None
        except OSError as error:
            raise ResourceError(f"a parcel cannot be read: {error.strerror}") from error
        return SharedInbound.open(folder, manifest)

    def ids(self) -> Iterator[str]:
        """Every parcel that is there, in no order."""
        try:
            names = os.listdir(self.root)
        except FileNotFoundError:
            return
        yield from (name for name in names if _ID.fullmatch(name))

    def collect(self, *, older_than_s: float) -> int:
        """Remove parcels that nothing came of for so long; how many."""
        removed = 0
        for parcel_id in self.ids():
            folder = self.root / parcel_id
            with suppress(OSError, MerseyError):
                if time.time() - _touched_s(folder) < older_than_s:
                    continue
                inbound = self.find(parcel_id)
                if inbound is None:
                    shutil.rmtree(folder, ignore_errors=True)
                else:
                    inbound.discard()
                    inbound.close()
                removed += 1
        return removed


def _touched_s(folder: Path) -> float:
    """When the parcel last changed, in seconds of `time.time`."""
    times = [folder.stat().st_mtime]
    with suppress(FileNotFoundError):
        times.append((folder / "journal").stat().st_mtime)
    return max(times)
