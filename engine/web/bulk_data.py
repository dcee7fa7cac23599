"""Bulk data (PS3.18 §10.4): the values that metadata refers to, by their path in the data set.

Values that lie in the file as they are served are slices of it, so that Range costs nothing.
Compressed Pixel Data is answered as its frames are.
"""

from __future__ import annotations

import asyncio
import hashlib
from concurrent.futures import Executor
from dataclasses import replace

from starlette.requests import Request

from ..archive.bulk_data import find_bulk, parse_bulk_path
from ..archive.entry import Entry
from ..transfer.body import Body, FileSlice, Segment
from ..transfer.multipart import Part, multipart_related
from .frame_forms import stored_form
from .frame_source import FrameSource
from .frames import answer_frames
from .holdings import reading
from .negotiation import OCTETS
from .requests import accepted
from .responses import BodyResponse
from .status import Reason, RefusedError

__all__ = ["answer_bulk_data"]


async def answer_bulk_data(
    request: Request, entry: Entry, path: str, *, source: FrameSource, executor: Executor
) -> BodyResponse:
    """Answer with one value.

    Raises
    ------
    MerseyError
        There is no such value, or the client takes no octets.
    """
    steps = parse_bulk_path(path)
    layout = entry.instance.layout
    if steps == (layout.pixel_tag,):
        if entry.instance.frames is not None and not _is_plain(entry):
            numbers = ",".join(str(number) for number in range(1, entry.frame_count + 1))
            return await answer_frames(request, entry, numbers, source=source)
        value: Segment | None = _pixel_data(entry)
    else:
        entry = await source.local(entry)
        with reading(entry):
            future = executor.submit(find_bulk, entry.path, layout, steps)
            value = await asyncio.wrap_future(future)
    if value is None:
        raise RefusedError("no such value", reason=Reason.NOT_FOUND)
    if isinstance(value, FileSlice):
        value = replace(value, stamp=entry.stamp)
    return _respond(request, entry, path.upper(), value)


def _is_plain(entry: Entry) -> bool:
    """Whether Pixel Data lies in the file as Explicit VR LE has it."""
    layout = entry.instance.layout
    return layout.little_endian and not layout.deflated and not stored_form(entry).is_encapsulated


def _pixel_data(entry: Entry) -> Segment | None:
    layout = entry.instance.layout
    if layout.value_offset is None or layout.end_offset is None or layout.deflated:
        return None
    return entry.slice(layout.value_offset, layout.end_offset - layout.value_offset)


def _respond(request: Request, entry: Entry, path: str, value: Segment) -> BodyResponse:
    multipart = _wants_multipart(request)
    name = f"bulk 1\n{entry.fingerprint}\n{path}\n{multipart}"
    etag = f'"{hashlib.sha256(name.encode()).hexdigest()[:40]}"'
    headers = {"Vary": "Accept", "Cache-Control": "private"}
    if not multipart:
        return BodyResponse(Body.of([value], etag=etag), content_type=OCTETS, headers=headers)
    content_type, body = multipart_related([Part(OCTETS, (value,))], related_type=OCTETS, etag=etag)
    return BodyResponse(body, content_type=content_type, headers=headers)


def _wants_multipart(request: Request) -> bool:
    for wanted in accepted(request):
        for media in wanted:
            if media.media_type in (OCTETS, "application/*", "*/*"):
                return False
            if media.media_type in ("multipart/related", "multipart/*"):
                types = media.values("type") or (OCTETS,)
                if types[0].lower() in (OCTETS, "*/*"):
                    return True
    raise RefusedError(f"bulk data comes as {OCTETS}", reason=Reason.NOT_ACCEPTABLE)
