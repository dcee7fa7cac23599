"""Where the bytes of whole instances come from: the file, a stored rendition, or pydicom.

Each instance has its ways to be had, best first. One that turns out not to be possible is passed
over for the next.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from importlib.metadata import version

from ...codecs.errors import UnsupportedError
from ...codecs.syntaxes import EXPLICIT_LE, HTJ2K_LOSSLESS_RPCL
from ..archive.entry import Entry
from ..archive.part10_body import file_segments, is_served_whole, rewrite_explicit
from ..archive.renditions import Rendition
from ..transfer.body import FileSlice, Segment, segment_bytes
from .frame_forms import rendition_key_for
from .frame_source import FrameSource
from .holdings import reading
from .negotiation import Choice, Source

__all__ = ["Made", "ObjectSource", "Wanted", "form_of"]

_TARGETS = {Source.EXPLICIT: EXPLICIT_LE, Source.PROGRESSIVE: HTJ2K_LOSSLESS_RPCL}


@dataclass(frozen=True, slots=True)
class Wanted:
    """An instance, and the ways to have it that were asked for, best first."""

    entry: Entry
    choices: tuple[Choice, ...]


@dataclass(frozen=True, slots=True)
class Made:
    """An instance as it is to be served."""

    entry: Entry
    choice: Choice
    segments: tuple[Segment, ...]

    @property
    def length_bytes(self) -> int:
        return sum(map(segment_bytes, self.segments))

    @property
    def is_stored(self) -> bool:
        """Whether this is the stored file, its preamble zeroed."""
        return self.choice.source is Source.STORED

    @property
    def known_sha256(self) -> str:
        """Of these bytes, as ingest made it; "" where it is not known."""
        is_known = self.is_stored and is_served_whole(self.entry)
        return self.entry.served_sha256 if is_known else ""

    @property
    def form(self) -> str:
        """What names the form among those of this instance: the bytes depend on no more."""
        return form_of(self.entry, self.choice)


def form_of(entry: Entry, choice: Choice) -> str:
    """See `Made.form`; what is going to be made of `entry` has it already.

    What makes it is part of it, with the version: an entity tag may outlive both.
    """
    maker = ""
    if choice.source is not Source.STORED:
        maker = _key(entry, choice) or _rewriter()
    return f"{choice.source.name} {choice.uid} {maker}"


@functools.cache
def _rewriter() -> str:
    return f"pydicom {version('pydicom')}, mersey {version('mersey')}"


class ObjectSource:
    """Whole instances in the transfer syntaxes that they are asked for in. For one event loop."""

    def __init__(self, frames: FrameSource, *, executor: Executor) -> None:
        self._frames = frames
        self._executor = executor

    async def at_hand(self, wanted: Sequence[Wanted]) -> list[Made | None]:
        """Those that are there as they are wanted best; None for each that has to be made.

        Raises
        ------
        MerseyError
            One of them can be had in no way, as is known.
        """
        # Of ten thousand instances that takes a while.
        best = await asyncio.to_thread(lambda: [self._best(one) for one in wanted])
        keys = [key for _, key in best if key]
        renditions = dict(zip(keys, await self._frames.stored(keys), strict=True))

        def lay_out() -> list[Made | None]:
            found: list[Made | None] = []
            for one, (choice, key) in zip(wanted, best, strict=True):
                if choice.source is Source.STORED:
                    found.append(Made(one.entry, choice, file_segments(one.entry)))
                else:
                    rendition = renditions.get(key)
                    made = rendition and Made(one.entry, choice, _whole(rendition))
                    found.append(made or None)
            return found

        return await asyncio.to_thread(lay_out)

    def best(self, wanted: Wanted) -> Choice:
        """The first way that is not known to be impossible.

        Raises
        ------
        MerseyError
            All are; this is why the first one is.
        """
        return self._best(wanted)[0]

    def _best(self, wanted: Wanted) -> tuple[Choice, str]:
        """The first way that may be possible, and the key of the rendition that it needs."""
        reason: UnsupportedError | None = None
        for choice in wanted.choices:
            try:
                key = _key(wanted.entry, choice)
                failure = self._frames.failure(key) if key else None
                if failure is None:
                    return choice, key
                raise failure
            except UnsupportedError as error:
                reason = reason or error
        assert reason is not None
        raise reason

    async def make(self, wanted: Wanted) -> Made:
        """It in the first way that can be carried out; a rendition is built where need be.

        Raises
        ------
        MerseyError
            None can.
        """
        reason: UnsupportedError | None = None
        for choice in wanted.choices:
            try:
                return Made(wanted.entry, choice, await self._segments(wanted.entry, choice))
            except UnsupportedError as error:
                reason = reason or error
        assert reason is not None
        raise reason

    async def _segments(self, entry: Entry, choice: Choice) -> tuple[Segment, ...]:
        if choice.source is Source.STORED:
            return file_segments(entry)
        if entry.instance.pixels is None:
            entry = await self._frames.local(entry)
            with reading(entry):
                future = self._executor.submit(rewrite_explicit, entry.path)
                return (await asyncio.wrap_future(future),)
        return _whole(await self._frames.rendition(entry, _TARGETS[choice.source]))


def _key(entry: Entry, choice: Choice) -> str:
    """The key of the rendition that `choice` needs; "" where it needs none."""
    if choice.source is Source.STORED or entry.instance.pixels is None:
        return ""
    return rendition_key_for(entry, _TARGETS[choice.source])


def _whole(rendition: Rendition) -> tuple[Segment, ...]:
    return (FileSlice(rendition.path, 0, rendition.stamp.size_bytes, rendition.stamp),)
