"""The smallest images of frames, as they are encoded: to be sent before their rendition is there.

They stay in memory for a while: whoever comes again for the same answer is past them at once.
What is not there any more is made again; nothing rests on it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from ...codecs.pixels import Buffer
from ..archive.bounded_cache import BoundedCache
from ..runtime.cut_points import cut_points_of_bytes
from ..runtime.frame_demand import FrameWish
from ..transfer.frame_pieces import FramePieces

__all__ = ["EarlyFrame", "EarlyFrames"]

_CACHE_BYTES = 24 << 20
_HELD_A_FRAME_BYTES = 900


@dataclass(frozen=True, slots=True)
class EarlyFrame:
    """The pieces of a frame, and the bytes of its smallest image; none where it cannot be cut."""

    pieces: FramePieces
    smallest: bytes

    @classmethod
    def of(cls, data: Buffer) -> EarlyFrame:
        """That of the frame `data`, padded to an even length as it is stored (PS3.5 §A.4)."""
        view = memoryview(data)
        whole = b"".join((view, b"\0")) if view.nbytes % 2 else bytes(view)
        pieces = FramePieces.of(whole, cut_points_of_bytes(whole))
        smallest = whole[: pieces.cut_points[-1]] if len(pieces.cut_points) > 1 else b""
        return cls(pieces, smallest)


class EarlyFrames:
    """Those of the renditions that are built, by key. For one event loop."""

    def __init__(self) -> None:
        self._held: BoundedCache[tuple[str, int], EarlyFrame] = BoundedCache(
            limit_bytes=_CACHE_BYTES, weigh=lambda one: _HELD_A_FRAME_BYTES + len(one.smallest)
        )

    def find(self, key: str, index: int) -> EarlyFrame | None:
        """The frame at `index` of the rendition `key`, if it is there."""
        return self._held.get((key, index))

    async def add(self, key: str, first: int, frames: Sequence[Buffer]) -> None:
        """Here are the `frames` from `first` on, as they were encoded."""
        # Digests are made of them, which takes some time.
        made = await asyncio.to_thread(lambda: [EarlyFrame.of(data) for data in frames])
        for index, one in enumerate(made, first):
            self._held.put((key, index), one)

    def wish(self, key: str, order: Sequence[int]) -> FrameWish:
        """What has the frames of the rendition `key` come here, those in `order` first."""
        return FrameWish(order, take=lambda first, frames: self.add(key, first, frames))
