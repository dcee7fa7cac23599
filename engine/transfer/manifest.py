"""The manifest of a parcel: which instances it carries, in which form, at which bytes.

A *parcel* is what travels between two engines: instances end to end, each in a form of its
own, as one Body with a strong entity tag. A study is a row of parcels, each a pure function of
the instances in it: small instances share one, a large one has one to itself. Who receives
trusts nothing here before `Manifest.from_json` has checked it, and the bytes of an instance
only when they have its SHA-256.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self, cast, get_args

from ...codecs.errors import FormatError

__all__ = [
    "MAX_ITEMS",
    "MAX_MANIFEST_BYTES",
    "PARCEL_BYTES",
    "Item",
    "Manifest",
    "WireForm",
    "cut_into_parcels",
]

type WireForm = Literal["stored", "zstd", "htj2k"]
"""How an instance travels: as it is, as one zstd frame, or as a `wire_form` container."""

PARCEL_BYTES = 64 << 20
"""How much of small instances shares a parcel: a second or so of a fast link."""

MAX_ITEMS = 4096
MAX_MANIFEST_BYTES = 4 << 20
_MAX_BYTES = 1 << 48
_VERSION = 1
_FORMS = frozenset(get_args(WireForm.__value__))
_UID = re.compile(r"(?=.{1,64}\Z)[0-9]+(?:\.[0-9]+)*")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Item:
    """One instance in a parcel.

    `size_bytes` and `sha256` are of its original bytes; `offset_bytes` and `length_bytes` say
    where in the parcel it lies, in the form `form`.
    """

    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    size_bytes: int
    sha256: str
    form: WireForm
    offset_bytes: int
    length_bytes: int

    @property
    def end_bytes(self) -> int:
        return self.offset_bytes + self.length_bytes


@dataclass(frozen=True, slots=True)
class Manifest:
    """What one parcel holds; `etag` (quoted) is of the parcel's Body."""

    etag: str
    items: tuple[Item, ...]

    @property
    def length_bytes(self) -> int:
        """The length of the parcel."""
        return self.items[-1].end_bytes if self.items else 0

    @property
    def size_bytes(self) -> int:
        """The length of what it carries, as originals."""
        return sum(item.size_bytes for item in self.items)

    def to_json(self) -> bytes:
        """The manifest as it travels (application/json)."""
        items = [
            [
                item.study_instance_uid,
                item.series_instance_uid,
                item.sop_instance_uid,
                item.size_bytes,
                item.sha256,
                item.form,
                item.length_bytes,
            ]
            for item in self.items
        ]
        whole = {"version": _VERSION, "etag": self.etag, "items": items}
        return json.dumps(whole, separators=(",", ":")).encode()

    @classmethod
    def from_json(cls, data: bytes) -> Self:
        """Read a manifest that came over a wire.

        Raises
        ------
        FormatError
            It is too long, not of this version, or says what cannot be.
        """
        if len(data) > MAX_MANIFEST_BYTES:
            raise FormatError(f"a manifest of {len(data)} bytes, at most {MAX_MANIFEST_BYTES}")
        try:
            whole = json.loads(data)
            version, etag, rows = whole["version"], whole["etag"], whole["items"]
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise FormatError(f"a manifest cannot be read: {type(error).__name__}") from error
        if version != _VERSION:
            raise FormatError(f"a manifest of version {version!r:.20}, expected {_VERSION}")
        if not isinstance(etag, str) or not re.fullmatch(r'"[!#-~]{1,100}"', etag):
            raise FormatError("a manifest without a strong entity tag")
        if not isinstance(rows, list) or not 1 <= len(rows) <= MAX_ITEMS:
            raise FormatError(f"a manifest has 1 to {MAX_ITEMS} items")
        return cls(etag, tuple(_items(rows)))


def cut_into_parcels(sizes: Sequence[int]) -> list[range]:
    """Which instances, of these sizes and in this order, share a parcel.

    A pure function: the same instances give the same parcels for everyone who asks.
    """
    cuts: list[range] = []
    start, held = 0, 0
    for index, size in enumerate(sizes):
        full = held + size > PARCEL_BYTES or index - start >= MAX_ITEMS
        if index > start and full:
            cuts.append(range(start, index))
            start, held = index, 0
        held += size
    if start < len(sizes):
        cuts.append(range(start, len(sizes)))
    return cuts


def _items(rows: Iterable[Any]) -> Iterable[Item]:
    offset = 0
    seen: set[str] = set()
    for number, row in enumerate(rows):
        if not isinstance(row, list) or len(row) != 7:
            raise FormatError(f"item {number} of a manifest has not seven fields")
        study, series, instance, size, sha256, form, length = row
        uids = (study, series, instance)
        if not all(isinstance(uid, str) and _UID.fullmatch(uid) for uid in uids):
            raise FormatError(f"item {number} of a manifest has a UID that is none")
        if not _is_count(size) or not _is_count(length):
            raise FormatError(f"item {number} of a manifest has a length that cannot be")
        if not isinstance(sha256, str) or not _SHA256.fullmatch(sha256):
            raise FormatError(f"item {number} of a manifest has a SHA-256 that is none")
        if not isinstance(form, str) or form not in _FORMS or (form == "stored" and size != length):
            raise FormatError(f"item {number} of a manifest has a form that cannot be")
        if instance in seen:
            raise FormatError(f"item {number} of a manifest was there before")
        seen.add(instance)
        yield Item(study, series, instance, size, sha256, cast("WireForm", form), offset, length)
        offset += length
    if offset > _MAX_BYTES:
        raise FormatError("a parcel longer than any disk")


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= _MAX_BYTES
