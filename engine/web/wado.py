"""Whole instances (PS3.18 §10.4): of a study, a series, or one, as PS3.10 files.

As stored where the client takes that, with the preamble zeroed; otherwise Explicit VR Little
Endian or .202, from renditions. Several come as multipart/related or in a ZIP archive, one may
come alone. Where all is there, the answer is a Body; where renditions have yet to be built, the
same bytes are streamed under the same entity tag while they are, and it is a Body from then on.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Iterator, Sequence
from dataclasses import dataclass

from starlette.requests import Request

from ...codecs.errors import UnsupportedError
from ...codecs.syntaxes import transfer_syntax
from ..archive.entry import Entry
from ..transfer.accept import MediaRange
from ..transfer.body import Body, Segment
from .frame_forms import stored_form
from .negotiation import Choice, Stored, choose_objects
from .object_layout import Container, PartWriter, container_of, etag_of, zip_names
from .object_source import Made, ObjectSource, Wanted
from .requests import accepted
from .responses import BodyResponse
from .served_digests import ServedDigests
from .status import Reason, RefusedError
from .streamed import StreamedResponse

__all__ = ["answer_instances"]

_AHEAD = 4
_HELD_BYTES = 64 << 20
"""What is rewritten lies in memory until it is sent; more than that is made one by one."""


async def answer_instances(
    request: Request,
    entries: Sequence[Entry],
    *,
    may_be_single: bool,
    source: ObjectSource,
    digests: ServedDigests,
) -> BodyResponse | StreamedResponse:
    """Answer with the files of `entries`, in order.

    Raises
    ------
    MerseyError
        Nothing that can be had of one of them is acceptable.
    """
    reason: UnsupportedError | None = None
    # Of ten thousand instances that takes a while.
    ways = await asyncio.to_thread(
        lambda: list(_ways(request, entries, may_be_single=may_be_single))
    )
    for container, wanted in ways:
        answer = _Answer(container, wanted, source, digests, _name(request))
        try:
            return await answer.respond(request)
        except UnsupportedError as error:
            reason = reason or error
    if reason is not None:
        raise reason
    uids = sorted({entry.instance.transfer_syntax_uid for entry in entries})
    raise RefusedError(
        f"instances stored in {', '.join(uids)} cannot be had in any of the forms accepted",
        reason=Reason.NOT_ACCEPTABLE,
    )


@dataclass(frozen=True, slots=True)
class _Answer:
    """`wanted` in one container; `name` is what an archive of it is called."""

    container: Container
    wanted: Sequence[Wanted]
    source: ObjectSource
    digests: ServedDigests
    name: str

    async def respond(self, request: Request) -> BodyResponse | StreamedResponse:
        """The answer, as a Body if it can be one now."""
        found = await self.source.at_hand(self.wanted)
        missing = [at for at, made in enumerate(found) if made is None]
        rewritten = [at for at in missing if self.wanted[at].entry.instance.pixels is None]
        held_bytes = sum(self.wanted[at].entry.stamp.size_bytes for at in rewritten)
        is_alone = len(self.wanted) == 1 and request.method != "HEAD"
        if is_alone or (rewritten == missing and held_bytes <= _HELD_BYTES):
            for at in missing:
                found[at] = await self.source.make(self.wanted[at])
            made = [one for one in found if one is not None]
            return await self._whole(made, needs_crcs=_needs_bytes(request))
        return await self._streamed(found)

    async def _whole(self, made: Sequence[Made], *, needs_crcs: bool) -> BodyResponse:
        crcs: Sequence[int] = [0] * len(made)
        if self.container is Container.ZIP and needs_crcs:
            crcs = await self.digests.all_crc32(made)

        def lay_out() -> tuple[PartWriter, Body]:
            etag = etag_of([(one.entry, one.choice) for one in made], self.container)
            writer = PartWriter.of(self.container, etag)
            return writer, Body.of(_segments(writer, made, crcs), etag=etag)

        writer, body = await asyncio.to_thread(lay_out)
        content_type = self._content_type(writer, made[0].choice)
        sha256 = made[0].known_sha256 if self.container is Container.SINGLE else ""
        return BodyResponse(body, content_type=content_type, headers=self._headers(), sha256=sha256)

    async def _streamed(self, found: Sequence[Made | None]) -> StreamedResponse:
        best = await asyncio.to_thread(lambda: [self.source.best(one) for one in self.wanted])
        pairs = [(one.entry, choice) for one, choice in zip(self.wanted, best, strict=True)]
        etag = await asyncio.to_thread(etag_of, pairs, self.container)
        writer = PartWriter.of(self.container, etag)
        return StreamedResponse(
            lambda: self._parts(PartWriter.of(self.container, etag), found),
            etag=etag,
            content_type=self._content_type(writer, best[0]),
            headers=self._headers(),
        )

    def _content_type(self, writer: PartWriter, first: Choice) -> str:
        return first.content_type if self.container is Container.SINGLE else writer.content_type

    async def _parts(
        self, writer: PartWriter, found: Sequence[Made | None]
    ) -> AsyncGenerator[tuple[Segment, ...]]:
        """The parts in order, each as soon as it is there; some are ordered ahead."""
        names = zip_names([one.entry for one in self.wanted])
        ahead: deque[asyncio.Task[Made]] = deque()
        orders = (
            at
            for at, made in enumerate(found)
            if made is None and self.wanted[at].entry.instance.pixels is not None
        )

        def order() -> None:
            at = next(orders, None)
            if at is not None:
                ahead.append(asyncio.create_task(self.source.make(self.wanted[at])))

        for _ in range(_AHEAD):
            order()
        try:
            for at, one in enumerate(self.wanted):
                made = found[at]
                if made is None and one.entry.instance.pixels is None:
                    made = await self.source.make(one)
                elif made is None:
                    made = await ahead[0]
                    ahead.popleft()
                    order()
                yield (await self._head(writer, made, next(names), at), *made.segments)
            yield (writer.tail(),)
        finally:
            for task in ahead:
                task.cancel()
            # Their errors are nobody's: the answer ended before it came to them.
            await asyncio.gather(*ahead, return_exceptions=True)

    async def _head(self, writer: PartWriter, made: Made, name: str, at: int) -> bytes:
        crc32 = 0
        if self.container is Container.ZIP:
            crc32 = await self.digests.crc32(made)
        return writer.head(
            made.choice,
            name=name,
            length_bytes=made.length_bytes,
            crc32=crc32,
            is_first=at == 0,
        )

    def _headers(self) -> dict[str, str]:
        headers = {"Vary": "Accept", "Cache-Control": "private"}
        if self.container is Container.ZIP:
            headers["Content-Disposition"] = f'attachment; filename="{self.name}.zip"'
        return headers


def _segments(writer: PartWriter, made: Sequence[Made], crcs: Sequence[int]) -> Iterator[Segment]:
    names = zip_names([one.entry for one in made])
    for at, (one, name, crc32) in enumerate(zip(made, names, crcs, strict=True)):
        yield writer.head(
            one.choice, name=name, length_bytes=one.length_bytes, crc32=crc32, is_first=at == 0
        )
        yield from one.segments
    yield writer.tail()


def _ways(
    request: Request, entries: Sequence[Entry], *, may_be_single: bool
) -> Iterator[tuple[Container, list[Wanted]]]:
    """The containers that are accepted, best first, each with the ways for what goes into it.

    One in which some instance can be had in no way is left out.
    """
    by_container: dict[Container, list[MediaRange]] = {}
    for wanted in accepted(request):
        for media in wanted:
            container = container_of(media, may_be_single=may_be_single)
            if container is not None:
                by_container.setdefault(container, []).append(media)
    stored = [_stored(entry) for entry in entries]
    for container, ranges in by_container.items():
        # Most instances of a study are stored alike, and have the same ways.
        choices = {kind: tuple(choose_objects(ranges, kind)) for kind in set(stored)}
        if all(choices.values()):
            yield (
                container,
                [Wanted(entry, choices[kind]) for entry, kind in zip(entries, stored, strict=True)],
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


def _needs_bytes(request: Request) -> bool:
    """Whether anything is made of the bytes: HEAD needs their length and tag alone."""
    return request.method != "HEAD" or "want-repr-digest" in request.headers


def _name(request: Request) -> str:
    path = request.path_params
    return str(path.get("instance") or path.get("series") or path["study"])
