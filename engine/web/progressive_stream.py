"""A progressive answer that is sent while its renditions are made.

The smallest image of each frame goes out as soon as it is there, in the order that was asked for;
what sharpens them follows when all are. The bytes are those of the Body that the answer will be,
as long as all can be made. Instances that cannot be are named where they would have come; what
is no fault of theirs ends the answer instead: it would be another the next time.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from itertools import batched

from ...codecs.errors import MerseyError
from ..transfer.body import Segment
from ..transfer.progressive_body import ProgressiveWriter
from ..transfer.resolution_order import FrameOrder, first_piece, later_pieces, order_frames
from ..transfer.series_description import SeriesDescription
from .progressive_forms import ProgressiveForm
from .progressive_making import ProgressiveMaking, is_for_good
from .progressive_source import Placed, ProgressiveSource
from .status import Reason, RefusedError

__all__ = ["ProgressiveStream"]

_SENT_AT_ONCE = 256
_LEFT_OUT = "its frames cannot be had in that form"
"""Which of several is the first to be found at fault is not the same every time."""


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
        self._etag = etag
        self._places = [
            (at, index)
            for at, (form, _) in enumerate(wanted)
            for index in range(form.entry.frame_count)
        ]

    @property
    def content_type(self) -> str:
        """The Content-Type of the answer."""
        return ProgressiveWriter(self._etag).content_type

    async def parts(self) -> AsyncGenerator[tuple[Segment, ...]]:
        """The answer, as it comes to be. Nothing is sent before there is something to see.

        Raises
        ------
        MerseyError
            There is no room for what has to be made, or nothing of it can be.
        """
        order = order_frames(len(self._places), self._order)
        writer = ProgressiveWriter(self._etag)
        failed: dict[int, MerseyError] = {}
        async with ProgressiveMaking(
            self._wanted, self._needed(order), self._source, single=self._single
        ) as making:
            async with aclosing(self._smallest(order, making, writer, failed)) as smallest:
                async for segments in smallest:
                    yield segments
            frames = [
                None if at in failed else making.frame(at, index) for at, index in self._places
            ]
            cut_points = [() if one is None else one.pieces.cut_points for one in frames]
            rest = later_pieces(cut_points, order=self._order, until=self._until)
            for pieces in batched(rest, _SENT_AT_ONCE):
                made = [(frames[piece.frame], piece) for piece in pieces]
                yield tuple(
                    segment
                    for frame, piece in made
                    if frame is not None
                    for segment in writer.piece(frame, piece)
                )
            yield (writer.tail(),)

    def _needed(self, order: Sequence[int]) -> Mapping[int, Sequence[int]]:
        """The instances in the order in which they are needed, each with its frames so."""
        needed: dict[int, list[int]] = {}
        for frame in order:
            at, index = self._places[frame]
            needed.setdefault(at, []).append(index)
        return needed

    async def _smallest(
        self,
        order: Sequence[int],
        making: ProgressiveMaking,
        writer: ProgressiveWriter,
        failed: dict[int, MerseyError],
    ) -> AsyncGenerator[tuple[Segment, ...]]:
        """The description and the smallest images, at least one of them before anything is sent.

        With the last of them, everything is made.
        """
        ready: list[Segment] = [writer.root(self._description)]
        has_some = False
        for frame in order:
            at, index = self._places[frame]
            if at in failed:
                continue
            if has_some and (len(ready) >= _SENT_AT_ONCE or making.is_waited_for(at, index)):
                yield tuple(ready)
                ready = []
            try:
                part = await making.first(at, index)
            except MerseyError as error:
                ready.append(self._left_out(at, error, writer, failed))
                continue
            piece = first_piece(part.pieces.cut_points, frame=frame, until=self._until)
            if piece is not None:
                ready += writer.piece(part, piece)
            has_some = True
        if not has_some:
            why = next(iter(failed.values())).message
            message = f"no frame has a progressive form: {why}"
            raise RefusedError(message, reason=Reason.NOT_ACCEPTABLE)
        yield tuple(ready)
        for at in range(len(self._wanted)):
            if at not in failed:
                try:
                    await making.all_of(at)
                except MerseyError as error:
                    yield (self._left_out(at, error, writer, failed),)

    def _left_out(
        self,
        at: int,
        error: MerseyError,
        writer: ProgressiveWriter,
        failed: dict[int, MerseyError],
    ) -> bytes:
        """The part that says so of instance `at`."""
        if not is_for_good(error):
            raise error
        failed[at] = error
        return writer.left_out([(self._wanted[at][0].entry.instance.sop_instance_uid, _LEFT_OUT)])
