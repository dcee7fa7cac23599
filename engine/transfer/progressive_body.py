"""The frames of a series as one Body, in resolution-major order.

multipart/related. The root part describes what comes (`series_description`); every other part
is a byte range of one frame's codestream, labelled with the frame it belongs to, where in it,
and at which reduction that frame's image is complete with it::

    Content-Type: image/jphc; transfer-syntax=1.2.840.10008.1.2.4.202
    Content-Location: instances/1.2.3/frames/1
    Content-Range: bytes 609-1428/151026
    Mersey-Reduction: 4

The parts of a frame, joined, are the beginning of that resource, or all of it. Heads are short
because there are many: the boundary has 24 characters, and Content-Range makes Content-Length
needless. The bytes depend on the frames, the order and the entity tag alone.

References
----------
RFC 2387, RFC 2557 §4 (Content-Location of parts), RFC 9110 §14.4
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .body import BlobSlice, Body, FileSlice, Segment
from .resolution_order import FrameOrder, FramePiece, plan_pieces
from .series_description import SeriesDescription

__all__ = ["REDUCTION_FIELD", "ProgressiveFrame", "progressive_body"]

REDUCTION_FIELD = "Mersey-Reduction"
_DESCRIPTION = "application/json"


@dataclass(frozen=True, slots=True)
class ProgressiveFrame:
    """A frame: its URL relative to that of the whole, its bytes, and where they can be cut.

    `cut_points` are those of :func:`~.resolution_order.plan_pieces`.
    """

    location: str
    content_type: str
    segments: tuple[Segment, ...]
    cut_points: tuple[int, ...]


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
    boundary = "mersey-" + hashlib.sha256(etag.encode()).hexdigest()[:17]
    pieces = plan_pieces([frame.cut_points for frame in frames], order=order, until=until)

    def segments() -> Iterator[Segment]:
        root = description.to_json()
        head = f"Content-Type: {_DESCRIPTION}\r\nContent-Length: {len(root)}"
        yield f"--{boundary}\r\n{head}\r\n\r\n".encode("latin-1") + root
        for piece in pieces:
            frame = frames[piece.frame]
            yield f"\r\n--{boundary}\r\n{_head(frame, piece)}\r\n\r\n".encode("latin-1")
            yield from _cut(frame.segments, piece)
        yield f"\r\n--{boundary}--\r\n".encode("latin-1")

    content_type = f'multipart/related; type="{_DESCRIPTION}"; boundary={boundary}'
    return content_type, Body.of(segments(), etag=etag)


def _head(frame: ProgressiveFrame, piece: FramePiece) -> str:
    return (
        f"Content-Type: {frame.content_type}\r\n"
        f"Content-Location: {frame.location}\r\n"
        f"Content-Range: bytes {piece.start}-{piece.stop - 1}/{frame.cut_points[0]}\r\n"
        f"{REDUCTION_FIELD}: {piece.reduction}"
    )


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
