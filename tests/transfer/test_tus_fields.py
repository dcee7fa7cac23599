"""Fields of tus and of resumable uploads: what they mean, and what they must not be."""

from __future__ import annotations

import base64
import hashlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from mersey.codecs.errors import UsageError
from mersey.engine.transfer.resumable_upload import (
    boolean_field,
    format_boolean,
    format_limits,
    integer_field,
)
from mersey.engine.transfer.tus import (
    Concat,
    parse_checksum,
    parse_concat,
    parse_metadata,
    parse_number,
)


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("?1", True),
        ("?0", False),
        (" ?1 ", True),
        ("?1;a=b", True),
        ("?1; a; b=2", True),
        ("true", None),
        ("1", None),
        ("?2", None),
        ("?1, ?0", None),
        ("", None),
        (None, None),
    ],
)
def test_a_boolean_is_one_or_is_ignored(field: str | None, value: bool | None) -> None:
    assert boolean_field(field) is value


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("0", 0),
        (" 17 ", 17),
        ("17;unit=bytes", 17),
        ("999999999999999", 10**15 - 1),
        ("1000000000000000", None),
        ("-1", None),
        ("1.0", None),
        ("+1", None),
        ("1, 2", None),
        ("１", None),
        ("1" * 5000, None),
        (None, None),
    ],
)
def test_an_integer_is_one_or_is_ignored(field: str | None, value: int | None) -> None:
    assert integer_field(field) == value


@given(st.text(max_size=60))
@example("0 \x80")
@example("sha1 \x80")
def test_no_field_breaks_the_readers(text: str) -> None:
    assert boolean_field(text) in (None, True, False)
    assert integer_field(text) is None or integer_field(text) >= 0
    for parse in (parse_metadata, parse_checksum, parse_concat):
        try:
            parse(text)
        except UsageError:
            continue


def test_limits_and_booleans_are_written_as_structured_fields() -> None:
    assert format_boolean(True) == "?1"
    assert format_boolean(False) == "?0"
    assert format_limits({"max-size": 10, "max-age": 3}) == "max-size=10, max-age=3"


def test_metadata_has_keys_with_and_without_values() -> None:
    field = f"filename {encoded('Müller.dcm'.encode())},is_confidential, empty "
    found = parse_metadata(field)
    assert found == {"filename": "Müller.dcm", "is_confidential": "", "empty": ""}
    assert parse_metadata("") == {}


@pytest.mark.parametrize(
    "field", ["a,a", ",", "a !!!", f"a {encoded(bytes([255]))}", "a b c", "x" * 20_000]
)
def test_metadata_that_is_none_is_refused(field: str) -> None:
    with pytest.raises(UsageError, match="Upload-Metadata"):
        parse_metadata(field)


def test_a_checksum_names_its_algorithm() -> None:
    digest = hashlib.sha1(b"hello").digest()
    found = parse_checksum(f"sha1 {encoded(digest)}")
    assert (found.algorithm, found.digest) == ("sha1", digest)
    assert parse_checksum(f"crc32 {encoded(bytes(4))}").digest == bytes(4)


@pytest.mark.parametrize(
    "field", ["", "sha1", "md5 AAAA", f"sha256 {encoded(bytes(20))}", "sha1 é", "sha1 !!"]
)
def test_a_checksum_that_is_none_is_refused(field: str) -> None:
    with pytest.raises(UsageError, match="Upload-Checksum"):
        parse_checksum(field)


def test_concatenation_is_partial_or_names_its_parts() -> None:
    assert parse_concat("partial") == Concat("partial")
    assert parse_concat("final;/uploads/a http://h/uploads/b") == Concat(
        "final", ("/uploads/a", "http://h/uploads/b")
    )


@pytest.mark.parametrize(
    "field", ["", "final", "final;", "final; ", "whole", "final;" + "a " * 5000]
)
def test_concatenation_of_nothing_is_refused(field: str) -> None:
    with pytest.raises(UsageError, match="Upload-Concat"):
        parse_concat(field)


@pytest.mark.parametrize("field", ["", "-1", "1e3", "0x10", "１", "9" * 19])
def test_a_number_is_digits_and_not_too_many(field: str) -> None:
    with pytest.raises(UsageError, match="Upload-Length"):
        parse_number(field, name="Upload-Length")
    assert parse_number("007", name="Upload-Length") == 7
