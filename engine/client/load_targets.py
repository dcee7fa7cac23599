"""What to ask a DICOMweb server for, found by searching it: frames, whole studies or metadata.

Never asks another server than the one that was named.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ...codecs.errors import FormatError, UsageError
from ..archive.entry import is_uid
from .remote import Remote

__all__ = ["FoundInstance", "LoadTarget", "What", "find_instances", "find_targets"]

type What = Literal["frames", "studies", "metadata"]

_STUDY, _SERIES, _INSTANCE = "0020000D", "0020000E", "00080018"
_NUMBER, _FRAMES = "00200013", "00280008"
_ROWS, _COLUMNS, _SAMPLES, _ALLOCATED = "00280010", "00280011", "00280002", "00280100"
_MOST_STUDIES = 8
_MOST_INSTANCES = 2000
_MOST_FRAMES = 1_000_000

_OCTETS = 'multipart/related; type="application/octet-stream"; transfer-syntax=1.2.840.10008.1.2.1'
_ACCEPT: dict[What, str] = {
    "frames": _OCTETS,
    "studies": 'multipart/related; type="application/dicom"; transfer-syntax=*',
    "metadata": "application/dicom+json",
}


@dataclass(frozen=True, slots=True)
class LoadTarget:
    """One request; `pixel_bytes` are the samples in its answer, 0 where nobody can tell."""

    url: str
    accept: str
    pixel_bytes: int = 0


@dataclass(frozen=True, slots=True)
class FoundInstance:
    """An instance with frames, as a search describes it."""

    study: str
    series: str
    uid: str
    number: int
    frames: int
    frame_bytes: int
    columns: int
    rows: int

    @property
    def resource(self) -> str:
        return f"/studies/{self.study}/series/{self.series}/instances/{self.uid}"


async def find_targets(
    remote: Remote, what: What, *, most: int, accept: str | None = None
) -> tuple[LoadTarget, ...]:
    """At most `most` requests about what the remote's address names, or its first studies.

    Raises
    ------
    UsageError
        There is nothing of the kind.
    TransferError
        The server cannot be searched.
    """
    accept = accept or _ACCEPT[what]
    if what == "frames":
        instances = await find_instances(remote)
        frames = [(one, number) for one in instances for number in _spread(one.frames, most)]
        chosen = [frames[index - 1] for index in _spread(len(frames), most)]
        found = [
            LoadTarget(
                f"{remote.address.base}{one.resource}/frames/{number}", accept, one.frame_bytes
            )
            for one, number in chosen
        ]
    else:
        ending = "/metadata" if what == "metadata" else ""
        found = [
            LoadTarget(f"{remote.address.base}{resource}{ending}", accept)
            for resource in (await _resources(remote))[:most]
        ]
    if not found:
        raise UsageError(f"{remote.address}: no {what} found to ask for")
    return tuple(found)


async def find_instances(remote: Remote) -> tuple[FoundInstance, ...]:
    """The instances with frames, in the order of their numbers, of what the address names.

    Raises
    ------
    TransferError
        The server cannot be searched.
    """
    resources = [remote.address.resource] if remote.address.study else await _resources(remote)
    found: list[FoundInstance] = []
    for resource in resources:
        path, _, instance = resource.partition("/instances/")
        query = f"?limit={_MOST_INSTANCES}&includefield={_SAMPLES}&includefield={_FRAMES}"
        query += f"&SOPInstanceUID={instance}" if instance else ""
        rows = await _search(remote, f"{path}/instances{query}")
        found += [one for row in rows if (one := _instance(row, path)) is not None]
    return tuple(sorted(found, key=lambda one: (one.study, one.series, one.number, one.uid)))


async def _resources(remote: Remote) -> list[str]:
    if remote.address.study:
        return [remote.address.resource]
    rows = await _search(remote, f"/studies?limit={_MOST_STUDIES}")
    return [f"/studies/{uid}" for row in rows if is_uid(uid := _text(row, _STUDY))]


async def _search(remote: Remote, path: str) -> list[Mapping[str, Any]]:
    found = await remote.json(
        remote.address.base + path, headers={"Accept": "application/dicom+json"}
    )
    if found is None:
        return []
    if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
        raise FormatError(f"{remote.address.base}: a search was answered by no list of objects")
    return found


def _instance(row: Mapping[str, Any], path: str) -> FoundInstance | None:
    """The instance of a row of results; None where it has no frames, or no sane UIDs."""
    named = path.split("/")
    study = _text(row, _STUDY) or (named[2] if len(named) > 2 else "")
    series = _text(row, _SERIES) or (named[4] if len(named) > 4 else "")
    uid = _text(row, _INSTANCE)
    rows, columns = _integer(row, _ROWS), _integer(row, _COLUMNS)
    if not (rows and columns and all(map(is_uid, (study, series, uid)))):
        return None
    width = max(_integer(row, _ALLOCATED) // 8, 1)
    frame_bytes = rows * columns * (_integer(row, _SAMPLES) or 1) * width
    frames = min(_integer(row, _FRAMES) or 1, _MOST_FRAMES)
    return FoundInstance(
        study, series, uid, _integer(row, _NUMBER), frames, frame_bytes, columns, rows
    )


def _value(row: Mapping[str, Any], tag: str) -> Any:
    match row.get(tag):
        case {"Value": [value, *_]}:
            return value
    return None


def _text(row: Mapping[str, Any], tag: str) -> str:
    value = _value(row, tag)
    return value if isinstance(value, str) else ""


def _integer(row: Mapping[str, Any], tag: str) -> int:
    """A whole number that is no less than 0; some servers write them as strings."""
    try:
        return max(int(_value(row, tag)), 0)
    except (TypeError, ValueError):
        return 0


def _spread(count: int, most: int) -> list[int]:
    """At most `most` numbers of 1 to `count`, evenly spread."""
    taken = min(count, most)
    return [1 + index * count // taken for index in range(taken)]
