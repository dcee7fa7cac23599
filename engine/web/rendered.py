"""Pictures for a screen: /rendered and /thumbnail (PS3.18 §8.3.5, §10.4.1.1.3, §10.4.1.1.4).

Made by workers, of the resolution that is needed; kept in memory for a while. The entity tag
follows from what is stored, what is asked for and what makes it, so that a picture that the
client has is not made again. Nothing of the data set but its pixels is ever shown.
"""

from __future__ import annotations

import asyncio
import functools
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version

from starlette.requests import Request

from ...codecs.errors import MerseyError, UsageError
from ...codecs.syntaxes import EXPLICIT_LE
from ..archive.entry import Entry
from ..runtime.picture import PictureWork, View
from ..transfer.body import Body
from ..transfer.conditions import Condition, evaluate
from ..transfer.multipart import Part, multipart_related
from .frame_forms import library_for, lies_explicit
from .frame_source import FrameSource
from .picture_request import PictureRequest, parse_picture_request
from .requests import parse_frame_list
from .responses import BodyResponse
from .status import Reason, RefusedError

__all__ = ["answer_rendered", "answer_thumbnail"]

_THUMBNAIL = (256, 256)
_MOST_PICTURES = 1000
_AT_ONCE_BYTES = 128 << 20
"""Of pictures in one answer: they are in memory until it is sent."""


@dataclass(frozen=True, slots=True)
class _Picture:
    entry: Entry
    index: int
    view: View

    @property
    def tag(self) -> str:
        """Names the bytes: what they are made of, how, and by what."""
        library = library_for(self.entry, EXPLICIT_LE) or ""
        return f"picture 1 {self.entry.fingerprint} {self.view} {library} {_encoders()}"

    @property
    def work(self) -> PictureWork:
        instance = self.entry.instance
        assert instance.frames is not None
        assert instance.pixels is not None
        deflated = instance.layout.deflated
        return PictureWork(
            path=self.entry.path,
            frame=instance.frames[self.index],
            pixels=instance.pixels,
            source_uid=instance.transfer_syntax_uid,
            view=self.view,
            dataset_offset=instance.layout.dataset_offset if deflated else None,
        )


async def answer_rendered(
    request: Request,
    entries: Sequence[Entry],
    *,
    frame_list: str | None = None,
    single: bool,
    source: FrameSource,
) -> BodyResponse:
    """Answer with pictures of the frames of `entries`, in order.

    One resource that is asked for as a single picture gives its middle frame; in parts, all its
    frames. `single` says that it is one instance.

    Raises
    ------
    MerseyError
        Nothing can be shown, or not in a media type that is accepted; a parameter is wrong.
    """
    shown = [entry for entry in entries if _can_be_shown(entry)]
    if not shown:
        raise RefusedError("there are no pixels that can be shown", reason=Reason.NOT_ACCEPTABLE)
    if frame_list is None:
        wanted = parse_picture_request(request, multipart=not single)
        if wanted.multipart:
            places = [(entry, index) for entry in shown for index in range(entry.frame_count)]
        else:
            places = [_middle(shown)]
    else:
        places = [(shown[0], index) for index in _indices(frame_list, shown[0])]
        wanted = parse_picture_request(request, multipart=len(places) > 1)
    return await _respond(request, places, wanted, source=source)


async def answer_thumbnail(
    request: Request,
    entries: Sequence[Entry],
    *,
    frame_list: str | None = None,
    source: FrameSource,
) -> BodyResponse:
    """Answer with one small picture that stands for `entries`, or for the frame named.

    Raises
    ------
    MerseyError
        Nothing of them can be shown, or the client takes no picture.
    """
    wanted = parse_picture_request(request, multipart=False, thumbnail=_THUMBNAIL)
    shown = [entry for entry in entries if _can_be_shown(entry)]
    if not shown:
        raise RefusedError("there are no pixels that can be shown", reason=Reason.NOT_FOUND)
    # Of a study: of its first series that has pixels, not of one that happens to be in the middle.
    shown = [entry for entry in shown if entry.uids[1] == shown[0].uids[1]]
    place = _middle(shown)
    if frame_list is not None:
        place = shown[0], _indices(frame_list, shown[0])[0]
    return await _respond(request, [place], wanted, source=source)


async def _respond(
    request: Request,
    places: Sequence[tuple[Entry, int]],
    wanted: PictureRequest,
    *,
    source: FrameSource,
) -> BodyResponse:
    if len(places) > _MOST_PICTURES:
        raise UsageError(f"{len(places)} pictures asked for, at most {_MOST_PICTURES} at once")
    pictures = []
    for entry, index in places:
        pixels = entry.instance.pixels
        assert pixels is not None
        view = wanted.view(rows=pixels.rows, columns=pixels.columns)
        pictures.append(_Picture(entry, index, view))
    if len(pictures) > 1 and sum(p.view.rows * p.view.columns for p in pictures) > _AT_ONCE_BYTES:
        raise UsageError(
            f"pictures of more than {_AT_ONCE_BYTES} pixels together: name a smaller viewport"
        )
    etag = _etag(pictures, multipart=wanted.multipart)
    headers = {"Vary": "Accept", "Cache-Control": "private"}
    if wanted.warnings:
        headers["Warning"] = ", ".join(f'299 mersey "{text}"' for text in wanted.warnings)
    if _is_held(request, etag):
        empty = Body.of([], etag=etag)
        return BodyResponse(empty, content_type=wanted.media_type, headers=headers)
    made = await _make(pictures, source)
    if not wanted.multipart:
        body = Body.of(made, etag=etag)
        return BodyResponse(body, content_type=wanted.media_type, headers=headers)
    parts = (Part(wanted.media_type, (data,)) for data in made)
    content_type, body = multipart_related(parts, related_type=wanted.media_type, etag=etag)
    return BodyResponse(body, content_type=content_type, headers=headers)


async def _make(pictures: Sequence[_Picture], source: FrameSource) -> list[bytes]:
    """All of them; where one fails, the others are given up."""
    tasks = []
    try:
        async with asyncio.TaskGroup() as group:
            for picture in pictures:
                call = source.picture(picture.entry, picture.work, tag=picture.tag)
                tasks.append(group.create_task(call))
    except* MerseyError as errors:
        failed = errors
    else:
        return [task.result() for task in tasks]
    raise next(_leaves(failed))


def _leaves(errors: BaseExceptionGroup[MerseyError]) -> Iterator[MerseyError]:
    for error in errors.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error


def _is_held(request: Request, etag: str) -> bool:
    condition = evaluate(
        etag=etag, if_match=None, if_none_match=request.headers.get("if-none-match")
    )
    return condition is Condition.NOT_MODIFIED and "if-match" not in request.headers


def _can_be_shown(entry: Entry) -> bool:
    instance = entry.instance
    if instance.pixels is None or not entry.frame_count:
        return False
    return lies_explicit(entry) or library_for(entry, EXPLICIT_LE) is not None


def _middle(entries: Sequence[Entry]) -> tuple[Entry, int]:
    """The picture that stands for them all: most of the anatomy is in the middle."""
    entry = entries[len(entries) // 2]
    return entry, entry.frame_count // 2


def _indices(frame_list: str, entry: Entry) -> tuple[int, ...]:
    try:
        return parse_frame_list(frame_list, frame_count=entry.frame_count)
    except IndexError as error:
        raise RefusedError(str(error), reason=Reason.NOT_FOUND) from None


@functools.cache
def _encoders() -> str:
    return f"imagecodecs {version('imagecodecs')}"


def _etag(pictures: Sequence[_Picture], *, multipart: bool) -> str:
    """The strong entity tag: a digest of all that the bytes of the whole answer depend on."""
    digest = hashlib.sha256(f"pictures 1\n{multipart}\n".encode())
    for picture in pictures:
        digest.update(f"{picture.index} {picture.tag}\n".encode())
    return f'"{digest.hexdigest()[:40]}"'
