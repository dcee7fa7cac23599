"""A parcel: instances end to end as they travel, and what tells one parcel from another."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import zstandard

from ...codecs.syntaxes import HTJ2K_LOSSLESS_RPCL
from ..archive.entry import Entry
from ..runtime.wire_packing import Packed
from ..transfer.body import Body, FileSlice, FileStamp
from ..transfer.manifest import Item, Manifest
from .frame_forms import library_for
from .status import Reason, RefusedError

__all__ = ["KeptParcel", "Parcel", "assemble"]


@dataclass(frozen=True, slots=True)
class Parcel:
    """What travels, and what it holds."""

    manifest: Manifest
    body: Body


@dataclass(slots=True)
class KeptParcel:
    """A parcel, which files it is made of, and until when those need not be looked at again."""

    parcel: Parcel
    files: dict[str, FileStamp | None]
    until_s: float = 0.0

    @classmethod
    def of(cls, parcel: Parcel) -> Self:
        slices = (part for part in parcel.body.parts if isinstance(part, FileSlice))
        return cls(parcel, {one.path: one.stamp for one in slices})

    @property
    def weight_bytes(self) -> int:
        """About what it takes in memory."""
        parts = self.parcel.body.parts
        held = sum(len(part) for part in parts if isinstance(part, bytes))
        return 4096 + held + 850 * len(self.parcel.manifest.items) + 250 * len(parts)


def assemble(entries: Sequence[Entry], packed: Sequence[Packed]) -> Parcel:
    """Put the instances end to end.

    Raises
    ------
    RefusedError
        A file has changed since it was packed.
    """
    tag = hashlib.sha256(f"parcel 1\nzstandard {zstandard.__version__}".encode())
    items: list[Item] = []
    offset = 0
    for entry, one in zip(entries, packed, strict=True):
        if one.size_bytes != entry.stamp.size_bytes:
            raise RefusedError("the file changed while it was read", reason=Reason.CHANGED)
        items.append(
            Item(*entry.uids, one.size_bytes, one.sha256, one.form, offset, one.length_bytes)
        )
        offset += one.length_bytes
        tag.update(f"\n{entry.uids} {one.sha256} {one.form} {one.length_bytes} ".encode())
        if one.form == "htj2k":
            tag.update((library_for(entry, HTJ2K_LOSSLESS_RPCL) or "").encode())
            # The opening holds the length of every codestream.
            tag.update(hashlib.sha256(_opening(one)).digest())
    etag = f'"{tag.hexdigest()[:40]}"'
    segments = [segment for one in packed for segment in one.segments]
    return Parcel(Manifest(etag, tuple(items)), Body.of(segments, etag=etag))


def _opening(packed: Packed) -> bytes:
    first = packed.segments[0]
    assert isinstance(first, bytes)
    return first
