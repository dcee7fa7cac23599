"""What a push comes to: how far it is, and what became of the instances."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ..archive.entry import Entry

__all__ = ["PushProgress", "PushReport"]


@dataclass(slots=True)
class PushProgress:
    """`done_bytes` of `total_bytes` of originals have arrived; `sent_bytes` went over the wire."""

    total_bytes: int
    done_bytes: int = 0
    sent_bytes: int = 0


@dataclass(slots=True)
class PushReport:
    """What became of a push.

    `same` were there before (by SHA-256; at an archive that is no Mersey by their UIDs), `kept` are
    there with other bytes. `failed` has why, by SOP Instance
    UID or, of files that cannot be read, by path. `arrived` are the UIDs that the archive has.
    `commitment` is how many of them it committed itself to; None where it was not asked, or
    offers none.
    """

    instances: int = 0
    new: int = 0
    same: int = 0
    kept: int = 0
    other: int = 0
    duplicates: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    arrived: set[str] = field(default_factory=set)
    size_bytes: int = 0
    sent_bytes: int = 0
    carried_bytes: int = 0
    travelled_bytes: int = 0
    seconds: float = 0.0
    wire: str = ""
    peer: str = ""
    tries_again: int = 0
    commitment: int | None = None

    @property
    def saved_bytes(self) -> int:
        """How much less travelled than the originals of it have."""
        return max(0, self.carried_bytes - self.travelled_bytes)

    def settle_same(self, entries: Sequence[Entry]) -> None:
        """These were there before."""
        self.same += len(entries)
        self.arrived.update(entry.uids[2] for entry in entries)
