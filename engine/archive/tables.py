"""The tables of the catalogue: what is kept of each study, series, instance and file.

SQLAlchemy Core and nothing that one database alone has: the same statements run on SQLite
and on PostgreSQL. Dates and times are kept as DICOM writes them (DA, TM), whose order as text
is their order in time.
"""

from __future__ import annotations

import os
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)
from sqlalchemy.types import TypeDecorator

__all__ = ["SCHEMA_VERSION", "files", "instances", "schema", "series", "studies", "versions"]

SCHEMA_VERSION = 1

schema = MetaData()


class PathBytes(TypeDecorator[str]):
    """A path as the bytes that the file system knows it by: it need not be UTF-8."""

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Any) -> bytes | None:  # noqa: ARG002
        return None if value is None else os.fsencode(value)

    def process_result_value(self, value: Any, dialect: Any) -> str | None:  # noqa: ARG002
        return None if value is None else os.fsdecode(value)


versions = Table("versions", schema, Column("version", Integer, primary_key=True))

studies = Table(
    "studies",
    schema,
    Column("study_instance_uid", String(64), primary_key=True),
    Column("study_date", Text, nullable=False, index=True),
    Column("study_time", Text, nullable=False),
    Column("accession_number", Text, nullable=False, index=True),
    Column("study_id", Text, nullable=False),
    Column("study_description", Text, nullable=False),
    Column("referring_physician_name", Text, nullable=False),
    Column("patient_name", Text, nullable=False),
    Column("patient_id", Text, nullable=False, index=True),
    Column("patient_birth_date", Text, nullable=False),
    Column("patient_sex", Text, nullable=False),
    Column("attributes", Text, nullable=False),
)
"""Names are folded for matching: each component group between ``=``, in one case."""

series = Table(
    "series",
    schema,
    Column("series_instance_uid", String(64), primary_key=True),
    Column(
        "study_instance_uid",
        ForeignKey("studies.study_instance_uid", ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    Column("modality", Text, nullable=False),
    Column("series_number", BigInteger),
    Column("series_description", Text, nullable=False),
    Column("body_part_examined", Text, nullable=False),
    Column("performed_date", Text, nullable=False),
    Column("performed_time", Text, nullable=False),
    Column("attributes", Text, nullable=False),
)

instances = Table(
    "instances",
    schema,
    Column("sop_instance_uid", String(64), primary_key=True),
    Column(
        "series_instance_uid",
        ForeignKey("series.series_instance_uid", ondelete="CASCADE"),
        nullable=False,
    ),
    Column("study_instance_uid", String(64), nullable=False, index=True),
    Column("sop_class_uid", Text, nullable=False),
    Column("transfer_syntax_uid", Text, nullable=False),
    Column("instance_number", BigInteger),
    Column("path", PathBytes, nullable=False, index=True),
    Column("size_bytes", BigInteger, nullable=False),
    Column("mtime_ns", BigInteger, nullable=False),
    Column("inode", BigInteger, nullable=False),
    Column("attributes", Text, nullable=False),
    Column("record", LargeBinary, nullable=False),
    Column("metadata_json", LargeBinary),
    Index("instances_in_order", "series_instance_uid", "instance_number", "sop_instance_uid"),
)

files = Table(
    "files",
    schema,
    Column("folder", PathBytes, primary_key=True),
    Column("name", PathBytes, primary_key=True),
    Column("size_bytes", BigInteger, nullable=False),
    Column("mtime_ns", BigInteger, nullable=False),
    Column("inode", BigInteger, nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("sop_instance_uid", String(64), nullable=False, index=True),
)
"""Every file that a scan has looked at, so that the next one need not."""
