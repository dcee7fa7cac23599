"""The catalogue: which instances there are, what they say of themselves, where they lie.

SQLAlchemy Core on SQLite in WAL mode or on PostgreSQL. Safe in threads, and for several
processes on one database. Blocks while it reads and writes: a server calls it in a thread. It
holds no bytes of the instances; what it says can be had again from the files and blobs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from sqlalchemy import Connection, update

from ..transfer.body import FileStamp
from .catalogue_reader import CatalogueReader
from .database import Database, open_postgres, open_sqlite
from .hashing import digest_of_file
from .in_place import add_files, forget_files, rows_of_files
from .indexed_file import IndexedFile, Outcome
from .rows import Rows, rows_of
from .settling import Held, held_under, remove_instances, settle, write_settlement
from .stored import OnConflict, Settled, StoredInstance, entry_of
from .tables import instances, versions
from .versions import create_tables, prepare_file

__all__ = ["Catalogue"]


class Catalogue(CatalogueReader):
    """An open catalogue, to be read and written; close it when done.

    `scope` names whose files in place these are, where several servers share a catalogue: each
    forgets only its own.
    """

    def __init__(
        self, database: Database, *, scope: str = "", anew: bool = False, with_blobs: bool = False
    ) -> None:
        super().__init__(database, scope=scope)
        try:
            database.write(
                lambda connection: create_tables(
                    connection, database, anew=anew, with_blobs=with_blobs
                )
            )
        except BaseException:
            database.close()
            raise

    @classmethod
    def open(cls, path: Path, *, anew: bool = False, with_blobs: bool = False) -> Self:
        """Open the SQLite catalogue at `path`, or make it.

        One of another version of the schema is moved aside, as is any with `anew`. Then
        `needs_rebuild` is set: blobs that it knew are not known here. `with_blobs` sets it too
        where a catalogue is made: there are blobs already.
        """
        moved = prepare_file(path, anew=anew)
        return cls(open_sqlite(path), with_blobs=moved or with_blobs)

    @classmethod
    def at(cls, url: str, *, scope: str = "", anew: bool = False, with_blobs: bool = False) -> Self:
        """Open the catalogue in the PostgreSQL database at `url`, or make it there.

        `anew` empties one that is there, and sets `needs_rebuild`, as `with_blobs` does where
        one is made.

        Raises
        ------
        UsageError
            The URL is none, or the catalogue is of another version.
        UnsupportedError
            psycopg is not installed.
        ResourceError
            The database cannot be reached.
        """
        return cls(open_postgres(url), scope=scope, anew=anew, with_blobs=with_blobs)

    def close(self) -> None:
        """Give all connections back."""
        self.database.close()

    def rebuilt(self) -> None:
        """Note that every blob is known now."""
        statement = update(versions).values(to_be_rebuilt=False)
        self.database.write(lambda connection: connection.execute(statement), durable=True)

    def store(
        self,
        stored: Sequence[StoredInstance],
        *,
        on_conflict: OnConflict,
        received: Sequence[int] | None = None,
    ) -> list[Settled]:
        """Put in instances whose blobs are durable, in one durable transaction.

        They have come now, or at the times `received`, in ns since 1970.

        Returns what became of each, in order. The laws are `settling`'s: the same bytes again
        are ``same``; where a UID is taken by other bytes, by blob or by a file in place, the
        policy decides; of one UID several times in one call, likewise. A blob that
        `Settled.unneeded_key` names may be needed again by a process that is storing the same
        bytes just now: whoever removes it lets some time pass and asks `blob_keys` again.

        Raises
        ------
        ResourceError
            The catalogue cannot be written. Nothing was, unless the connection broke at the very
            end; to store the same again does no harm either way.
        """
        now = time.time_ns()
        times = range(now, now + len(stored)) if received is None else received
        made = [_rows_of_stored(one, received=at) for one, at in zip(stored, times, strict=True)]
        uids = sorted({rows.uids[2] for rows in made})
        digests: dict[tuple[str, FileStamp], str] = {}
        wanted_digests: list[Held] = []

        def work(connection: Connection) -> list[Settled] | None:
            if self.database.is_shared:
                wanted = {rows.uids[0] for rows in made}
                found = held_under(connection, uids).values()
                self.database.lock(connection, wanted | {held.series[0] for held in found})
            held = {
                uid: _with_digest(one, digests) for uid, one in held_under(connection, uids).items()
            }
            wanted_digests[:] = _without_digest(made, held, digests)
            if wanted_digests:
                return None  # nobody is to wait while files are read
            return write_settlement(connection, settle(made, held, on_conflict=on_conflict))

        while made:
            settled = self.database.write(work, durable=True)
            if settled is not None:
                return settled
            for one in wanted_digests:
                digests[one.path, one.stamp] = digest_of_file(one.path, one.stamp)
        return []

    def rekey(self, sop_instance_uid: str, *, lost_key: str, key: str) -> None:
        """Have an instance refer to the blob `key`, durably, where it refers to `lost_key` yet."""
        statement = (
            update(instances)
            .where(
                instances.c.sop_instance_uid == sop_instance_uid, instances.c.blob_key == lost_key
            )
            .values(blob_key=key)
        )
        self.database.write(lambda connection: connection.execute(statement), durable=True)

    def remove(self, sop_instance_uids: Sequence[str]) -> list[str]:
        """Take instances out, durably; the keys of the blobs that nothing refers to now."""
        uids = sorted(set(sop_instance_uids))
        lock = self.database.lock
        return self.database.write(
            lambda connection: remove_instances(connection, uids, lock=lock), durable=True
        )

    def keep_digests(
        self,
        sop_instance_uid: str,
        stamp: FileStamp,
        *,
        sha256: str,
        served_sha256: str,
        served_crc32: int,
    ) -> None:
        """Keep the digests of an instance, unless its file has another stamp by now."""
        kept = {"sha256": sha256, "served_sha256": served_sha256, "served_crc32": served_crc32}
        statement = update(instances).where(*_still(sop_instance_uid, stamp)).values(**kept)
        self.database.write(lambda connection: connection.execute(statement))

    def keep_metadata(self, made: Mapping[str, tuple[FileStamp, bytes]]) -> None:
        """Keep the compressed metadata of instances, by SOP Instance UID.

        Where the file has another stamp by now, nothing is kept: the metadata is an old one's.
        """

        def work(connection: Connection) -> None:
            for uid, (stamp, data) in sorted(made.items()):
                connection.execute(
                    update(instances).where(*_still(uid, stamp)).values(metadata_json=data)
                )

        self.database.write(work)

    def add(self, indexed: Iterable[IndexedFile]) -> list[Outcome]:
        """Put in what files were found to be, in one transaction.

        An instance that another file or a blob already holds is noted as a duplicate; what was
        there first stays the one that is served. Returns what each file was noted as.
        """
        found = list(indexed)
        new = rows_of_files(found, received=time.time_ns())

        def work(connection: Connection) -> list[Outcome]:
            return add_files(connection, found, new, scope=self.scope, lock=self.database.lock)

        return self.database.write(work) if found else []

    def forget(self, folder: str, names: Iterable[str]) -> None:
        """Take files out that are gone, with their instances.

        Other files that held the same instances are forgotten too, so that the next scan looks
        at them anew.
        """
        gone = list(names)
        lock: Callable[[Connection, set[str]], None] = self.database.lock
        if gone:
            self.database.write(
                lambda connection: forget_files(
                    connection, folder, gone, scope=self.scope, lock=lock
                )
            )


def _rows_of_stored(stored: StoredInstance, *, received: int) -> Rows:
    if stored.rows is not None:
        return stored.rows.received_at(received)
    return rows_of(entry_of(stored), received=received, metadata=stored.metadata)


def _with_digest(held: Held, digests: Mapping[tuple[str, FileStamp], str]) -> Held:
    digest = held.sha256 or digests.get((held.path, held.stamp), "")
    return Held(held.series, held.path, held.stamp, held.blob_key, digest)


def _without_digest(
    made: Sequence[Rows], held: Mapping[str, Held], known: Mapping[tuple[str, FileStamp], str]
) -> list[Held]:
    """Files in place that may hold the same bytes, whose digest nobody has looked for yet."""
    sizes = {rows.uids[2]: rows.entry.stamp.size_bytes for rows in made}
    return [
        one
        for uid, one in held.items()
        if one.path
        and not one.sha256
        and one.stamp.size_bytes == sizes[uid]
        and (one.path, one.stamp) not in known
    ]


def _still(uid: str, stamp: FileStamp) -> tuple[Any, ...]:
    columns = instances.c
    return (
        columns.sop_instance_uid == uid,
        columns.size_bytes == stamp.size_bytes,
        columns.mtime_ns == stamp.mtime_ns,
        columns.inode == stamp.inode,
    )
