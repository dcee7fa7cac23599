"""Whole instances (PS3.18 §10.4): of a study, a series, or one, as PS3.10 files.

As stored where the client takes that, with the preamble zeroed; otherwise Explicit VR Little
Endian or .202, from a rendition that is built first. Several come as multipart/related, one
may come alone.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor

from starlette.requests import Request

from ...codecs.errors import UnsupportedError
from ...codecs.syntaxes import EXPLICIT_LE, HTJ2K_LOSSLESS_RPCL, transfer_syntax
from ..archive.entry import Entry
from ..archive.part10_body import file_segments, rewrite_explicit
from ..transfer.accept import MediaRange
from ..transfer.body import Body, FileSlice, Segment
from ..transfer.multipart import Part, multipart_related
from .frame_forms import library_for, stored_form
from .frame_source import FrameSource
from .holdings import reading
from .negotiation import Choice, Source, Stored, choose_objects
from .requests import first_choice
from .responses import BodyResponse
from .status import Reason, RefusedError

__all__ = ["answer_instances"]

_TARGETS = {Source.EXPLICIT: EXPLICIT_LE, Source.PROGRESSIVE: HTJ2K_LOSSLESS_RPCL}


async def answer_instances(
    request: Request,
    entries: Sequence[Entry],
    *,
    may_be_single: bool,
    source: FrameSource,
    executor: Executor,
) -> BodyResponse:
    """Answer with the files of `entries`, in order.

    Raises
    ------
    MerseyError
        Nothing that can be had of one of them is acceptable.
    """
    made: list[tuple[Choice, tuple[Segment, ...]]] = []
    multipart = not may_be_single
    for entry in entries:
        choice, segments = await _first(
            request, entry, may_be_single=may_be_single, source=source, executor=executor
        )
        multipart = multipart or choice.multipart
        made.append((choice, segments))
    etag = _etag(entries, [choice for choice, _ in made], multipart=multipart)
    headers = {"Vary": "Accept", "Cache-Control": "private"}
    if not multipart:
        choice, segments = made[0]
        return BodyResponse(
            Body.of(segments, etag=etag), content_type=choice.content_type, headers=headers
        )
    parts = (Part(choice.content_type, segments) for choice, segments in made)
    content_type, body = multipart_related(parts, related_type="application/dicom", etag=etag)
    return BodyResponse(body, content_type=content_type, headers=headers)


async def _first(
    request: Request,
    entry: Entry,
    *,
    may_be_single: bool,
    source: FrameSource,
    executor: Executor,
) -> tuple[Choice, tuple[Segment, ...]]:
    stored = _stored(entry)
    refused: UnsupportedError | None = None

    def choose(wanted: tuple[MediaRange, ...]) -> Iterator[Choice]:
        if not may_be_single:
            wanted = tuple(media for media in wanted if media.media_type != "application/dicom")
        return choose_objects(wanted, stored)

    for choice in first_choice(request, choose):
        try:
            return choice, await _segments(entry, choice, source=source, executor=executor)
        except UnsupportedError as error:
            refused = refused or error
    if refused is not None:
        raise refused
    raise RefusedError(
        f"an instance stored in {stored.uid} cannot be had in any of the forms accepted",
        reason=Reason.NOT_ACCEPTABLE,
    )


def _stored(entry: Entry) -> Stored:
    if entry.instance.pixels is not None and entry.instance.frames is not None:
        return stored_form(entry)
    uid = entry.instance.transfer_syntax_uid
    syntax = transfer_syntax(uid)
    return Stored(
        uid=uid,
        is_encapsulated=False,
        is_lossy=False,
        can_decode=syntax is not None and not syntax.encapsulated,
        can_progress=False,
    )


async def _segments(
    entry: Entry, choice: Choice, *, source: FrameSource, executor: Executor
) -> tuple[Segment, ...]:
    if choice.source is Source.STORED:
        return file_segments(entry)
    if entry.instance.pixels is None:
        with reading(entry):
            future = executor.submit(rewrite_explicit, entry.path)
            data = await asyncio.wrap_future(future)
        return (data,)
    rendition = await source.rendition(entry, _TARGETS[choice.source])
    return (FileSlice(rendition.path, 0, rendition.stamp.size_bytes, rendition.stamp),)


def _etag(entries: Sequence[Entry], choices: Sequence[Choice], *, multipart: bool) -> str:
    digest = hashlib.sha256(f"instances 1\n{multipart}\n".encode())
    for entry, choice in zip(entries, choices, strict=True):
        library = ""
        if choice.source is not Source.STORED:
            library = library_for(entry, _TARGETS[choice.source]) or "pydicom"
        line = f"{entry.fingerprint} {choice.source.name} {choice.uid} {library}\n"
        digest.update(line.encode())
    return f'"{digest.hexdigest()[:40]}"'
