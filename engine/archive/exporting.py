"""Originals out of the archive into a folder, byte for byte, with a manifest of their digests.

``STUDY/SERIES/INSTANCE.dcm`` and ``SHA256SUMS``, which `sha256sum -c` reads. Each file is
compared with its digest while it is written and appears whole or not at all; what is there
already with the right bytes is not written again, so an export that was cut short goes on.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sqlalchemy import select

from ...codecs.errors import IntegrityError, ResourceError
from .blobs import BlobStore
from .catalogue import Catalogue
from .describing import pieces_of
from .entry import Entry, stamp_of
from .part_file import scratch_path, sync_folder
from .tables import studies

__all__ = ["MANIFEST_NAME", "Exported", "export_instance", "studies_of_patient", "write_manifest"]

MANIFEST_NAME = "SHA256SUMS"
_PIECE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Exported:
    """A file of an export; `name` is relative to its folder, `sha256` hexadecimal."""

    name: str
    sha256: str
    size_bytes: int
    action: Literal["written", "there"]


def export_instance(entry: Entry, blobs: BlobStore, folder: Path) -> Exported:
    """Write the original of `entry` below `folder`.

    Raises
    ------
    IntegrityError
        Its bytes are gone, or not those that were stored. No file appears.
    ResourceError
        The folder cannot be written.
    """
    name = "/".join(map(_component, entry.uids)) + ".dcm"
    target = folder / name
    expected = entry.sha256
    if expected and _digest_of(target) == expected:
        return Exported(name, expected, entry.stamp.size_bytes, "there")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        return _write(entry, blobs, target, name)
    except OSError as error:
        raise ResourceError(f"{target} cannot be written: {error.strerror}") from error


def _write(entry: Entry, blobs: BlobStore, target: Path, name: str) -> Exported:
    part = scratch_path(target, "part")
    digest = hashlib.sha256()
    size_bytes = 0
    try:
        with open(part, "wb", buffering=0) as file:
            for piece in _pieces(entry, blobs):
                digest.update(piece)
                size_bytes += len(piece)
                view = memoryview(piece)
                while view:
                    view = view[file.write(view) or 0 :]
            os.fsync(file.fileno())
        found = digest.hexdigest()
        if entry.sha256 and found != entry.sha256:
            raise IntegrityError("its bytes are not those that were stored")
        os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)
    sync_folder(target.parent)
    return Exported(name, found, size_bytes, "written")


def _pieces(entry: Entry, blobs: BlobStore) -> Iterator[bytes]:
    if entry.blob_key:
        yield from pieces_of(blobs, entry.blob_key)
        return
    try:
        file = open(entry.path, "rb", buffering=0)  # noqa: SIM115  closed below
    except OSError as error:
        raise IntegrityError(f"its file cannot be read: {error.strerror}") from error
    with file:
        while piece := file.read(_PIECE_BYTES):
            yield piece
        if stamp_of(os.fstat(file.fileno())) != entry.stamp:
            raise IntegrityError("its file has changed since it was indexed")


def _component(uid: str) -> str:
    """A UID as the name of a file: digits and dots, but never dots alone."""
    return uid if uid.strip(".") else f"uid{len(uid)}"


def _digest_of(path: Path) -> str:
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


def write_manifest(folder: Path, exported: list[Exported]) -> Path:
    """Write the digests of what was exported beside what an earlier export listed."""
    path = folder / MANIFEST_NAME
    lines = {}
    if path.exists():
        for line in path.read_text().splitlines():
            digest, _, name = line.partition("  ")
            if (folder / name).is_file():
                lines[name] = digest
    lines.update({one.name: one.sha256 for one in exported})
    folder.mkdir(parents=True, exist_ok=True)
    part = scratch_path(path, "part")
    with open(part, "w") as file:
        file.writelines(f"{digest}  {name}\n" for name, digest in sorted(lines.items()))
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, path)
    sync_folder(folder)
    return path


def studies_of_patient(catalogue: Catalogue, patient_id: str) -> list[str]:
    """The Study Instance UIDs of the patient of exactly that ID."""
    statement = select(studies.c.study_instance_uid).where(studies.c.patient_id == patient_id)
    with catalogue.database.reading() as connection:
        return sorted(connection.scalars(statement))
