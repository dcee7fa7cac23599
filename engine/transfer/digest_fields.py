"""Digest fields: Repr-Digest, Content-Digest and what asks for them (RFC 9530).

Pure: takes and gives the text of header fields, which are dictionaries of structured fields
(RFC 8941 §3.2). SHA-256 is the one algorithm offered; RFC 9530 §5 deprecates most others.
"""

from __future__ import annotations

import base64
import re

from ...codecs.errors import FormatError

__all__ = ["digest_field", "sha256_of", "wants_sha256"]

_WANTED = re.compile(r"[ \t]*sha-256[ \t]*(?:=[ \t]*([0-9]{1,2}))?[ \t]*(?:;.*)?", re.IGNORECASE)
_GIVEN = re.compile(r"[ \t]*sha-256[ \t]*=[ \t]*:([A-Za-z0-9+/=]{0,100}):[ \t]*(?:;.*)?", re.I)
_SHA256_BYTES = 32
_MAX_CHARS = 4096


def wants_sha256(field: str | None) -> bool:
    """Whether Want-Repr-Digest or Want-Content-Digest asks for SHA-256 (§4).

    A preference of 0 says no; another algorithm alone is as good as nothing.
    """
    if field is None or len(field) > _MAX_CHARS:
        return False
    found = [match for part in field.split(",") if (match := _WANTED.fullmatch(part))]
    return bool(found) and int(found[-1][1] or 1) > 0


def digest_field(sha256: bytes) -> str:
    """The value of Repr-Digest or Content-Digest that tells a SHA-256."""
    return f"sha-256=:{base64.b64encode(sha256).decode()}:"


def sha256_of(field: str | None) -> bytes | None:
    """The SHA-256 that a Repr-Digest or Content-Digest tells; None where it tells none.

    Raises
    ------
    FormatError
        It tells one that cannot be.
    """
    if field is None:
        return None
    for part in field[:_MAX_CHARS].split(","):
        if part.strip(" \t").lower().startswith("sha-256"):
            found = _GIVEN.fullmatch(part)
            try:
                digest = base64.b64decode(found[1], validate=True) if found else b""
            except ValueError:
                digest = b""
            if len(digest) != _SHA256_BYTES:
                raise FormatError("a digest field holds a SHA-256 that is none")
            return digest
    return None
