"""multipart/related, read as it comes: bytes are fed, events come out.

A push parser without I/O. Its cost is linear in the input at any chunking: what it keeps
between two calls is a header line or the few bytes that may be the beginning of a delimiter.
Where a part ends the delimiter decides, never Content-Length: a part whose Content-Length says
otherwise ends with an error, and the next one begins. What lies before the first delimiter and
after the last one is passed over (RFC 2046 §5.1.1).

Delimiters and header lines end with CRLF. Of senders that end their lines with LF alone the
first delimiter is taken as the sample: then LF alone comes before each later one.

References
----------
RFC 2046 §5.1, RFC 2387, DICOM PS3.18 §8.6.1.2
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field

from ..._native import find
from ...codecs.errors import FormatError, UsageError

__all__ = [
    "MAX_BOUNDARY_CHARS",
    "End",
    "MultipartEvent",
    "MultipartReader",
    "PartBegin",
    "PartData",
    "PartEnd",
]

MAX_BOUNDARY_CHARS = 70
"""RFC 2046 §5.1.1."""

_MAX_HEADER_BYTES = 16 << 10
_MAX_FIELDS = 64
_MAX_PADDING = 256  # transport padding: white space that a gateway put after a delimiter
_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,\-./:=? ]{0,69}[0-9A-Za-z'()+_,\-./:=?]")
_LINE_REST = re.compile(rb"(--)?[ \t]*(\r?\n)")
_MAYBE_LINE_REST = re.compile(rb"-?|(--)?[ \t]*\r?")
_LENGTH = re.compile(r"[0-9]{1,18}")
_FIELD_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,128}")


@dataclass(frozen=True, slots=True)
class PartBegin:
    """A part begins; the names of its header fields are in lower case."""

    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PartData:
    """Bytes of the part; a view of what was fed where that is possible."""

    data: bytes | memoryview


@dataclass(frozen=True, slots=True)
class PartEnd:
    """The part ends; with `error` it is not to be used."""

    error: FormatError | None = None


@dataclass(frozen=True, slots=True)
class End:
    """Nothing follows; with `error` the body stopped before its last delimiter."""

    error: FormatError | None = None


type MultipartEvent = PartBegin | PartData | PartEnd | End
type _Steps = Generator[MultipartEvent, None, int]


class MultipartReader:
    """Reads one multipart body. Feed it, then `finish` it.

    Parameters
    ----------
    boundary
        The boundary parameter of the Content-Type, without quotes.

    Raises
    ------
    UsageError
        `boundary` is none: empty, longer than 70 characters, or with others than RFC 2046's.
    """

    def __init__(self, boundary: str) -> None:
        if not _BOUNDARY.fullmatch(boundary):
            raise UsageError(
                f"a boundary of {len(boundary)} characters, expected 1 to {MAX_BOUNDARY_CHARS} "
                "of those that RFC 2046 allows"
            )
        self._dashed = b"--" + boundary.encode("ascii")
        self._newline = b"\n"
        self._state = self._read_data
        self._in_part = False
        self._is_over = False
        self._at_start = True  # where a delimiter needs no line end before it
        self._kept = b""
        self._line = bytearray()
        self._headers: dict[str, str] = {}
        self._header_bytes = 0
        self._expected: int | None = None
        self._error: FormatError | None = None
        self._count = 0
        self._part = 0
        self._fed = self._begins = 0
        self.part_end = 0
        """Where the delimiter begins that ended the last part, in bytes from the first fed."""

    def feed(self, data: bytes | bytearray | memoryview) -> Iterator[MultipartEvent]:
        """The events of the next bytes, to be taken up before the next call.

        Views in them are of `data`, which must not change meanwhile.
        """
        if not self._is_over and len(data):
            chunk = data if isinstance(data, bytes) else bytes(data)
            self._begins = self._fed - len(self._kept)
            self._fed += len(chunk)
            if self._kept:
                chunk, self._kept = self._kept + chunk, b""
            at = 0
            while at < len(chunk) and not self._is_over:
                at = yield from self._state(chunk, at)

    def finish(self) -> Iterator[MultipartEvent]:
        """The events of the body's end: none where the last delimiter ended it before."""
        if self._is_over:
            return
        self._is_over = True
        if self._state == self._read_data:
            last = self._kept.removeprefix(self._newline)
            if last.startswith(self._dashed + b"--") and (self._at_start or last != self._kept):
                yield from self._end_part()
                yield End()
                return
        error = FormatError("the multipart body ends before its last boundary")
        if self._state == self._read_header:
            yield PartBegin()
            yield PartEnd(error)
        elif self._in_part:
            yield PartEnd(error)
        yield End(error)

    def _read_data(self, chunk: bytes, start: int) -> _Steps:
        """Pass on the data of a part, or pass over a preamble, up to a delimiter."""
        delimiter = self._newline + self._dashed
        found, after = self._first_delimiter(chunk, start, delimiter)
        while found >= 0:
            rest = _LINE_REST.match(chunk, after, after + _MAX_PADDING)
            if rest is not None:
                yield from self._give(chunk, start, found)
                if self._in_part:
                    self.part_end = self._begins + found
                yield from self._end_part()
                if rest.group(1):
                    self._is_over = True
                    yield End()
                else:
                    self._begin_headers(rest.group(2))
                return rest.end()
            if len(chunk) - after < _MAX_PADDING and _MAYBE_LINE_REST.fullmatch(chunk, after):
                break
            # It only begins like a delimiter.
            self._at_start = False
            found = find(chunk, delimiter, found + 1)
            after = found + len(delimiter)
        keep_from = found if found >= 0 else self._tail(chunk, start, delimiter)
        yield from self._give(chunk, start, keep_from)
        self._kept = chunk[keep_from:]
        return len(chunk)

    def _first_delimiter(self, chunk: bytes, start: int, delimiter: bytes) -> tuple[int, int]:
        """Where the first delimiter, or what looks like one, begins and ends; -1 for none."""
        if self._at_start and chunk.startswith(self._dashed, start):
            return start, start + len(self._dashed)
        found = find(chunk, delimiter, start)
        return found, found + len(delimiter)

    def _tail(self, chunk: bytes, start: int, delimiter: bytes) -> int:
        """Where the longest end of `chunk` begins that may be the beginning of a delimiter."""
        if self._at_start and self._dashed.startswith(chunk[start : start + len(delimiter)]):
            return start
        at = max(start, len(chunk) - len(delimiter) + 1)
        while (at := chunk.find(delimiter[:1], at)) >= 0:
            if delimiter.startswith(chunk[at:]):
                return at
            at += 1
        return len(chunk)

    def _give(self, chunk: bytes, start: int, stop: int) -> Iterator[MultipartEvent]:
        if stop <= start:
            return
        self._at_start = False
        if not self._in_part:
            return
        self._count += stop - start
        if start == 0 and stop == len(chunk):
            yield PartData(chunk)
        else:
            yield PartData(memoryview(chunk)[start:stop])

    def _end_part(self) -> Iterator[MultipartEvent]:
        if not self._in_part:
            return
        self._in_part = False
        if self._error is None and self._expected is not None and self._expected != self._count:
            self._error = FormatError(
                f"part {self._part} has {self._count} bytes before the next boundary, "
                f"its Content-Length says {self._expected}"
            )
        yield PartEnd(self._error)

    def _begin_headers(self, newline: bytes) -> None:
        if self._part == 0:
            self._newline = newline
        self._state = self._read_header
        self._part += 1
        self._line.clear()
        self._headers = {}
        self._header_bytes = self._count = 0
        self._expected = self._error = None

    def _read_header(self, chunk: bytes, start: int) -> _Steps:
        """Take a line of the header, or what there is of one."""
        line_end = chunk.find(b"\n", start) + 1
        upto = line_end or len(chunk)
        limit = start + _MAX_HEADER_BYTES - self._header_bytes
        if upto > limit:
            # What follows is looked through for the next delimiter only.
            self._fail(f"a header of more than {_MAX_HEADER_BYTES} bytes")
            yield from self._begin_data()
            self._at_start = False
            return limit
        self._header_bytes += upto - start
        self._line += memoryview(chunk)[start:upto]
        if not line_end:
            return upto
        line = bytes(self._line).rstrip(b"\r\n")
        self._line.clear()
        ending = line[len(self._dashed) :].rstrip(b" \t") if line.startswith(self._dashed) else None
        if not line:
            yield from self._begin_data()
        elif ending in (b"", b"--"):
            self._fail("no empty line after its header")
            yield PartBegin()
            yield PartEnd(self._error)
            if ending:
                self._is_over = True
                yield End()
            else:
                self._begin_headers(self._newline)
        else:
            self._take_field(line)
        return upto

    def _begin_data(self) -> Iterator[MultipartEvent]:
        self._state = self._read_data
        self._in_part = self._at_start = True
        length = self._headers.get("content-length")
        if length is not None:
            if _LENGTH.fullmatch(length):
                self._expected = int(length)
            else:
                self._fail("a Content-Length that is no number")
        yield PartBegin(self._headers)

    def _take_field(self, line: bytes) -> None:
        text = line.decode("utf-8", "replace")
        if text[0] in " \t" and self._headers:  # folded (RFC 5322 §2.2.3)
            name, value = self._headers.popitem()
            self._headers[name] = f"{value} {text.strip()}"
            return
        name, colon, value = text.partition(":")
        name = name.rstrip().lower()
        if not colon or not _FIELD_NAME.fullmatch(name):
            self._fail("a header line that is no field")
        elif len(self._headers) >= _MAX_FIELDS:
            self._fail(f"a header of more than {_MAX_FIELDS} fields")
        elif name in self._headers and self._headers[name] != value.strip():
            self._fail("a header with two values for one field")
        else:
            self._headers[name] = value.strip()

    def _fail(self, what: str) -> None:
        if self._error is None:
            self._error = FormatError(f"part {self._part} has {what}")
