"""Where the frames of progressive answers are, and the pieces that they are sent in.

Pieces are read once for a file, when it is first asked for, and kept beside the renditions; in
memory for a while. Finds and builds; lays nothing out.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...codecs.errors import FormatError, MerseyError, ResourceError
from ..archive.bounded_cache import BoundedCache
from ..archive.kept_pieces import find_pieces, keep_pieces
from ..archive.renditions import Rendition, RenditionStore
from ..dicom.frame_index import FrameIndex
from ..runtime.frame_demand import FrameWish
from ..runtime.piece_reading import read_frame_pieces
from ..runtime.rearranging import PROGRESSIVE
from ..transfer.body import FileStamp, Segment
from ..transfer.frame_pieces import FramePieces
from .early_frames import EarlyFrame, EarlyFrames
from .frame_source import FrameSource
from .holdings import reading
from .progressive_forms import ProgressiveForm

__all__ = ["Placed", "ProgressiveSource"]

_CACHE_BYTES = 16 << 20
_HELD_A_FRAME_BYTES = 600

type Pieces = tuple[FramePieces, ...]


@dataclass(frozen=True, slots=True)
class Placed:
    """A form, and the file where its frames are now."""

    form: ProgressiveForm
    path: str
    stamp: FileStamp
    frames: FrameIndex
    rendition: Rendition | None

    def segments(self, index: int) -> tuple[Segment, ...]:
        """The bytes of the frame at `index`, counted from 0."""
        if self.rendition is not None:
            return self.rendition.frame_slices(index)
        return self.form.entry.frame_slices(self.frames[index])


class ProgressiveSource:
    """Frames with their pieces. For one event loop."""

    def __init__(self, frames: FrameSource, renditions: RenditionStore) -> None:
        self._frames = frames
        self._renditions = renditions
        self.early = EarlyFrames()
        self._pieces: BoundedCache[str, tuple[FileStamp, Pieces]] = BoundedCache(
            limit_bytes=_CACHE_BYTES, weigh=lambda held: 200 + _HELD_A_FRAME_BYTES * len(held[1])
        )

    async def at_hand(self, forms: Sequence[ProgressiveForm]) -> list[Placed | MerseyError | None]:
        """Where the frames of each form are; None where they have yet to be made, or fetched.

        Where it is known that they cannot be, why.
        """
        keys = [form.key for form in forms if form.key]
        by_key = dict(zip(keys, await self._frames.stored(keys), strict=True))
        found: list[Placed | MerseyError | None] = []
        for form in forms:
            if not form.key:
                stored = _as_stored(form, form.entry.path)
                is_here = bool(form.entry.path) or (await self.known([stored]))[0] is not None
                found.append(stored if is_here else None)
                continue
            rendition = by_key[form.key]
            known = rendition and _in_rendition(form, rendition)
            found.append(known or self._frames.failure(form.key))
        return found

    async def build(self, form: ProgressiveForm, *, wish: FrameWish | None = None) -> Placed:
        """Where its frames are: built first, or fetched, before all that nobody waits for.

        `wish` is served while they are built.

        Raises
        ------
        ResourceError
            There is no room for them.
        MerseyError
            They cannot be built.
        """
        if not form.key:
            return _as_stored(form, (await self._frames.local(form.entry)).path)
        rendition = await self._frames.rendition(form.entry, form.target_uid, wish=wish)
        return _in_rendition(form, rendition)

    async def one_frame(self, form: ProgressiveForm, index: int) -> EarlyFrame | None:
        """One frame, made alone and at once, with the bytes that its rendition will have.

        None where the rendition is there by now.

        Raises
        ------
        MerseyError
            It cannot be made.
        """
        if form.target_uid == PROGRESSIVE:
            (segments,) = await self._frames.rearranged(form.entry, [index])
        else:
            (segments,) = await self._frames.progressive(form.entry, [index])
        data = [one for one in segments if isinstance(one, bytes)]
        if not data:
            return None
        await self.early.add(form.key, index, data)
        return self.early.find(form.key, index)

    async def known(self, placed: Sequence[Placed]) -> list[Pieces | None]:
        """The pieces of each whose pieces were read before."""
        found = [self._held(one) for one in placed]
        unknown = [at for at, held in enumerate(found) if held is None]
        if unknown:
            kept = await asyncio.to_thread(lambda: [self._kept(placed[at]) for at in unknown])
            for at, pieces in zip(unknown, kept, strict=True):
                found[at] = pieces and self._hold(placed[at], pieces)
        return found

    async def pieces(self, placed: Placed) -> Pieces:
        """The pieces of every frame, read where they are not known.

        Raises
        ------
        MerseyError
            The file cannot be read, or is another by now.
        """
        (known,) = await self.known([placed])
        if known is not None:
            return known
        if not placed.path:
            placed = await self.build(placed.form)
        return self._hold(placed, await asyncio.to_thread(self._read, placed))

    def _held(self, placed: Placed) -> Pieces | None:
        held = self._pieces.get(placed.form.tag)
        return held[1] if held is not None and held[0] == placed.stamp else None

    def _hold(self, placed: Placed, pieces: Pieces) -> Pieces:
        self._pieces.put(placed.form.tag, (placed.stamp, pieces))
        return pieces

    def _kept(self, placed: Placed) -> Pieces | None:
        kept = find_pieces(self._beside(placed), placed.stamp)
        return kept if kept is not None and len(kept) == placed.frames.count else None

    def _read(self, placed: Placed) -> Pieces:
        if placed.rendition is None:
            with reading(placed.form.entry):
                made = read_frame_pieces(placed.path, placed.frames)
        else:
            try:
                made = read_frame_pieces(placed.path, placed.frames)
            except (FormatError, OSError) as error:
                raise ResourceError("a rendition went while it was looked at") from error
        keep_pieces(self._beside(placed), placed.stamp, made)
        return made

    def _beside(self, placed: Placed) -> Path:
        """What the pieces are kept beside: the rendition, or where one would be."""
        if placed.rendition is not None:
            return Path(placed.path)
        key = hashlib.sha256(f"pieces {placed.form.tag}".encode()).hexdigest()
        return self._renditions.path_of(key)


def _as_stored(form: ProgressiveForm, path: str) -> Placed:
    """`path` is "" where nothing of the file is read but what is sent."""
    frames = form.entry.instance.frames
    assert frames is not None
    return Placed(form, path, form.entry.stamp, frames, None)


def _in_rendition(form: ProgressiveForm, rendition: Rendition) -> Placed:
    return Placed(form, rendition.path, rendition.stamp, rendition.frames, rendition)
