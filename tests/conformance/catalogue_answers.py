"""What the contracts of the catalogue store, ask, and are told."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from made_instances import make_instance
from mersey.engine.archive.catalogue import Catalogue
from mersey.engine.archive.entry import stamp_of
from mersey.engine.archive.indexed_file import IndexedFile
from mersey.engine.archive.levels import Level
from mersey.engine.archive.matching import Match
from mersey.engine.archive.search import Found, Search, run_search, search_text

__all__ = ["TAGS", "in_place", "outcomes", "search", "told"]
TAGS = {
    "PatientName": "00100010",
    "PatientID": "00100020",
    "StudyDate": "00080020",
    "StudyTime": "00080030",
    "AccessionNumber": "00080050",
    "ModalitiesInStudy": "00080061",
    "Modality": "00080060",
    "SeriesNumber": "00200011",
    "InstanceNumber": "00200013",
    "ReferringPhysicianName": "00080090",
}

CONSTANTS = {tag: f'"{tag}":{{"vr":"CS"}}' for tag in ("00080005", "00080056")}


def in_place(path: Path, uid: str, content: bytes = b"content", **values: str) -> IndexedFile:
    """A file as a scan finds it; the catalogue does not look into it."""
    path.write_bytes(content)
    stamp = stamp_of(path.stat())
    folder, name = os.path.split(path)
    return IndexedFile(folder, name, stamp, "instance", make_instance(uid, **values))


def outcomes(catalogue: Catalogue, *stored: Any, on_conflict: Any = "reject") -> list[str]:
    return [settled.outcome for settled in catalogue.store(stored, on_conflict=on_conflict)]


def told(found: Found) -> dict[str, Any]:
    """The members of a result as Python has them."""
    members: dict[str, Any] = json.loads("{" + ",".join(found.members) + "}")
    return members


def search(catalogue: Catalogue, level: Level, *, fuzzy: bool = False, **keys: str) -> list[Found]:
    """What is found, which is the same as text."""
    matches = tuple(Match(TAGS[keyword], value) for keyword, value in keys.items())
    query = Search(level, matches, fuzzy=fuzzy)
    found = list(run_search(catalogue, query).found)
    text = search_text(catalogue, query, constants=CONSTANTS, address="http://here")
    assert text is not None
    for each, given in zip(found, json.loads(text[0]), strict=True):
        address = given.pop("00081190")["Value"][0]
        assert address.startswith("http://here/studies/")
        assert address.endswith(f"/{each.uids[-1]}")
        assert given == told(each) | {tag: {"vr": "CS"} for tag in CONSTANTS}
    return found
