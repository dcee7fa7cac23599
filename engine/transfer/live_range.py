"""Range of an answer whose length is not known yet, because it is still being made (RFC 8673).

Content-Range has to say where a part ends (RFC 9110 §14.4), which nobody knows then. Who asks up
to `LIVE_END`, further than anything goes, is told the same number back, with ``*`` for the whole,
and gets all from the first byte on, as it comes. Of an answer that is whole by then the same
request selects its rest, as it does at any server.

A range without an end, as curl and viewers send it, is taken for what the length says of it: they
would take the end that they are told for the end of all.
"""

from __future__ import annotations

from .ranges import ByteRange, select_ranges

__all__ = ["LIVE_END", "ends_with_all", "live_content_range", "live_range", "live_start"]

LIVE_END = (1 << 53) - 1
"""The last-pos that RFC 8673 §4 recommends: what counts in doubles can hold it."""

_ENDLESS_BYTES = 10**20


def live_range(start: int) -> str:
    """The value of Range for all from byte `start` on, whether or not it is there yet."""
    return f"bytes={start}-{LIVE_END}"


def live_content_range(start: int) -> str:
    """The value of Content-Range beside the 206 for it, where the length is not known."""
    return f"bytes {start}-{LIVE_END}/*"


def live_start(header: str) -> int | None:
    """Where the Range field `header` begins, if it asks for what is still being made."""
    selected = _only(header)
    return selected.start if selected is not None and selected.stop == LIVE_END + 1 else None


def ends_with_all(header: str) -> bool:
    """Whether the answer to the Range field `header` is the whole, however long that is.

    It is one that is to be ignored, it selects everything, or several ranges, which no server
    has to honour (RFC 9110 §14.2).
    """
    ranges = select_ranges(header, length_bytes=_ENDLESS_BYTES)
    if ranges is None or len(ranges) > 1:
        return True
    return ranges == (ByteRange(0, _ENDLESS_BYTES),)


def _only(header: str) -> ByteRange | None:
    ranges = select_ranges(header, length_bytes=_ENDLESS_BYTES)
    return ranges[0] if ranges is not None and len(ranges) == 1 else None
