"""A progressive answer that is sent while its renditions are made.

The smallest image of each frame goes out as soon as the rendition of its instance is there, in
the order that was asked for; what sharpens them follows when all are. Of an instance with many
frames the first few are made alone, so that there is something to see before the rest is done.
The bytes are those of the Body that the answer will be, as long as all can be made.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing, suppress
from itertools import batched
from urllib.parse import quote

from ...codecs.errors import MerseyError, ResourceError
from ..transfer.body import Segment
from ..transfer.frame_pieces import FramePieces
from ..transfer.progressive_body import ProgressiveFrame, ProgressiveWriter
from ..transfer.resolution_order import FrameOrder, first_piece, later_pieces, order_frames
from ..transfer.series_description import SeriesDescription
from .progressive_forms import ProgressiveForm
from .progressive_source import Placed, ProgressiveSource
from .status import Reason, RefusedError

__all__ = ["ProgressiveStream", "progressive_frame"]

_BUILT_AT_ONCE = 64
_MADE_ALONE = 8
_SENT_AT_ONCE = 256

type _Ready = tuple[Placed, tuple[FramePieces, ...]]


class ProgressiveStream:
    """The answer for `wanted`: forms, and where their frames are, None where they are not yet."""

    def __init__(
        self,
        description: SeriesDescription,
        wanted: Sequence[tuple[ProgressiveForm, Placed | None]],
        source: ProgressiveSource,
        *,
        order: FrameOrder,
        until: int,
        etag: str,
        single: bool,
    ) -> None:
        self._description = description
        self._wanted = wanted
        self._source = source
        self._order = order
        self._until = until
        self._single = single
        self._writer = ProgressiveWriter(etag)
        self._failed: dict[int, MerseyError] = {}
        self._alone = [0] * len(wanted)
        self._gate = asyncio.Semaphore(_BUILT_AT_ONCE)
        self._places = [
            (at, index)
            for at, (form, _) in enumerate(wanted)
            for index in range(form.entry.frame_count)
        ]

    @property
    def content_type(self) -> str:
        """The Content-Type of the answer."""
        return self._writer.content_type

    async def parts(self) -> AsyncGenerator[tuple[Segment, ...]]:
        """The answer, as it comes to be. Nothing is sent before there is something to see.

        Raises
        ------
        MerseyError
            There is no room for what has to be made, or nothing of it can be.
        """
        order = order_frames(len(self._places), self._order)
        # Asked for in the order in which they are needed.
        first_needed = dict.fromkeys(self._places[frame][0] for frame in order)
        making = {at: asyncio.create_task(self._make(at)) for at in first_needed}
        try:
            async with aclosing(self._smallest(order, making)) as smallest:
                async for segments in smallest:
                    yield segments
            frames = self._frames(making)
            cut_points = [() if one is None else one.pieces.cut_points for one in frames]
            rest = later_pieces(cut_points, order=self._order, until=self._until)
            for pieces in batched(rest, _SENT_AT_ONCE):
                made = [(frames[piece.frame], piece) for piece in pieces]
                yield tuple(
                    segment
                    for frame, piece in made
                    if frame is not None
                    for segment in self._writer.piece(frame, piece)
                )
            yield (self._writer.tail(),)
        finally:
            for task in making.values():
                task.cancel()
            # Their errors are nobody's: the answer ended before it came to them.
            await asyncio.gather(*making.values(), return_exceptions=True)

    async def _smallest(
        self, order: Sequence[int], making: Mapping[int, asyncio.Task[_Ready]]
    ) -> AsyncGenerator[tuple[Segment, ...]]:
        """The description and the smallest images, at least one of them before anything is sent."""
        ready: list[Segment] = [self._writer.root(self._description)]
        has_some = False
        for frame in order:
            at, index = self._places[frame]
            if at in self._failed:
                continue
            if has_some and (len(ready) >= _SENT_AT_ONCE or not making[at].done()):
                yield tuple(ready)
                ready = []
            try:
                part = await self._first_of(at, index, making[at])
            except ResourceError:
                raise
            except MerseyError as error:
                uid = self._wanted[at][0].entry.instance.sop_instance_uid
                self._failed[at] = error
                ready.append(self._writer.left_out([(uid, error.message)]))
                continue
            piece = first_piece(part.pieces.cut_points, frame=frame, until=self._until)
            if piece is not None:
                ready += self._writer.piece(part, piece)
            has_some = True
        if not has_some:
            why = next(iter(self._failed.values())).message
            message = f"no frame has a progressive form: {why}"
            raise RefusedError(message, reason=Reason.NOT_ACCEPTABLE)
        yield tuple(ready)

    async def _first_of(
        self, at: int, index: int, making: asyncio.Task[_Ready]
    ) -> ProgressiveFrame:
        form = self._wanted[at][0]
        is_long = bool(form.key) and form.entry.frame_count > _MADE_ALONE
        if is_long and self._alone[at] < _MADE_ALONE and not making.done():
            self._alone[at] += 1
            # Where that cannot be, its rendition cannot: what is wrong with that is told.
            with suppress(MerseyError):
                segments, pieces = await self._source.one_frame(form, index)
                return progressive_frame(form, index, segments, pieces, single=self._single)
        placed, all_pieces = await making
        return progressive_frame(
            form, index, placed.segments(index), all_pieces[index], single=self._single
        )

    async def _make(self, at: int) -> _Ready:
        form, placed = self._wanted[at]
        async with self._gate:
            if placed is None:
                placed = await self._source.build(form)
            return placed, await self._source.pieces(placed)

    def _frames(self, making: Mapping[int, asyncio.Task[_Ready]]) -> list[ProgressiveFrame | None]:
        """Every frame, once all is made; None for what cannot be."""
        found: list[ProgressiveFrame | None] = []
        for at, index in self._places:
            if at in self._failed:
                found.append(None)
                continue
            (placed, pieces), form = making[at].result(), self._wanted[at][0]
            segments = placed.segments(index)
            found.append(
                progressive_frame(form, index, segments, pieces[index], single=self._single)
            )
        return found


def progressive_frame(
    form: ProgressiveForm,
    index: int,
    segments: tuple[Segment, ...],
    pieces: FramePieces,
    *,
    single: bool,
) -> ProgressiveFrame:
    """The frame at `index`, with its URL below that of the instance where it is `single`."""
    uid = quote(form.entry.instance.sop_instance_uid, safe="")
    folder = "frames" if single else f"instances/{uid}/frames"
    return ProgressiveFrame(f"{folder}/{index + 1}", form.content_type, segments, pieces)
