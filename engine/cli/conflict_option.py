"""``--on-conflict``, as `mersey serve` and `mersey import` take it."""

from __future__ import annotations

from enum import Enum

__all__ = ["ConflictOption"]


class ConflictOption(Enum):
    reject = "reject"
    replace = "replace"
    keep = "keep"
