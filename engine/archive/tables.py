"""The tables of the catalogue: what is kept of each study, series, instance and file.

SQLAlchemy Core and nothing that one database alone has: the same statements run on SQLite
and on PostgreSQL. Text is ordered by its bytes on both. Dates and times are kept as DICOM
writes them (DA, TM), whose order as text is their order in time.
"""

from __future__ import annotations

import os
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)
from sqlalchemy.types import TypeDecorator

__all__ = [
    "NO_NUMBER",
    "SCHEMA_VERSION",
    "commitments",
    "files",
    "instances",
    "name_words",
    "schema",
    "series",
    "studies",
    "versions",
]

SCHEMA_VERSION = 2
NO_NUMBER = -(1 << 63)
"""The number of what has none: first in order, on every database."""

schema = MetaData()

_TEXT = Text().with_variant(Text(collation="C"), "postgresql")
_UID = String(64).with_variant(String(64, collation="C"), "postgresql")


class PathBytes(TypeDecorator[str]):
    """A path as the bytes that the file system knows it by: it need not be UTF-8."""

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Any) -> bytes | None:  # noqa: ARG002
        return None if value is None else os.fsencode(value)

    def process_result_value(self, value: Any, dialect: Any) -> str | None:  # noqa: ARG002
        return None if value is None else os.fsdecode(value)


versions = Table(
    "versions",
    schema,
    Column("version", Integer, primary_key=True),
    Column("to_be_rebuilt", Boolean, nullable=False),
)
"""One row. `to_be_rebuilt`: there may be blobs that this catalogue does not know."""

studies = Table(
    "studies",
    schema,
    Column("study_instance_uid", _UID, primary_key=True),
    Column("study_date", _TEXT, nullable=False),
    Column("study_time", _TEXT, nullable=False),
    Column("accession_number", _TEXT, nullable=False, index=True),
    Column("study_id", _TEXT, nullable=False),
    Column("study_description", _TEXT, nullable=False),
    Column("referring_physician_name", _TEXT, nullable=False),
    Column("patient_name", _TEXT, nullable=False),
    Column("patient_id", _TEXT, nullable=False, index=True),
    Column("patient_birth_date", _TEXT, nullable=False),
    Column("patient_sex", _TEXT, nullable=False),
    Column("modalities", _TEXT, nullable=False, default=""),
    Column("series_count", BigInteger, nullable=False, default=0),
    Column("instance_count", BigInteger, nullable=False, default=0),
    Column("summary", _TEXT, nullable=False),
    Column("attributes", _TEXT, nullable=False),
)
"""Names are folded for matching: each component group between ``=``, in one case.

`attributes` are lines of JSON, one a member of an object, in order; `summary` those of them
that QIDO-RS returns unasked. `modalities` is what its series have, between backslashes.
"""
Index("studies_by_date", studies.c.study_date.desc(), studies.c.study_instance_uid)

series = Table(
    "series",
    schema,
    Column(
        "study_instance_uid",
        _UID,
        ForeignKey("studies.study_instance_uid", ondelete="CASCADE"),
        primary_key=True,
    ),
    Column("series_instance_uid", _UID, primary_key=True, index=True),
    Column("modality", _TEXT, nullable=False),
    Column("series_number", BigInteger, nullable=False),
    Column("series_description", _TEXT, nullable=False),
    Column("body_part_examined", _TEXT, nullable=False),
    Column("performed_date", _TEXT, nullable=False),
    Column("performed_time", _TEXT, nullable=False),
    Column("instance_count", BigInteger, nullable=False, default=0),
    Column("summary", _TEXT, nullable=False),
    Column("attributes", _TEXT, nullable=False),
)
"""A UID that two studies have, against the standard, is a series of each."""

instances = Table(
    "instances",
    schema,
    Column("sop_instance_uid", _UID, primary_key=True),
    Column("study_instance_uid", _UID, nullable=False),
    Column("series_instance_uid", _UID, nullable=False),
    Column("instance_number", BigInteger, nullable=False),
    Column("sop_class_uid", _TEXT, nullable=False),
    Column("transfer_syntax_uid", _TEXT, nullable=False),
    Column("path", PathBytes, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("mtime_ns", BigInteger, nullable=False),
    Column("inode", BigInteger, nullable=False),
    Column("blob_key", _TEXT, nullable=False, index=True),
    Column("sha256", _TEXT, nullable=False),
    Column("served_sha256", _TEXT, nullable=False),
    Column("served_crc32", BigInteger),
    Column("received", BigInteger, nullable=False, index=True),
    Column("summary", _TEXT, nullable=False),
    Column("attributes", _TEXT, nullable=False),
    Column("record", LargeBinary, nullable=False),
    Column("metadata_json", LargeBinary),
    ForeignKeyConstraint(
        ["study_instance_uid", "series_instance_uid"],
        ["series.study_instance_uid", "series.series_instance_uid"],
        ondelete="CASCADE",
    ),
    Index(
        "instances_in_order",
        "study_instance_uid",
        "series_instance_uid",
        "instance_number",
        "sop_instance_uid",
    ),
)
"""Either a file in place (`path`) or a blob (`blob_key`); the other of the two is empty.

`received` grows with the time at which an instance came, in ns.
"""

name_words = Table(
    "name_words",
    schema,
    Column(
        "study_instance_uid",
        _UID,
        ForeignKey("studies.study_instance_uid", ondelete="CASCADE"),
        primary_key=True,
    ),
    Column("tag", String(8), primary_key=True),
    Column("word", _TEXT, primary_key=True),
    Column("code", _TEXT, nullable=False),
    Index("name_words_by_word", "tag", "word"),
    Index("name_words_by_code", "tag", "code"),
)
"""The words of names, for fuzzy matching, and how they sound."""

files = Table(
    "files",
    schema,
    Column("scope", _TEXT, primary_key=True),
    Column("folder", PathBytes, primary_key=True),
    Column("name", PathBytes, primary_key=True),
    Column("size_bytes", BigInteger, nullable=False),
    Column("mtime_ns", BigInteger, nullable=False),
    Column("inode", BigInteger, nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("sop_instance_uid", String(64), nullable=False, index=True),
)
"""Every file that a scan has looked at, so that the next one need not.

`scope` says whose scan: servers that share a catalogue each forget only their own files.
"""

commitments = Table(
    "commitments",
    schema,
    Column("transaction_uid", _UID, primary_key=True),
    Column("asked", BigInteger, nullable=False, index=True),
    Column("size_bytes", BigInteger, nullable=False),
    Column("answer", LargeBinary, nullable=False),
)
"""What storage commitment requests came to, compressed; `asked` is in ns since 1970."""
