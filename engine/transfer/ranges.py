"""Range and Content-Range: which bytes of a representation a request selects (RFC 9110 §14).

Pure: takes the text of header fields, gives half-open byte ranges.

- One range is always honoured: a viewer appends what it gets, so that the whole in the place of
  a part would corrupt a frame.
- Several ranges are honoured as multipart/byteranges, in the order asked for; where some of
  them overlap or adjoin, they are joined and sorted (§15.3.7.2 allows both).
- A Range of another unit, or one that is not in the grammar, is ignored (§14.2).
- Ranges that select nothing, an inverted range, and more than `MAX_RANGES` are answered with 416.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from .body import Body, Segment

__all__ = [
    "MAX_RANGES",
    "ByteRange",
    "byteranges",
    "content_range",
    "select_ranges",
    "unsatisfied_range",
]

MAX_RANGES = 64
"""More ranges than any client has a use for; Apache httpd's limit is 200 (CVE-2011-3192)."""

_UNIT = re.compile(r"[ \t]*bytes[ \t]*=(.*)", re.IGNORECASE | re.DOTALL)
_SPEC = re.compile(r"([0-9]*)-([0-9]*)")
_MAX_DIGITS = 20


@dataclass(frozen=True, slots=True)
class ByteRange:
    """Bytes `start` to `stop`, `stop` not included."""

    start: int
    stop: int


def select_ranges(header: str, *, length_bytes: int) -> tuple[ByteRange, ...] | None:
    """Which bytes the Range field `header` selects of `length_bytes`.

    Returns
    -------
    tuple of ByteRange, or None
        None: the field is to be ignored, the whole is the answer. Empty: nothing can be
        selected, 416 is the answer. Otherwise each range lies within the representation.
    """
    unit = _UNIT.fullmatch(header)
    if unit is None:
        return None
    specs = [text.strip(" \t") for text in unit[1].split(",")]
    specs = [text for text in specs if text]
    matches = [_SPEC.fullmatch(text) for text in specs[: MAX_RANGES + 1]]
    if not specs or any(match is None or match[0] == "-" for match in matches):
        return None
    if len(specs) > MAX_RANGES:
        return ()
    selected = []
    for first, last in (match.groups() for match in matches if match is not None):
        if first and last and _position(last) < _position(first):
            return ()
        if not first:
            found = ByteRange(max(length_bytes - _position(last), 0), length_bytes)
        else:
            stop = _position(last) + 1 if last else length_bytes
            found = ByteRange(_position(first), min(stop, length_bytes))
        if found.start < found.stop:
            selected.append(found)
    return _joined(selected)


def content_range(selected: ByteRange, *, length_bytes: int) -> str:
    """The value of Content-Range beside a 206 (RFC 9110 §14.4)."""
    return f"bytes {selected.start}-{selected.stop - 1}/{length_bytes}"


def unsatisfied_range(*, length_bytes: int) -> str:
    """The value of Content-Range beside a 416."""
    return f"bytes */{length_bytes}"


def byteranges(
    body: Body, ranges: Sequence[ByteRange], *, content_type: str, boundary: str
) -> Body:
    """The payload of a 206 with several ranges (RFC 9110 §14.6)."""

    def segments() -> Iterator[Segment]:
        for index, selected in enumerate(ranges):
            head = (
                f"{'\r\n' if index else ''}--{boundary}\r\n"
                f"Content-Type: {content_type}\r\n"
                f"Content-Range: {content_range(selected, length_bytes=body.length_bytes)}\r\n\r\n"
            )
            yield head.encode("latin-1")
            yield from body.slice(selected.start, selected.stop).segments()
        yield f"\r\n--{boundary}--\r\n".encode("latin-1")

    return Body.of(segments(), etag=body.etag)


def _position(digits: str) -> int:
    # 20 digits are past the end of anything; more of them must cost nothing.
    return int(digits.lstrip("0")[:_MAX_DIGITS] or "0")


def _joined(ranges: list[ByteRange]) -> tuple[ByteRange, ...]:
    ordered = sorted(ranges, key=lambda selected: selected.start)
    if all(left.stop < right.start for left, right in pairwise(ordered)):
        return tuple(ranges)
    joined = ordered[:1]
    for selected in ordered[1:]:
        last = joined[-1]
        if selected.start <= last.stop:
            joined[-1] = ByteRange(last.start, max(last.stop, selected.stop))
        else:
            joined.append(selected)
    return tuple(joined)
