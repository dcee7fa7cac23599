"""How several instances make one answer: one alone, multipart/related, or a ZIP archive.

The same frames go around the parts whether they are all there or come one by one, so that an
answer that was streamed has the bytes of the Body that follows it. Never reads a file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from ..archive.entry import Entry, is_uid
from ..transfer.accept import MediaRange
from ..transfer.multipart import boundary_of
from ..transfer.zip_body import ZipLayout
from .negotiation import Choice
from .object_source import form_of

__all__ = ["Container", "PartWriter", "container_of", "etag_of", "zip_names"]

_DICOM = "application/dicom"


class Container(Enum):
    """What an answer holds instances in."""

    SINGLE = "one instance alone"
    MULTIPART = "multipart/related"
    ZIP = "a ZIP archive"


def container_of(media: MediaRange, *, may_be_single: bool) -> Container | None:
    """The container that `media` asks for; None where instances do not go into it."""
    name = media.media_type
    if name == "application/zip":
        return Container.ZIP
    if name in ("multipart/related", "multipart/*"):
        return Container.MULTIPART
    if name in ("application/*", "*/*"):
        return Container.SINGLE if may_be_single else Container.MULTIPART
    return Container.SINGLE if name == _DICOM and may_be_single else None


@dataclass(frozen=True, slots=True)
class PartWriter:
    """Writes what goes before, between and behind the parts of an answer with `etag`.

    For one answer: an archive remembers what its directory has to list.
    """

    container: Container
    etag: str
    zipped: ZipLayout

    @classmethod
    def of(cls, container: Container, etag: str) -> PartWriter:
        """A writer that has written nothing yet."""
        return cls(container, etag, ZipLayout())

    @property
    def content_type(self) -> str:
        """Of the whole, where it is not one instance alone."""
        if self.container is Container.ZIP:
            return "application/zip"
        return f'multipart/related; type="{_DICOM}"; boundary={boundary_of(self.etag)}'

    def head(
        self, choice: Choice, *, name: str, length_bytes: int, crc32: int, is_first: bool
    ) -> bytes:
        """What goes in front of the bytes of one instance."""
        if self.container is Container.SINGLE:
            return b""
        if self.container is Container.ZIP:
            return self.zipped.header(name, length_bytes=length_bytes, crc32=crc32)
        opening = "" if is_first else "\r\n"
        return (
            f"{opening}--{boundary_of(self.etag)}\r\n"
            f"Content-Type: {choice.content_type}\r\n"
            f"Content-Length: {length_bytes}\r\n\r\n"
        ).encode("latin-1")

    def tail(self) -> bytes:
        """What goes behind the last instance."""
        if self.container is Container.SINGLE:
            return b""
        if self.container is Container.ZIP:
            return self.zipped.directory()
        return f"\r\n--{boundary_of(self.etag)}--\r\n".encode("latin-1")


def etag_of(objects: Sequence[tuple[Entry, Choice]], container: Container) -> str:
    """The strong entity tag: a digest of all that the bytes of the whole answer depend on."""
    digest = hashlib.sha256(f"instances 3\n{container.name}\n".encode())
    for entry, choice in objects:
        digest.update(f"{entry.fingerprint} {form_of(entry, choice)}\n".encode())
    return f'"{digest.hexdigest()[:40]}"'


def zip_names(entries: Sequence[Entry]) -> Iterator[str]:
    """Where each instance is in an archive: ``study/series/number_instance.dcm``.

    The number is its place in the series, from 1. What is no UID never gets into a path.
    """
    counts: dict[str, int] = {}
    for entry in entries:
        study, series, instance = map(_safe, entry.uids)
        counts[series] = counts.get(series, 0) + 1
        yield f"{study}/{series}/{counts[series]:05d}_{instance}.dcm"


def _safe(uid: str) -> str:
    return uid if is_uid(uid) else hashlib.sha256(uid.encode()).hexdigest()[:32]
