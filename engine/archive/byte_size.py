"""Lengths as people write them: ``20GB``, ``512 MiB``, ``1000``."""

from __future__ import annotations

import re

from ...codecs.errors import UsageError

__all__ = ["parse_byte_size"]

_FORM = re.compile(r"([0-9]{1,18}(?:\.[0-9]{1,6})?)\s*([kKMGTP]?)(i?)[bB]?")
_POWERS = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4, "P": 5}


def parse_byte_size(text: str) -> int:
    """The length in bytes; K, M, G, T and P are powers of 1000, Ki … of 1024.

    Raises
    ------
    UsageError
        It is no such length.
    """
    found = _FORM.fullmatch(text.strip())
    if found is None or (found[3] and not found[2]):
        raise UsageError(f"{text!r} is no size: write 20GB, 512MiB or a number of bytes")
    base = 1024 if found[3] else 1000
    return int(float(found[1]) * base ** _POWERS[found[2].upper()])
