"""An order for a rendition: of what, into what, how urgent, and who waits for it.

Many may wait: it holds no more of an instance than building it needs. For one event loop.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace

from ...codecs.errors import MerseyError
from ..archive.entry import Entry
from ..runtime.frame_demand import FrameDemand, FrameWish
from ..runtime.plan import Job
from ..runtime.rearranging import PROGRESSIVE
from .rendition_queue import Urgency

__all__ = ["RenditionOrder"]


@dataclass(slots=True)
class RenditionOrder:
    """The rendition `key` of `entry` in `target_uid`; `demand` takes its frames meanwhile."""

    entry: Entry
    key: str
    target_uid: str
    urgency: Urgency
    demand: FrameDemand = field(default_factory=FrameDemand)
    done: asyncio.Future[None] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )

    @classmethod
    def of(cls, entry: Entry, key: str, target_uid: str, urgency: Urgency) -> RenditionOrder:
        """One for `entry`, of which it keeps where its bytes are, and whose."""
        light = replace(entry, instance=replace(entry.instance, attributes={}, frames=None))
        return cls(light, key, target_uid, urgency)

    def job(self, target: str) -> Job:
        """What makes it, as the file `target`."""
        uid, is_rearranged = self.target_uid, self.target_uid == PROGRESSIVE
        if is_rearranged:
            # Of the same name, whatever rules it meets: that is how its frames are labelled.
            uid = self.entry.instance.transfer_syntax_uid
        return Job(
            self.entry.path, target, uid, "independent", digests=True, rearrange=is_rearranged
        )

    def end(self, error: MerseyError | None = None) -> None:
        """It is built, or cannot be."""
        if self.done.done():
            return
        if error is None:
            self.done.set_result(None)
        else:
            self.done.set_exception(error)
            self.done.exception()  # it was logged; nobody need be waiting for it

    async def wait(self, wish: FrameWish | None) -> None:
        """Wait until it is built; `wish` is served meanwhile. Whoever leaves leaves it as it is.

        Raises
        ------
        MerseyError
            It cannot be built.
        """
        if wish is None:
            await asyncio.shield(self.done)
            return
        self.demand.add(wish)
        try:
            await asyncio.shield(self.done)
        finally:
            self.demand.remove(wish)
