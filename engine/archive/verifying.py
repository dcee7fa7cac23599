"""Verification of the archive: that every blob is what it was, and the catalogue what it says.

`check_blobs` finds, `mend` repairs: a damaged blob is put into quarantine, and its instance
stays listed and is answered with an error; a record that is not what the blob gives is made
anew. Bytes are never altered.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from itertools import islice
from typing import Literal

from sqlalchemy import Connection, select, update

from ...codecs.errors import MerseyError
from ..transfer.body import FileStamp
from .blobs import BlobStore
from .catalogue import Catalogue
from .describing import Described
from .entry import Entry
from .metadata import unpack_metadata
from .record import pack_instance, unpack_instance
from .rows import rows_of
from .stored import StoredInstance
from .tables import instances

__all__ = ["Checked", "Finding", "Found", "check_blobs", "mend", "missing_blobs", "submit_in_order"]

_NOT_COMPARED = frozenset({"received", "record", "metadata_json", "path", "mtime_ns", "inode"})

type Found = Literal["damaged", "missing", "unreadable", "other record", "unknown", "rendition"]
"""``damaged``: other bytes than those of the key. ``missing``: an instance's blob is gone.
``unreadable``: the bytes of the key, but no instance. ``other record``: the catalogue says
something else than the blob. ``unknown``: no instance refers to the blob. ``rendition``: one
is damaged, or has other samples than its source."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong; `name` is a blob's or a rendition's key, `uid` the instance's."""

    found: Found
    name: str
    message: str
    uid: str = ""
    repair: str = ""


@dataclass(frozen=True, slots=True)
class Checked:
    """A blob that was looked at, and what is wrong with it; `made` is what it gives anew."""

    key: str
    size_bytes: int
    findings: tuple[Finding, ...] = ()
    made: StoredInstance | None = None


def submit_in_order[A, T](
    calls: Iterable[A], submit: Callable[[A], Future[T]], *, ahead: int
) -> Iterator[tuple[A, Future[T]]]:
    """Each of `calls` and its future, which may not be done, with `ahead` under way."""
    rest = iter(calls)
    window = deque((call, submit(call)) for call in islice(rest, ahead))
    try:
        while window:
            done = window.popleft()
            yield done
            for call in islice(rest, 1):
                window.append((call, submit(call)))
    finally:
        for _, future in window:
            future.cancel()


def check_blobs(
    blobs: BlobStore,
    catalogue: Catalogue,
    keys: Iterable[str],
    *,
    describe: Callable[[str], Future[Described]],
    ahead: int,
) -> Iterator[Checked]:
    """Look at the blobs of `keys`, in order; `describe` has `describe_blob` run for one."""
    for key, future in submit_in_order(keys, describe, ahead=ahead):
        try:
            described = future.result()
        except MerseyError as error:
            finding = Finding("unreadable", key, error.message)
            yield Checked(key, blobs.size(key) or 0, (finding,))
            continue
        yield _compared(described, catalogue, blobs)


def missing_blobs(blobs: BlobStore, catalogue: Catalogue) -> Iterator[Finding]:
    """The blobs that instances refer to and that are gone."""
    for key in catalogue.blob_keys():
        if blobs.size(key) is None:
            for uid in _uids_of(catalogue, key):
                yield Finding("missing", key, "its blob is gone", uid)


def mend(checked: Checked, blobs: BlobStore, catalogue: Catalogue) -> list[str]:
    """Repair what was found of a blob, as far as that can be; what was done for each finding."""
    done = []
    for finding in checked.findings:
        if finding.found == "damaged":
            if blobs.size(checked.key) is not None:
                blobs.quarantine(checked.key)
            done.append("put into quarantine")
        elif finding.found == "other record" and checked.made is not None:
            _renew(catalogue, checked.made)
            done.append("made anew")
        else:
            done.append("")
    return done


def _compared(described: Described, catalogue: Catalogue, blobs: BlobStore) -> Checked:
    key, size_bytes = described.key, described.size_bytes
    uids = _uids_of(catalogue, key)
    if described.is_damaged:
        if blobs.size(key) is None:
            return Checked(key, 0)  # removed meanwhile; if it was needed, `missing_blobs` tells
        found = [Finding("damaged", key, described.message, uid) for uid in uids or [""]]
        return Checked(key, size_bytes, tuple(found))
    if not uids:
        finding = Finding("unknown", key, "no instance refers to this blob")
        return Checked(key, size_bytes, (finding,))
    if described.stored is None:
        found = [Finding("unreadable", key, described.message, uid) for uid in uids]
        return Checked(key, size_bytes, tuple(found))
    findings = tuple(
        Finding("other record", key, f"the catalogue has other {what} than the blob", uid)
        for uid in uids
        if (what := _difference(described.stored, uid, catalogue))
    )
    return Checked(key, size_bytes, findings, described.stored)


def _difference(made: StoredInstance, uid: str, catalogue: Catalogue) -> str:
    """What the catalogue has otherwise, in one word or two; "" where all is equal."""
    columns = instances.c
    rows = rows_of(_entry(made), received=0)
    compared = [name for name in rows.instance if name not in _NOT_COMPARED]
    names = [*compared, "record", "metadata_json"]
    with catalogue.database.reading() as connection:
        row = connection.execute(
            select(*(columns[name] for name in names)).where(columns.sop_instance_uid == uid)
        ).one_or_none()
    if row is None:
        return ""
    kept = row._mapping
    for name in compared:
        if kept[name] != rows.instance[name]:
            return name.replace("_", " ")
    try:
        if pack_instance(unpack_instance(kept["record"])) != pack_instance(made.instance):
            return "record"
        if kept["metadata_json"] is None:
            return ""
        if unpack_metadata(kept["metadata_json"]) != unpack_metadata(made.metadata):
            return "metadata"
    except Exception:  # noqa: BLE001  whatever a damaged record does to what unpacks it
        return "damaged record"
    return ""


def _entry(made: StoredInstance) -> Entry:
    return Entry(
        made.instance,
        "",
        FileStamp(made.size_bytes, 0, 0),
        blob_key=made.blob_key,
        sha256=made.sha256,
        served_sha256=made.served_sha256,
        served_crc32=made.served_crc32,
    )


def _uids_of(catalogue: Catalogue, key: str) -> Sequence[str]:
    statement = select(instances.c.sop_instance_uid).where(instances.c.blob_key == key)
    with catalogue.database.reading() as connection:
        return list(connection.scalars(statement))


def _renew(catalogue: Catalogue, made: StoredInstance) -> None:
    """Write the row of an instance anew, where it still refers to that blob.

    Where what its study or series is called has changed too, only a rebuild puts it right.
    """
    row = rows_of(_entry(made), received=0, metadata=made.metadata).instance
    fixed = {"received", "sop_instance_uid", "study_instance_uid", "series_instance_uid"}
    values = {name: value for name, value in row.items() if name not in fixed}

    def work(connection: Connection) -> None:
        catalogue.database.lock(connection, {made.instance.study_instance_uid})
        connection.execute(
            update(instances)
            .where(
                instances.c.sop_instance_uid == made.instance.sop_instance_uid,
                instances.c.blob_key == made.blob_key,
            )
            .values(**values)
        )

    catalogue.database.write(work, durable=True)
