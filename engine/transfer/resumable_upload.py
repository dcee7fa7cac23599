"""The fields of resumable uploads for HTTP: structured fields, in and out. Pure.

Only what these fields need of RFC 9651: one Boolean or Integer with parameters that mean nothing,
and a Dictionary of Integers to write. A value that is none is ignored, as the draft wants it.

References
----------
draft-ietf-httpbis-resumable-upload, the editors' text of 1 July 2026 (after -11), interop
version 8; RFC 9651.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

__all__ = [
    "INCONSISTENT_LENGTH",
    "INTEROP_VERSION",
    "MISMATCHING_OFFSET",
    "PARTIAL_UPLOAD",
    "boolean_field",
    "format_boolean",
    "format_limits",
    "integer_field",
]

INTEROP_VERSION = 8
"""What Upload-Draft-Interop-Version says on both sides until there is an RFC."""

PARTIAL_UPLOAD = "application/partial-upload"
MISMATCHING_OFFSET = "https://iana.org/assignments/http-problem-types#mismatching-upload-offset"
INCONSISTENT_LENGTH = "https://iana.org/assignments/http-problem-types#inconsistent-upload-length"

_MAX_FIELD = 1024
_PARAMETERS = r'(?: *; *[a-z*][a-z0-9_.*\-]*(?:=(?:[^;"]*|"[^"]*"))?)*'
_BOOLEAN = re.compile(rf" *\?([01]){_PARAMETERS} *")
_INTEGER = re.compile(rf" *([0-9]{{1,15}}){_PARAMETERS} *")


def boolean_field(field: str | None) -> bool | None:
    """The Boolean that `field` is; None where it is absent or no Boolean (RFC 9651 §3.3.6)."""
    found = _match(_BOOLEAN, field)
    return None if found is None else found == "1"


def integer_field(field: str | None) -> int | None:
    """The Integer ≥ 0 that `field` is; None where it is absent or none (RFC 9651 §3.3.1)."""
    found = _match(_INTEGER, field)
    return None if found is None else int(found)


def format_boolean(value: bool, /) -> str:
    """A Boolean as a field."""
    return "?1" if value else "?0"


def format_limits(limits: Mapping[str, int]) -> str:
    """A Dictionary of Integers as a field: Upload-Limit."""
    return ", ".join(f"{key}={value}" for key, value in limits.items())


def _match(pattern: re.Pattern[str], field: str | None) -> str | None:
    if field is None or len(field) > _MAX_FIELD:
        return None
    found = pattern.fullmatch(field)
    return found[1] if found else None
