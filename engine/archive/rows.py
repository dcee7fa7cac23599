"""From an Entry to the rows that the catalogue keeps of it, and the folding of names."""

from __future__ import annotations

import json
from typing import Any

from .attributes import JsonElement, json_attributes, text_of
from .entry import Entry
from .levels import Level, level_of
from .record import pack_instance

__all__ = ["fold_name", "instance_row", "rows_of", "series_row", "study_row"]

type Row = dict[str, Any]

_MAX_INTEGER = (1 << 63) - 1


def rows_of(entry: Entry) -> tuple[Row, Row, Row]:
    """The rows of the study, the series and the instance of `entry`."""
    attributes = json_attributes(entry.instance)
    levels: dict[Level, dict[str, JsonElement]] = {"study": {}, "series": {}, "instance": {}}
    for tag, element in attributes.items():
        levels[level_of(tag)][tag] = element
    return (
        study_row(entry, levels["study"]),
        series_row(entry, levels["series"]),
        instance_row(entry, levels["instance"]),
    )


def study_row(entry: Entry, attributes: dict[str, JsonElement]) -> Row:
    return {
        "study_instance_uid": entry.instance.study_instance_uid,
        "study_date": text_of(attributes, "00080020").replace(".", ""),
        "study_time": text_of(attributes, "00080030").replace(":", ""),
        "accession_number": text_of(attributes, "00080050"),
        "study_id": text_of(attributes, "00200010"),
        "study_description": text_of(attributes, "00081030"),
        "referring_physician_name": fold_name(text_of(attributes, "00080090")),
        "patient_name": fold_name(text_of(attributes, "00100010")),
        "patient_id": text_of(attributes, "00100020"),
        "patient_birth_date": text_of(attributes, "00100030").replace(".", ""),
        "patient_sex": text_of(attributes, "00100040"),
        "attributes": _dumped(attributes),
    }


def series_row(entry: Entry, attributes: dict[str, JsonElement]) -> Row:
    return {
        "series_instance_uid": entry.instance.series_instance_uid,
        "study_instance_uid": entry.instance.study_instance_uid,
        "modality": text_of(attributes, "00080060"),
        "series_number": _integer(attributes, "00200011"),
        "series_description": text_of(attributes, "0008103E"),
        "body_part_examined": text_of(attributes, "00180015"),
        "performed_date": text_of(attributes, "00400244").replace(".", ""),
        "performed_time": text_of(attributes, "00400245").replace(":", ""),
        "attributes": _dumped(attributes),
    }


def instance_row(entry: Entry, attributes: dict[str, JsonElement]) -> Row:
    instance = entry.instance
    return {
        "sop_instance_uid": instance.sop_instance_uid,
        "series_instance_uid": instance.series_instance_uid,
        "study_instance_uid": instance.study_instance_uid,
        "sop_class_uid": instance.sop_class_uid,
        "transfer_syntax_uid": instance.transfer_syntax_uid,
        "instance_number": _integer(attributes, "00200013"),
        "path": entry.path,
        "size_bytes": entry.stamp.size_bytes,
        "mtime_ns": entry.stamp.mtime_ns,
        "inode": entry.stamp.inode,
        "attributes": _dumped(attributes),
        "record": pack_instance(instance),
    }


def fold_name(name: str) -> str:
    """A person name made ready for matching: one case, each group between ``=``.

    ``Buc^Jérôme=…`` gives ``=buc^jérôme=…=``, so that a pattern finds any of the groups
    (PS3.5 §6.2.1) and trailing separators do not count.
    """
    groups = [group.strip().rstrip("^ ") for group in name.casefold().split("=")]
    groups = [group for group in groups if group]
    return f"={'='.join(groups)}=" if groups else ""


def _integer(attributes: dict[str, JsonElement], tag: str) -> int | None:
    values = attributes.get(tag, {}).get("Value") or [None]
    value = values[0]
    if not isinstance(value, int) or abs(value) > _MAX_INTEGER:
        return None
    return value


def _dumped(attributes: dict[str, JsonElement]) -> str:
    return json.dumps(attributes, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
