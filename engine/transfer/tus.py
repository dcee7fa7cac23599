"""The fields of tus 1.0: metadata, checksums, concatenation. Pure.

References
----------
https://tus.io/protocols/resumable-upload, version 1.0.0
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from ...codecs.errors import UsageError

__all__ = [
    "EXTENSIONS",
    "OFFSET_MEDIA_TYPE",
    "VERSION",
    "Checksum",
    "Concat",
    "format_algorithms",
    "parse_checksum",
    "parse_concat",
    "parse_metadata",
    "parse_number",
]

VERSION = "1.0.0"
EXTENSIONS = (
    "creation",
    "creation-with-upload",
    "creation-defer-length",
    "expiration",
    "checksum",
    "termination",
    "concatenation",
)
OFFSET_MEDIA_TYPE = "application/offset+octet-stream"

_DIGEST_BYTES = {"sha256": 32, "sha1": 20, "crc32": 4}
_MAX_METADATA = 16 << 10
_MAX_CONCAT = 1 << 20
_MAX_PARTS = 4096
_KEY = re.compile(r"[\x21-\x2b\x2d-\x7e]{1,256}")
_NUMBER = re.compile(r"[0-9]{1,18}")


@dataclass(frozen=True, slots=True)
class Checksum:
    """What the bytes of one request should come to."""

    algorithm: str
    digest: bytes


@dataclass(frozen=True, slots=True)
class Concat:
    """Whether an upload is a part of another, or the other, made of `parts` (URLs or paths)."""

    kind: Literal["partial", "final"]
    parts: tuple[str, ...] = ()


def parse_number(field: str, *, name: str) -> int:
    """A field that is a number ≥ 0.

    Raises
    ------
    UsageError
        It is none.
    """
    if not _NUMBER.fullmatch(field):
        raise UsageError(f"{name} is no number ≥ 0")
    return int(field)


def parse_metadata(field: str) -> Mapping[str, str]:
    """What Upload-Metadata tells (Creation): keys, and values in Base64 that are UTF-8.

    Raises
    ------
    UsageError
        It is longer than is taken, or no such list.
    """
    if len(field) > _MAX_METADATA:
        raise UsageError(f"Upload-Metadata of {len(field)} bytes, at most {_MAX_METADATA}")
    found: dict[str, str] = {}
    for pair in field.split(",") if field.strip() else ():
        key, _, value = pair.strip(" \t").partition(" ")
        if not _KEY.fullmatch(key) or key in found:
            raise UsageError("Upload-Metadata has an empty key, or one key twice")
        try:
            found[key] = base64.b64decode(value.strip(), validate=True).decode()
        except ValueError:  # of either decoding, or of what is not even ASCII
            raise UsageError("Upload-Metadata has a value that is no UTF-8 in Base64") from None
    return found


def parse_checksum(field: str) -> Checksum:
    """What Upload-Checksum tells (Checksum).

    Raises
    ------
    UsageError
        The algorithm is none that is offered, or the digest none of it.
    """
    algorithm, _, value = field.strip(" \t").partition(" ")
    length_bytes = _DIGEST_BYTES.get(algorithm)
    if length_bytes is None:
        raise UsageError(f"Upload-Checksum with another algorithm than {format_algorithms()}")
    try:
        digest = base64.b64decode(value.strip()[:128], validate=True)
    except ValueError:
        raise UsageError("Upload-Checksum is no Base64") from None
    if len(digest) != length_bytes:
        raise UsageError(f"Upload-Checksum of {len(digest)} bytes, expected {length_bytes}")
    return Checksum(algorithm, digest)


def parse_concat(field: str) -> Concat:
    """What Upload-Concat tells (Concatenation).

    Raises
    ------
    UsageError
        It is neither ``partial`` nor ``final;`` and URLs.
    """
    text = field.strip(" \t")
    if text == "partial":
        return Concat("partial")
    parts: Sequence[str] = ()
    if text.startswith("final;") and len(text) <= _MAX_CONCAT:
        parts = text.removeprefix("final;").split()
    if not 1 <= len(parts) <= _MAX_PARTS:
        raise UsageError(f"Upload-Concat is neither partial nor final;URL…, 1 to {_MAX_PARTS}")
    return Concat("final", tuple(parts))


def format_algorithms() -> str:
    """What Tus-Checksum-Algorithm says."""
    return ",".join(_DIGEST_BYTES)
