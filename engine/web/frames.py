"""Frames (PS3.18 §10.4): /frames/{list}, one part a frame, in the order of the list.

The bytes, the boundary and the entity tag of an answer depend on what is asked for and what
is stored, never on where the bytes come from this time: chunks fetched before and after a
rendition was built fit together.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from starlette.requests import Request

from ...codecs.errors import UnsupportedError
from ...codecs.syntaxes import EXPLICIT_LE, HTJ2K_LOSSLESS_RPCL
from ..archive.entry import Entry
from ..runtime.rearranging import PROGRESSIVE, rearranging_library
from ..transfer.body import Body, Segment
from ..transfer.multipart import Part, multipart_related
from .frame_forms import library_for, stored_form
from .frame_reduction import Reduction, parse_reduction, reduced_frames
from .frame_source import FrameSource
from .negotiation import Choice, Source, choose_frames
from .requests import first_choice, parse_frame_list
from .responses import BodyResponse
from .status import Reason, RefusedError

__all__ = ["answer_frames"]


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
    wanted = parse_reduction(request)
    stored = stored_form(entry)
    refused: UnsupportedError | None = None
    for choice in first_choice(
        request, lambda accepted: choose_frames(accepted, stored, frame_count=len(indices))
    ):
        try:
            return await _respond(entry, indices, choice, wanted=wanted, source=source)
        except UnsupportedError as error:
            refused = refused or error
    if refused is not None:
        raise refused
    raise RefusedError(
        f"frames of {stored.uid} cannot be had in any of the media types accepted",
        reason=Reason.NOT_ACCEPTABLE,
    )


async def _respond(
    entry: Entry,
    indices: Sequence[int],
    choice: Choice,
    *,
    wanted: Reduction | None,
    source: FrameSource,
) -> BodyResponse:
    frames = await _frames(entry, indices, choice, source=source)
    headers = {"Vary": "Accept", "Cache-Control": "private"}
    level = 0
    if wanted is not None:
        frames, level = await reduced_frames(
            frames, entry, indices, choice, wanted=wanted, source=source
        )
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
    if choice.source is Source.REARRANGED:
        return await source.rearranged(entry, indices)
    frames = entry.instance.frames
    assert frames is not None
    return [entry.frame_slices(frames[index]) for index in indices]


def _etag(entry: Entry, indices: Sequence[int], choice: Choice, level: int) -> str:
    """The strong entity tag: a digest of all that the bytes of the whole answer depend on."""
    library = ""
    if choice.source is Source.EXPLICIT:
        library = library_for(entry, EXPLICIT_LE) or ""
    elif choice.source is Source.PROGRESSIVE:
        library = library_for(entry, HTJ2K_LOSSLESS_RPCL) or ""
    elif choice.source is Source.REARRANGED:
        library = library_for(entry, PROGRESSIVE) or ""
    parts = (
        "frames 2",
        entry.fingerprint,
        ",".join(map(str, indices)),
        choice.source.name,
        choice.content_type,
        str(choice.multipart),
        f"{level} by {rearranging_library()}" if level else "0",
        library,
    )
    return f'"{hashlib.sha256("\n".join(parts).encode()).hexdigest()[:40]}"'
