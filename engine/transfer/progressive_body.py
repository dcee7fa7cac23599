"""The frames of a series as one Body, in resolution-major order.

multipart/related. The root part describes what comes (`series_description`); every other part
is a byte range of one frame's codestream, labelled with the frame it belongs to, where in it,
and at which reduction that frame's image is complete with it::

    Content-Type: image/jphc; transfer-syntax=1.2.840.10008.1.2.4.202
    Content-Location: instances/1.2.3/frames/1
    Content-Range: bytes 609-1428/151026
    Mersey-Reduction: 4
    Content-Digest: sha-256=:lI/9zfyJ7kTcwwCQnQP8cyHm2Ge2Lb2tN1tKpPZRgTY=:
    Mersey-Check: 5f0b8a1e

The parts of a frame, joined, are the beginning of that resource, or all of it. Codestreams with
a wrong byte mostly decode, so each part has its digest; Mersey-Check is the CRC-32 of the values
of the other fields, each with a line feed: a flipped bit could name another frame. Instances
that turn out to have no progressive form while an answer is sent are named in further parts of
JSON, ``{"left_out": [{"uid": …, "reason": …}]}``.

Heads are short because there are many: the boundary has 24 characters, and Content-Range makes
Content-Length needless. The bytes depend on the frames, the order and the entity tag alone, and
the boundary on the entity tag: an answer without one is told from another by it.

References
----------
RFC 2387, RFC 2557 §4 (Content-Location of parts), RFC 9110 §14.4, RFC 9530 §2
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from .body import BlobSlice, Body, FileSlice, Segment
from .digest_fields import digest_field
from .frame_pieces import FramePieces
from .resolution_order import FrameOrder, FramePiece, plan_pieces
from .series_description import SeriesDescription

__all__ = [
    "CHECKED_FIELDS",
    "CHECK_FIELD",
    "DESCRIPTION_TYPE",
    "REDUCTION_FIELD",
    "ProgressiveFrame",
    "ProgressiveWriter",
    "head_check",
    "progressive_body",
    "progressive_boundary",
]

REDUCTION_FIELD = "Mersey-Reduction"
CHECK_FIELD = "Mersey-Check"
CHECKED_FIELDS = (
    "Content-Type",
    "Content-Location",
    "Content-Range",
    REDUCTION_FIELD,
    "Content-Digest",
)
DESCRIPTION_TYPE = "application/json"


@dataclass(frozen=True, slots=True)
class ProgressiveFrame:
    """A frame: its URL relative to that of the whole, its bytes, and the pieces they come in."""

    location: str
    content_type: str
    segments: tuple[Segment, ...]
    pieces: FramePieces


class ProgressiveWriter:
    """Writes the parts of the answer whose strong, quoted entity tag is `etag`."""

    def __init__(self, etag: str) -> None:
        self._boundary = progressive_boundary(etag)

    @property
    def content_type(self) -> str:
        """The Content-Type of the whole."""
        return f'multipart/related; type="{DESCRIPTION_TYPE}"; boundary={self._boundary}'

    def root(self, description: SeriesDescription) -> bytes:
        """The first part."""
        return self._json(description.to_json()).removeprefix(b"\r\n")

    def left_out(self, rows: Iterable[tuple[str, str]]) -> bytes:
        """A part that says of instances that were described that they do not come, and why."""
        content = {"left_out": [{"uid": uid, "reason": reason} for uid, reason in rows]}
        return self._json(json.dumps(content, separators=(",", ":")).encode())

    def piece(self, frame: ProgressiveFrame, piece: FramePiece) -> Iterator[Segment]:
        """The part of one piece of a frame."""
        yield self._head(
            frame.content_type,
            frame.location,
            f"bytes {piece.start}-{piece.stop - 1}/{frame.pieces.cut_points[0]}",
            str(piece.reduction),
            digest_field(frame.pieces.digest(piece.cut)),
        )
        yield from _cut(frame.segments, piece)

    def tail(self) -> bytes:
        """What ends the whole."""
        return f"\r\n--{self._boundary}--\r\n".encode("latin-1")

    def _json(self, data: bytes) -> bytes:
        digest = digest_field(hashlib.sha256(data).digest())
        length = f"\r\nContent-Length: {len(data)}"
        return self._head(DESCRIPTION_TYPE, "", "", "", digest, more=length) + data

    def _head(self, *values: str, more: str = "") -> bytes:
        lines = [
            f"{name}: {value}" for name, value in zip(CHECKED_FIELDS, values, strict=True) if value
        ]
        lines.append(f"{CHECK_FIELD}: {head_check(values)}{more}")
        head = "\r\n".join(lines)
        return f"\r\n--{self._boundary}\r\n{head}\r\n\r\n".encode("latin-1")


def progressive_boundary(etag: str) -> str:
    """The boundary of the answer with that entity tag."""
    return "mersey-" + hashlib.sha256(etag.encode()).hexdigest()[:17]


def head_check(values: Iterable[str]) -> str:
    """The value of Mersey-Check for those of `CHECKED_FIELDS`, "" for one that is not there."""
    return f"{zlib.crc32('\n'.join((*values, '')).encode('utf-8', 'replace')):08x}"


def progressive_body(
    description: SeriesDescription,
    frames: Sequence[ProgressiveFrame],
    *,
    order: FrameOrder,
    until: int,
    etag: str,
) -> tuple[str, Body]:
    """Lay the frames of `description` out, in its order of frames.

    Parameters
    ----------
    until
        The reduction to stop at.
    etag
        The strong, quoted entity tag of the whole; the boundary is made of it.

    Returns
    -------
    str
        The Content-Type of the whole.
    Body
        The payload.
    """
    writer = ProgressiveWriter(etag)
    cut_points = [frame.pieces.cut_points for frame in frames]

    def segments() -> Iterator[Segment]:
        yield writer.root(description)
        for piece in plan_pieces(cut_points, order=order, until=until):
            yield from writer.piece(frames[piece.frame], piece)
        yield writer.tail()

    return writer.content_type, Body.of(segments(), etag=etag)


def _cut(segments: tuple[Segment, ...], piece: FramePiece) -> Iterator[Segment]:
    """The bytes of `piece` in the segments of its frame, of which there mostly is one."""
    if len(segments) > 1:
        yield from Body.of(segments, etag="").slice(piece.start, piece.stop).segments()
        return
    (whole,) = segments
    if isinstance(whole, FileSlice):
        at = whole.offset_bytes + piece.start
        yield FileSlice(whole.path, at, piece.length_bytes, whole.stamp)
    elif isinstance(whole, BlobSlice):
        yield BlobSlice(whole.key, whole.offset_bytes + piece.start, piece.length_bytes)
    else:
        yield whole[piece.start : piece.stop]
