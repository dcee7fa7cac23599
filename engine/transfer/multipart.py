"""multipart/related, written as a Body: literal heads between the segments of the parts.

The bytes depend on the parts and the entity tag alone, boundary included, because viewers
join the answers to several Range requests and cut them at the first one's boundary. There is
no preamble, the first line is the boundary, fields are spelled `Content-Type:`, lines end with
CRLF: readers exist that accept nothing else. Never reads a file.

References
----------
RFC 2046 §5.1, RFC 2387, DICOM PS3.18 §8.6.1.2
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from .body import Body, Segment, segment_bytes

__all__ = ["Part", "boundary_of", "multipart_related"]


@dataclass(frozen=True, slots=True)
class Part:
    """One part: its Content-Type and its bytes."""

    content_type: str
    segments: tuple[Segment, ...]

    @property
    def length_bytes(self) -> int:
        """The length of its bytes, without its head."""
        return sum(map(segment_bytes, self.segments))


def boundary_of(etag: str) -> str:
    """The boundary that goes with an entity tag; needs no quotes in a Content-Type."""
    return "mersey-" + "".join(c for c in etag if c.isascii() and c.isalnum())[:60]


def multipart_related(parts: Iterable[Part], *, related_type: str, etag: str) -> tuple[str, Body]:
    """Write `parts` as multipart/related.

    Parameters
    ----------
    related_type
        The media type of the root part, for the ``type`` parameter (RFC 2387 §3.1).
    etag
        The strong, quoted entity tag of the whole; the boundary is made of it.

    Returns
    -------
    str
        The Content-Type of the whole.
    Body
        The payload.
    """
    boundary = boundary_of(etag)

    def segments() -> Iterator[Segment]:
        opening = f"--{boundary}\r\n"
        for part in parts:
            head = (
                f"{opening}Content-Type: {part.content_type}\r\n"
                f"Content-Length: {part.length_bytes}\r\n\r\n"
            )
            yield head.encode("latin-1")
            yield from part.segments
            opening = f"\r\n--{boundary}\r\n"
        yield f"\r\n--{boundary}--\r\n".encode("latin-1")

    content_type = f'multipart/related; type="{related_type}"; boundary={boundary}'
    return content_type, Body.of(segments(), etag=etag)
