"""Preconditions on an entity tag: If-Match, If-None-Match, If-Range (RFC 9110 §13).

Pure. Dates are never compared: what has a strong entity tag is known by that alone.
"""

from __future__ import annotations

import re
from enum import Enum

__all__ = ["Condition", "evaluate", "range_applies"]

_TAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"')


class Condition(Enum):
    """What the preconditions of a request ask for."""

    PROCEED = "proceed"
    NOT_MODIFIED = "not modified"
    FAILED = "failed"


def evaluate(*, etag: str, if_match: str | None, if_none_match: str | None) -> Condition:
    """Evaluate the preconditions of a GET or HEAD in the order of RFC 9110 §13.2.2."""
    if if_match is not None and not _matches(if_match, etag, weak=False):
        return Condition.FAILED
    if if_none_match is not None and _matches(if_none_match, etag, weak=True):
        return Condition.NOT_MODIFIED
    return Condition.PROCEED


def range_applies(if_range: str | None, *, etag: str) -> bool:
    """Whether Range is to be honoured: If-Range is absent, or is exactly this strong tag.

    A date, a weak tag or another tag means that the client holds part of something else
    (RFC 9110 §13.1.5).
    """
    return if_range is None or if_range.strip(" \t") == etag


def _matches(field: str, etag: str, *, weak: bool) -> bool:
    if field.strip(" \t") == "*":
        return True
    tags: list[str] = _TAG.findall(field)
    if weak:
        tags = [tag.removeprefix("W/") for tag in tags]
    return etag in tags
