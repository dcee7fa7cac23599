"""Attributes that the catalogue has no member for, from an instance's whole metadata."""

from __future__ import annotations

import json
from functools import lru_cache

import zstandard

from ...codecs.errors import MerseyError
from ..dicom.tags import KEPT_TAGS
from .attributes import is_told
from .metadata import unpack_metadata

__all__ = ["fields_of", "is_kept"]


@lru_cache(maxsize=4096)
def is_kept(tag: str) -> bool:
    """Whether `tag`, eight hexadecimal digits, is among the members that rows keep."""
    return int(tag, 16) in KEPT_TAGS and is_told(int(tag, 16))


def fields_of(metadata: bytes, tags: frozenset[str]) -> list[str]:
    """The members of `tags`, ``"tag":{…}``, in compressed metadata; none where it is bad."""
    try:
        members = json.loads(unpack_metadata(metadata))
    except (MerseyError, ValueError, zstandard.ZstdError):
        return []
    return [
        f'"{tag}":{json.dumps(members[tag], separators=(",", ":"), ensure_ascii=False)}'
        for tag in tags & members.keys()
    ]
