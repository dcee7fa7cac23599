"""Digest fields ask for a SHA-256, or tell one (RFC 9530)."""

from __future__ import annotations

import hashlib

import pytest
from mersey.codecs.errors import FormatError
from mersey.engine.transfer.digest_fields import digest_field, sha256_of, wants_sha256


@pytest.mark.parametrize(
    ("field", "wanted"),
    [
        (None, False),
        ("", False),
        ("sha-256=10", True),
        ("sha-512=3, sha-256=10, unixsum=0", True),
        ("SHA-256 = 1", True),
        ("sha-256", True),
        ("sha-256=0", False),
        ("sha-512=5", False),
        ("sha-256=5, sha-256=0", False),
        ("sha-256=999", False),
        ("xsha-256=1", False),
        ("," * 1000, False),
        ("sha-256=1," * 1000, False),
    ],
)
def test_sha256_is_given_where_it_is_asked_for(field: str | None, wanted: bool) -> None:
    assert wants_sha256(field) is wanted


def test_what_is_told_is_read() -> None:
    digest = hashlib.sha256(b"mersey").digest()

    assert sha256_of(digest_field(digest)) == digest
    assert sha256_of(f"sha-512=:AAAA:, {digest_field(digest)}") == digest


def test_the_example_of_the_standard_is_read() -> None:
    field = "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:"  # RFC 9530 appendix B.1

    assert sha256_of(field) == hashlib.sha256(b'{"hello": "world"}\n').digest()


@pytest.mark.parametrize("field", [None, "", "sha-512=:AAAA:", "md5=:AAAA:"])
def test_no_sha256_is_none(field: str | None) -> None:
    assert sha256_of(field) is None


@pytest.mark.parametrize(
    "field", ["sha-256=abc", "sha-256=:AAAA:", "sha-256=:!!:", "sha-256", "sha-256=:" + "A" * 5000]
)
def test_a_sha256_that_cannot_be_is_refused(field: str) -> None:
    with pytest.raises(FormatError):
        sha256_of(field)
