"""Frames (PS3.18 §10.4): /frames/{list}, one part a frame, in the order of the list.

The bytes, the boundary and the entity tag of an answer depend on what is asked for and what
is stored, never on where the bytes come from this time: chunks fetched before and after a
rendition was built fit together.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

from starlette.requests import Request

from ...codecs.codestream import scan_codestream
from ...codecs.errors import CodestreamError, UnsupportedError, UsageError
from ...codecs.pixels import PixelFormat
from ...codecs.syntaxes import EXPLICIT_LE, HTJ2K_LOSSLESS_RPCL
from ..archive.entry import Entry
from ..transfer.body import Body, Segment
from ..transfer.multipart import Part, multipart_related
from .file_reading import read_whole
from .frame_source import FrameSource, library_for, stored_form
from .negotiation import Choice, Source, choose_frames
from .requests import first_choice, parse_frame_list, query_pairs
from .responses import BodyResponse
from .status import Reason, RefusedError

__all__ = ["answer_frames", "parse_fsiz"]

_HEAD_BYTES = 16 << 10
_FSIZ = re.compile(r"(\d{1,6})[,xX](\d{1,6})")


async def answer_frames(
    request: Request, entry: Entry, frame_list: str, *, source: FrameSource
) -> BodyResponse:
    """Answer a request for frames.

    Raises
    ------
    MerseyError
        It cannot be answered: no such frame, nothing acceptable, undecodable.
    """
    if entry.instance.frames is None or entry.instance.pixels is None:
        raise RefusedError("the instance has no frames", reason=Reason.NOT_FOUND)
    try:
        indices = parse_frame_list(frame_list, frame_count=entry.frame_count)
    except IndexError as error:
        raise RefusedError(str(error), reason=Reason.NOT_FOUND) from None
    size = parse_fsiz(request)
    stored = stored_form(entry)
    refused: UnsupportedError | None = None
    for choice in first_choice(
        request, lambda wanted: choose_frames(wanted, stored, frame_count=len(indices))
    ):
        try:
            return await _respond(entry, indices, choice, size=size, source=source)
        except UnsupportedError as error:
            refused = refused or error
    if refused is not None:
        raise refused
    raise RefusedError(
        f"frames of {stored.uid} cannot be had in any of the media types accepted",
        reason=Reason.NOT_ACCEPTABLE,
    )


def parse_fsiz(request: Request) -> tuple[int, int] | None:
    """The frame size asked for as ``fsiz=W,H`` or ``WxH``: columns and rows.

    Raises
    ------
    UsageError
        It has another form.
    """
    value = next((value for key, value in query_pairs(request) if key == "fsiz"), None)
    if value is None:
        return None
    match = _FSIZ.fullmatch(value.strip())
    if match is None:
        raise UsageError("fsiz has the form W,H or WxH")
    return int(match[1]), int(match[2])


async def _respond(
    entry: Entry,
    indices: Sequence[int],
    choice: Choice,
    *,
    size: tuple[int, int] | None,
    source: FrameSource,
) -> BodyResponse:
    frames = await _frames(entry, indices, choice, source=source)
    headers = {"Vary": "Accept", "Cache-Control": "private"}
    level = 0
    if size is not None:
        frames, level = await _cut(frames, entry, choice, size)
        headers["X-Decode-Level"] = str(level)
    etag = _etag(entry, indices, choice, level)
    if not choice.multipart:
        body = Body.of(frames[0], etag=etag)
        content_type = choice.content_type
    else:
        parts = (Part(choice.content_type, frame) for frame in frames)
        content_type, body = multipart_related(parts, related_type=choice.media_type, etag=etag)
    return BodyResponse(body, content_type=content_type, headers=headers, error_has_body=False)


async def _frames(
    entry: Entry, indices: Sequence[int], choice: Choice, *, source: FrameSource
) -> list[tuple[Segment, ...]]:
    if choice.source is Source.EXPLICIT:
        return await source.explicit(entry, indices)
    if choice.source is Source.PROGRESSIVE:
        return await source.progressive(entry, indices)
    frames = entry.instance.frames
    assert frames is not None
    return [entry.frame_slices(frames[index]) for index in indices]


async def _cut(
    frames: list[tuple[Segment, ...]], entry: Entry, choice: Choice, size: tuple[int, int]
) -> tuple[list[tuple[Segment, ...]], int]:
    """The frames up to the smallest resolution that covers `size`, and how small that is."""
    pixels = entry.instance.pixels
    assert pixels is not None
    if choice.uid == EXPLICIT_LE:
        return frames, 0
    reduced = []
    levels = set()
    for frame in frames:
        body = Body.of(frame, etag="")
        points = await _cut_points(body)
        level = _level(pixels, size, len(points) - 1)
        levels.add(level)
        reduced.append(tuple(body.slice(0, points[level]).segments()))
    if len(levels) > 1:
        return frames, 0
    return reduced, levels.pop()


async def _cut_points(body: Body) -> Sequence[int]:
    """The cut points of a frame; where it has none, its whole length is the only one."""
    whole = (body.length_bytes,)
    head = await read_whole(body.slice(0, min(_HEAD_BYTES, body.length_bytes)))
    try:
        layout = scan_codestream(head, complete=len(head) == body.length_bytes)
    except CodestreamError:
        return whole
    if layout.cut_points is None or layout.jp2_offset:
        return whole
    if any(point > body.length_bytes for point in layout.cut_points):
        return whole
    return (body.length_bytes, *layout.cut_points[1:])


def _level(pixels: PixelFormat, size: tuple[int, int], deepest: int) -> int:
    columns, rows = size
    level = 0
    while (
        level < deepest
        and -(-pixels.columns >> (level + 1)) >= columns
        and -(-pixels.rows >> (level + 1)) >= rows
    ):
        level += 1
    return level


def _etag(entry: Entry, indices: Sequence[int], choice: Choice, level: int) -> str:
    """The strong entity tag: a digest of all that the bytes of the whole answer depend on."""
    library = ""
    if choice.source is Source.EXPLICIT:
        library = library_for(entry, EXPLICIT_LE) or ""
    elif choice.source is Source.PROGRESSIVE:
        library = library_for(entry, HTJ2K_LOSSLESS_RPCL) or ""
    parts = (
        "frames 1",
        entry.fingerprint,
        ",".join(map(str, indices)),
        choice.source.name,
        choice.content_type,
        str(choice.multipart),
        str(level),
        library,
    )
    return f'"{hashlib.sha256("\n".join(parts).encode()).hexdigest()[:40]}"'
