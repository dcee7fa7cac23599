"""Files in place into the catalogue's tables and out again, in few statements.

`scope` says whose scan looked at a file: only the same scope forgets it. The caller is in a
transaction.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import Connection, and_, delete, select

from .database import in_groups
from .entry import Entry
from .indexed_file import IndexedFile, Outcome, index_files
from .placing import place
from .rows import LightRows, Rows, RowsAbove, rows_of
from .settling import Lock, held_under
from .tables import files, instances
from .tallies import tally

__all__ = ["add_files", "forget_files", "index_rows", "rows_of_files"]


def index_rows(folder: str, names: Sequence[str]) -> list[IndexedFile]:
    """As `index_files`, with the rows of each instance for the instance: runs in a worker.

    Sent as it is, an instance takes as long as it took to find.
    """
    above: dict[tuple[str, str], RowsAbove] = {}
    found = []
    for file in index_files(folder, names):
        if file.instance is None:
            found.append(file)
            continue
        rows = rows_of(Entry(file.instance, file.path, file.stamp), received=0)
        series = rows.uids[:2]
        if series not in above:
            above[series] = RowsAbove(rows.study(), rows.series(), rows.name_words())
        light = LightRows(rows.uids, rows.instance, above[series])
        found.append(replace(file, instance=None, rows=light))
    return found


def rows_of_files(found: Sequence[IndexedFile], *, received: int) -> list[Rows | LightRows | None]:
    """The rows of the instances in files; None for a file that is none."""
    return [_rows_of(file, received + number) for number, file in enumerate(found)]


def _rows_of(file: IndexedFile, received: int) -> Rows | LightRows | None:
    if file.rows is not None:
        return replace(file.rows, instance={**file.rows.instance, "received": received})
    if file.instance is None:
        return None
    return rows_of(Entry(file.instance, file.path, file.stamp), received=received)


def add_files(
    connection: Connection,
    found: Sequence[IndexedFile],
    new: Sequence[Rows | LightRows | None],
    *,
    scope: str,
    lock: Lock,
) -> list[Outcome]:
    """Put in what files were found to be, `new` as `rows_of_files` made; what each was noted as."""
    by_folder: dict[str, list[str]] = {}
    for file in found:
        by_folder.setdefault(file.folder, []).append(file.name)
    before = [
        row
        for folder, names in by_folder.items()
        for row in _known(connection, folder, names, scope=scope)
    ]
    uids_before = [uid for _, _, uid, outcome in before if outcome == "instance"]
    lock(connection, _studies_of(connection, uids_before) | {rows.uids[0] for rows in new if rows})
    touched = set()
    for folder, names in by_folder.items():
        touched |= _forget(connection, folder, names, scope=scope)
    held = set(held_under(connection, sorted({rows.uids[2] for rows in new if rows})))
    outcomes: list[Outcome] = []
    placed = []
    for file, rows in zip(found, new, strict=True):
        if rows is None:
            outcomes.append(file.outcome)
        elif rows.uids[2] in held:
            outcomes.append("duplicate")
        else:
            held.add(rows.uids[2])
            placed.append(rows)
            outcomes.append("instance")
    place(connection, placed)
    noted = {
        (file.folder, file.name): {
            "scope": scope,
            "folder": file.folder,
            "name": file.name,
            "size_bytes": file.stamp.size_bytes,
            "mtime_ns": file.stamp.mtime_ns,
            "inode": file.stamp.inode,
            "outcome": outcome,
            "sop_instance_uid": "" if rows is None else rows.uids[2],
        }
        for file, outcome, rows in zip(found, outcomes, new, strict=True)
    }
    if noted:
        connection.execute(files.insert(), list(noted.values()))
    tally(connection, touched | {rows.uids[:2] for rows in placed})
    return outcomes


def forget_files(
    connection: Connection, folder: str, names: Sequence[str], *, scope: str, lock: Lock
) -> None:
    """Take files out, with their instances.

    Other files that held the same instances are forgotten too, so that the next scan looks at
    them anew.
    """
    known = _known(connection, folder, names, scope=scope)
    lock(connection, _studies_of(connection, [row[2] for row in known if row[3] == "instance"]))
    tally(connection, _forget(connection, folder, names, scope=scope))


def _known(
    connection: Connection, folder: str, names: Sequence[str], *, scope: str
) -> list[tuple[str, str, str, str]]:
    columns = files.c
    statement = select(columns.folder, columns.name, columns.sop_instance_uid, columns.outcome)
    return [
        (row[0], row[1], row[2], row[3])
        for group in in_groups(names)
        for row in connection.execute(
            statement.where(
                columns.scope == scope, columns.folder == folder, columns.name.in_(group)
            )
        )
    ]


def _studies_of(connection: Connection, uids: Sequence[str]) -> set[str]:
    column = instances.c.study_instance_uid
    return {
        uid
        for group in in_groups(uids)
        for uid in connection.scalars(
            select(column).where(instances.c.sop_instance_uid.in_(group)).distinct()
        )
    }


def _forget(
    connection: Connection, folder: str, names: Sequence[str], *, scope: str
) -> set[tuple[str, str]]:
    """Take files out of one folder; the series whose instances went along."""
    known = _known(connection, folder, names, scope=scope)
    columns = files.c
    for group in in_groups([name for _, name, _, _ in known]):
        connection.execute(
            delete(files).where(
                columns.scope == scope, columns.folder == folder, columns.name.in_(group)
            )
        )
    paths = {
        uid: os.path.join(folder, name) for _, name, uid, outcome in known if outcome == "instance"
    }
    held = held_under(connection, list(paths))
    gone = {uid: held[uid].series for uid in held if held[uid].path == paths[uid]}
    for group in in_groups(list(gone)):
        connection.execute(delete(instances).where(instances.c.sop_instance_uid.in_(group)))
        connection.execute(
            delete(files).where(
                and_(columns.sop_instance_uid.in_(group), columns.outcome == "duplicate")
            )
        )
    return set(gone.values())
