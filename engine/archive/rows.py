"""From an instance and where it lies to the rows that the catalogue keeps of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .attributes import JsonElement, text_of, to_json, told_attributes
from .entry import Entry
from .levels import DEFAULT_FIELDS, MADE_TAGS, Level, level_of
from .names import fold_name, name_words_of, sound_of
from .record import pack_instance
from .tables import NO_NUMBER

__all__ = ["LightRows", "Row", "Rows", "RowsAbove", "rows_of"]

type Row = dict[str, Any]
type _Attributes = dict[str, JsonElement]

_MAX_INTEGER = (1 << 63) - 1
# Longer than any value that the standard allows here; an index takes no more than some KiB.
_MAX_INDEXED_CHARS = 512
_NAME_TAGS = ("00100010", "00080090")
_EVERY_LEVEL = "00080201"  # Timezone Offset From UTC


@dataclass(frozen=True, slots=True)
class Rows:
    """The instance's row is made; those of its study and series are when they are needed."""

    entry: Entry
    attributes: Mapping[Level, _Attributes]
    instance: Row

    def received_at(self, time_ns: int) -> Rows:
        """The same of an instance that came at that time."""
        return Rows(self.entry, self.attributes, {**self.instance, "received": time_ns})

    @property
    def uids(self) -> tuple[str, str, str]:
        """Study, Series and SOP Instance UID."""
        return self.entry.uids

    def study(self) -> Row:
        attributes = self.attributes["study"]
        return {
            "study_instance_uid": self.entry.instance.study_instance_uid,
            "study_date": _indexed(attributes, "00080020").replace(".", ""),
            "study_time": _indexed(attributes, "00080030").replace(":", ""),
            "accession_number": _indexed(attributes, "00080050"),
            "study_id": text_of(attributes, "00200010"),
            "study_description": text_of(attributes, "00081030"),
            "referring_physician_name": fold_name(text_of(attributes, "00080090")),
            "patient_name": fold_name(text_of(attributes, "00100010")),
            "patient_id": _indexed(attributes, "00100020"),
            "patient_birth_date": text_of(attributes, "00100030").replace(".", ""),
            "patient_sex": text_of(attributes, "00100040"),
            **_members(attributes, "study"),
        }

    def series(self) -> Row:
        attributes = self.attributes["series"]
        return {
            "study_instance_uid": self.entry.instance.study_instance_uid,
            "series_instance_uid": self.entry.instance.series_instance_uid,
            "modality": text_of(attributes, "00080060"),
            "series_number": _integer(attributes, "00200011"),
            "series_description": text_of(attributes, "0008103E"),
            "body_part_examined": text_of(attributes, "00180015"),
            "performed_date": text_of(attributes, "00400244").replace(".", ""),
            "performed_time": text_of(attributes, "00400245").replace(":", ""),
            **_members(attributes, "series"),
        }

    def name_words(self) -> list[Row]:
        """The rows of the words of the study's names."""
        return [
            {
                "study_instance_uid": self.entry.instance.study_instance_uid,
                "tag": tag,
                "word": word,
                "code": sound_of(word),
            }
            for tag in _NAME_TAGS
            for word in name_words_of(text_of(self.attributes["study"], tag))
        ]


@dataclass(frozen=True, slots=True)
class LightRows:
    """All rows of an instance, without what they were made of: light enough to be sent.

    `above` is one object for all instances of a series that were made together.
    """

    uids: tuple[str, str, str]
    instance: Row
    above: RowsAbove

    def study(self) -> Row:
        return self.above.study

    def series(self) -> Row:
        return self.above.series

    def name_words(self) -> list[Row]:
        return self.above.name_words


@dataclass(frozen=True, slots=True)
class RowsAbove:
    """The rows of a series and its study."""

    study: Row
    series: Row
    name_words: list[Row]


def rows_of(entry: Entry, *, received: int, metadata: bytes | None = None) -> Rows:
    """The rows of `entry`, which came at `received`."""
    levels: dict[Level, _Attributes] = {"study": {}, "series": {}, "instance": {}}
    told = told_attributes(entry.instance)
    for tag, (element, _) in told.items():
        levels[level_of(tag)][tag] = element
        if tag == _EVERY_LEVEL:
            levels["series"][tag] = levels["instance"][tag] = element
    instance, stamp = entry.instance, entry.stamp
    row = {
        "sop_instance_uid": instance.sop_instance_uid,
        "study_instance_uid": instance.study_instance_uid,
        "series_instance_uid": instance.series_instance_uid,
        "instance_number": _integer(levels["instance"], "00200013"),
        "sop_class_uid": instance.sop_class_uid,
        "transfer_syntax_uid": instance.transfer_syntax_uid,
        "path": entry.path,
        "size_bytes": stamp.size_bytes,
        "mtime_ns": stamp.mtime_ns,
        "inode": stamp.inode,
        "blob_key": entry.blob_key,
        "sha256": entry.sha256,
        "served_sha256": entry.served_sha256,
        "served_crc32": entry.served_crc32,
        "received": received,
        **_members_of({tag: told[tag].text for tag in levels["instance"]}, "instance"),
        "record": pack_instance(instance),
        "metadata_json": metadata,
    }
    del levels["instance"]  # what the other rows are made of is enough to carry
    return Rows(entry, levels, row)


def _members(attributes: _Attributes, level: Level) -> Row:
    """The attributes as members of a JSON object, one a line: JSON text has no raw line feed."""
    return _members_of({tag: to_json(element) for tag, element in attributes.items()}, level)


def _members_of(texts: Mapping[str, str], level: Level) -> Row:
    lines = {tag: f'"{tag}":{texts[tag]}' for tag in sorted(texts.keys() - MADE_TAGS)}
    default = DEFAULT_FIELDS[level]
    return {
        "summary": "\n".join(line for tag, line in lines.items() if tag in default),
        "attributes": "\n".join(lines.values()),
    }


def _indexed(attributes: _Attributes, tag: str) -> str:
    return text_of(attributes, tag)[:_MAX_INDEXED_CHARS]


def _integer(attributes: _Attributes, tag: str) -> int:
    values = attributes.get(tag, {}).get("Value") or [None]
    value = values[0]
    if not isinstance(value, int) or abs(value) > _MAX_INTEGER:
        return NO_NUMBER
    return value
