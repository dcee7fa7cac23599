"""The instances of a progressive answer whose renditions are being made, and their first images.

Where all frames of an instance are still to be encoded, the first few are made alone, at once;
the rendition is made in the order in which the answer needs its frames, and each is taken as it
is encoded. Which way a frame comes makes no difference to its bytes. That goes for instances that
cannot be made, too: frames come up to the first one that has no form of its own, whatever was
known when of the others. So the answer is a pure function of the instances.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Self
from urllib.parse import quote

from ...codecs.errors import FormatError, MerseyError, UnsupportedError
from ..runtime.frame_demand import FrameWish
from ..transfer.body import Segment
from ..transfer.frame_pieces import FramePieces
from ..transfer.progressive_body import ProgressiveFrame
from .early_frames import EarlyFrame
from .progressive_forms import ProgressiveForm
from .progressive_source import Placed, ProgressiveSource

__all__ = ["ProgressiveMaking", "is_for_good", "progressive_frame"]

_BUILT_AT_ONCE = 64
_MADE_ALONE = 8

type _Ready = tuple[Placed, tuple[FramePieces, ...]]


class ProgressiveMaking:
    """`wanted`: forms, and where their frames are, None where they are not yet.

    Begins when it is entered, in the order of `needed`, which has for each the frames in the
    order of the answer; what is not done when it is left is abandoned.
    """

    def __init__(
        self,
        wanted: Sequence[tuple[ProgressiveForm, Placed | None]],
        needed: Mapping[int, Sequence[int]],
        source: ProgressiveSource,
        *,
        single: bool,
    ) -> None:
        self._wanted = wanted
        self._needed = needed
        self._source = source
        self._single = single
        self._alone = [0] * len(wanted)
        self._gate = asyncio.Semaphore(_BUILT_AT_ONCE)
        self._tasks: dict[int, asyncio.Task[_Ready]] = {}
        self._wishes: dict[int, FrameWish] = {}

    async def __aenter__(self) -> Self:
        for at, order in self._needed.items():
            form, placed = self._wanted[at]
            if placed is None and _flows(form):
                self._wishes[at] = self._source.early.wish(form.key, order)
            self._tasks[at] = task = asyncio.create_task(self._make(at))
            if at in self._wishes:
                task.add_done_callback(self._wishes[at].tell)
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks.values():
            task.cancel()
        # Their errors are nobody's: the answer ended before it came to them.
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    def is_waited_for(self, at: int, index: int) -> bool:
        """Whether :meth:`first` would have to wait for that frame."""
        if self._tasks[at].done():
            return False
        return self._source.early.find(self._wanted[at][0].key, index) is None

    async def first(self, at: int, index: int) -> ProgressiveFrame:
        """The frame at `index` of instance `at`, with the bytes of its smallest image at least.

        Raises
        ------
        MerseyError
            It cannot be made, and so the instance cannot; or there is no room for it.
        """
        form = self._wanted[at][0]
        early = await self._early(at, index) if at in self._wishes else None
        if early is None:
            await self._tasks[at]
            return self.frame(at, index)
        return progressive_frame(form, index, (early.smallest,), early.pieces, single=self._single)

    async def all_of(self, at: int) -> None:
        """Wait until every frame of instance `at` is there; errors as with :meth:`first`."""
        await self._tasks[at]

    def frame(self, at: int, index: int) -> ProgressiveFrame:
        """The frame at `index` of instance `at`, of which all are there."""
        placed, pieces = self._tasks[at].result()
        segments = placed.segments(index)
        return progressive_frame(placed.form, index, segments, pieces[index], single=self._single)

    async def _make(self, at: int) -> _Ready:
        form, placed = self._wanted[at]
        async with self._gate:
            if placed is None:
                placed = await self._source.build(form, wish=self._wishes.get(at))
            return placed, await self._source.pieces(placed)

    async def _early(self, at: int, index: int) -> EarlyFrame | None:
        """One frame as soon as it is encoded, by itself or for the rendition.

        None where all are there, or it cannot be encoded: the rendition says what is so.
        """
        form, task, wish = self._wanted[at][0], self._tasks[at], self._wishes[at]
        while not task.done() or task.exception() is not None:
            found = self._source.early.find(form.key, index)
            if found is not None:
                return found
            error = task.exception() if task.done() else None
            if error is not None and not is_for_good(error):
                raise error
            if error is not None or self._alone[at] < _MADE_ALONE or wish.has_passed(index):
                self._alone[at] += 1
                return await self._alone_or_none(form, index, task)
            await wish.news()
        return None

    async def _alone_or_none(
        self, form: ProgressiveForm, index: int, task: asyncio.Task[_Ready]
    ) -> EarlyFrame | None:
        try:
            return await self._source.one_frame(form, index)
        except MerseyError as error:
            if not is_for_good(error):
                # If the instance cannot be made, that may be for another frame further on.
                with suppress(MerseyError):
                    await task
                    return None
                raise
            return None


def is_for_good(error: BaseException) -> bool:
    """Whether `error` is of what is stored, so that it comes whenever that is looked at."""
    return isinstance(error, (FormatError, UnsupportedError))


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


def _flows(form: ProgressiveForm) -> bool:
    """Whether its frames can be had before all are made, and there are enough of them.

    In a deflated data set a frame is found only by inflating all before it.
    """
    entry = form.entry
    is_long = entry.frame_count > _MADE_ALONE
    return bool(form.key) and is_long and not entry.instance.layout.deflated
