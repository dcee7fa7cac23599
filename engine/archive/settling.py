"""What becomes of instances that are to be stored where some of their UIDs are taken.

`settle` decides, one after the other, without a database; `held_under` and `write_settlement`
are its hands. The law:

- The same bytes again change nothing (``same``).
- Other bytes under a UID that is taken: the policy decides (PS3.18 leaves it to the server).
- A file in place holds its UID like a blob does. With the same bytes the blob takes its place:
  what was acknowledged must not depend on a folder of somebody else's. What bytes a file has is
  known by its digest alone; one that is not known counts as other bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, bindparam, delete, select, update

from ..transfer.body import FileStamp
from .database import in_groups
from .placing import place, renew
from .rows import Rows
from .stored import OnConflict, Settled
from .tables import files, instances
from .tallies import tally

__all__ = [
    "Held",
    "Lock",
    "Settlement",
    "held_under",
    "remove_instances",
    "settle",
    "write_settlement",
]

type Lock = Callable[[Connection, set[str]], None]

_REJECTED = "other bytes are stored under this SOP Instance UID"
_KEPT = "other bytes are stored under this SOP Instance UID, and were kept"

_HELD = select(
    instances.c.sop_instance_uid,
    instances.c.study_instance_uid,
    instances.c.series_instance_uid,
    instances.c.path,
    instances.c.size_bytes,
    instances.c.mtime_ns,
    instances.c.inode,
    instances.c.blob_key,
    instances.c.sha256,
).where(instances.c.sop_instance_uid.in_(bindparam("uids", expanding=True)))


@dataclass(frozen=True, slots=True)
class Held:
    """What an instance's row says of its bytes; `path` is "" where they are a blob."""

    series: tuple[str, str]
    path: str
    stamp: FileStamp
    blob_key: str
    sha256: str


@dataclass(slots=True)
class Settlement:
    """What is to be written, and what each instance came to."""

    outcomes: list[Settled] = field(default_factory=list)
    placed: dict[str, Rows] = field(default_factory=dict)
    """By SOP Instance UID, what is to be there afterwards."""
    displaced: dict[str, Held] = field(default_factory=dict)
    """By SOP Instance UID, the rows that are to go."""
    replacing: set[str] = field(default_factory=set)
    """SOP Instance UIDs whose instance is another one than before."""
    unneeded: list[str] = field(default_factory=list)
    """For each outcome, the blob that is not needed by it, or ""."""


def settle(
    stored: Sequence[Rows], held: Mapping[str, Held], *, on_conflict: OnConflict
) -> Settlement:
    """Decide on `stored`, in order, with `held` there before."""
    found = Settlement()
    now = dict(held)
    for rows in stored:
        uid = rows.uids[2]
        outcome, unneeded = _decide(rows, now.get(uid), on_conflict)
        found.outcomes.append(outcome)
        found.unneeded.append(unneeded)
        there = now.get(uid)
        takes_over = outcome.outcome == "same" and there is not None and there.path != ""
        if outcome.outcome not in ("new", "replaced") and not takes_over:
            continue
        if uid in held:
            found.displaced[uid] = held[uid]
        if outcome.outcome == "replaced":
            found.replacing.add(uid)
        found.placed[uid] = rows
        now[uid] = Held(rows.uids[:2], "", rows.entry.stamp, rows.entry.blob_key, rows.entry.sha256)
    return found


def _decide(rows: Rows, there: Held | None, on_conflict: OnConflict) -> tuple[Settled, str]:
    key = rows.entry.blob_key
    if there is None:
        return Settled("new"), ""
    if there.sha256 == rows.entry.sha256:
        # The same bytes may be kept compressed under one key and plain under another.
        return Settled("same"), "" if there.path or there.blob_key == key else key
    if on_conflict == "replace":
        return Settled("replaced"), there.blob_key
    if on_conflict == "keep":
        return Settled("kept", message=_KEPT), key
    return Settled("rejected", message=_REJECTED), key


def held_under(connection: Connection, uids: Sequence[str]) -> dict[str, Held]:
    """What is held under those SOP Instance UIDs."""
    found = {}
    for group in in_groups(uids):
        for row in connection.execute(_HELD, {"uids": list(group)}):
            stamp = FileStamp(row.size_bytes, row.mtime_ns, row.inode)
            where = (row.study_instance_uid, row.series_instance_uid)
            found[row.sop_instance_uid] = Held(where, row.path, stamp, row.blob_key, row.sha256)
    return found


def write_settlement(connection: Connection, found: Settlement) -> list[Settled]:
    """Write what was settled; the outcomes, each with the blob that nothing refers to now."""
    displaced = sorted(found.displaced)
    for group in in_groups(displaced):
        connection.execute(delete(instances).where(instances.c.sop_instance_uid.in_(group)))
    in_place = [uid for uid in displaced if found.displaced[uid].path]
    for group in in_groups(in_place):
        # The scan knows the file still, as one whose instance is held elsewhere.
        connection.execute(
            update(files)
            .where(files.c.sop_instance_uid.in_(group), files.c.outcome == "instance")
            .values(outcome="duplicate")
        )
    place(connection, list(found.placed.values()))
    renew(connection, [found.placed[uid] for uid in sorted(found.replacing)])
    touched = {rows.uids[:2] for rows in found.placed.values()}
    touched |= {held.series for held in found.displaced.values()}
    tally(connection, touched)
    needed = _needed(connection, sorted({key for key in found.unneeded if key}))
    return [
        Settled(settled.outcome, "" if key in needed else key, settled.message)
        for settled, key in zip(found.outcomes, found.unneeded, strict=True)
    ]


def remove_instances(connection: Connection, uids: Sequence[str], *, lock: Lock) -> list[str]:
    """Take instances out; the keys of the blobs that nothing refers to then."""
    lock(connection, {held.series[0] for held in held_under(connection, uids).values()})
    held = held_under(connection, uids)
    for group in in_groups(list(held)):
        connection.execute(delete(instances).where(instances.c.sop_instance_uid.in_(group)))
        # What a scan noted under these UIDs is to be looked at anew.
        connection.execute(delete(files).where(files.c.sop_instance_uid.in_(group)))
    tally(connection, {one.series for one in held.values()})
    keys = sorted({one.blob_key for one in held.values() if one.blob_key})
    needed = _needed(connection, keys)
    return [key for key in keys if key not in needed]


def _needed(connection: Connection, keys: Sequence[str]) -> set[str]:
    column = instances.c.blob_key
    return {
        key
        for group in in_groups(keys)
        for key in connection.scalars(select(column).where(column.in_(group)))
    }
