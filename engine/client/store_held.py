"""Which instances any DICOMweb archive has already, as it says in QIDO-RS (PS3.18 §10.6).

Only UIDs are compared: no archive tells digests. One that cannot be asked has nothing.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from ..archive.entry import Entry
from .connections import Connections
from .remote import RefusedByPeerError, Remote

__all__ = ["instances_held"]

_AT_ONCE = 1000
_MOST_PAGES = 1000
_ANSWER_BYTES = 64 << 20
_SOP_INSTANCE_UID = "00080018"


async def instances_held(
    remote: Remote, connections: Connections, entries: Sequence[Entry]
) -> set[str]:
    """The SOP Instance UIDs, of those of `entries`, that the archive has.

    Raises
    ------
    TransferError
        The archive cannot be reached, or failed for too long.
    """
    wanted: dict[tuple[str, str], set[str]] = {}
    for entry in entries:
        study, series, instance = entry.uids
        wanted.setdefault((study, series), set()).add(instance)
    held: set[str] = set()
    for (study, series), uids in wanted.items():
        found = await _of_series(remote, connections, study, series)
        if found is None:
            break
        held |= found & uids
    return held


async def _of_series(
    remote: Remote, connections: Connections, study: str, series: str
) -> set[str] | None:
    """All instances of a series; None where the archive does not say."""
    url = f"{remote.address.base}/studies/{study}/series/{series}/instances"
    held: set[str] = set()
    for _ in range(_MOST_PAGES):
        page = f"{url}?limit={_AT_ONCE}&offset={len(held)}"
        try:
            rows = await connections.tried(lambda page=page: _rows(remote, page))  # type: ignore[misc]
        except RefusedByPeerError as error:
            if error.is_passing or error.status in (401, 403, 407):
                raise
            return held if error.is_missing else None
        found = {uid for row in rows if (uid := _uid(row))}
        if found <= held:  # also where offsets mean nothing to it
            return held
        held |= found  # fewer than asked for may be its own limit: the next page tells
    return held


async def _rows(remote: Remote, url: str) -> list[Any]:
    data = await remote.read(
        "GET",
        url,
        headers={"Accept": "application/dicom+json"},
        most_bytes=_ANSWER_BYTES,
        may_answer=frozenset({200, 204}),
    )
    try:
        rows = json.loads(data) if data.strip() else []
    except (ValueError, RecursionError):
        return []
    return rows if isinstance(rows, list) else []


def _uid(row: Any) -> str:
    try:
        return str(row[_SOP_INSTANCE_UID]["Value"][0])
    except (TypeError, LookupError):
        return ""
