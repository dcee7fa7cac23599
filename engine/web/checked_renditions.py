"""Stored renditions whose bytes are those that were written: the damaged are dropped when found."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from ...codecs.errors import IntegrityError, MerseyError
from ..archive.renditions import Rendition, RenditionStore

__all__ = ["CheckedRenditions"]

_log = logging.getLogger(__name__)

_FOUND_AT_ONCE = 16


class CheckedRenditions:
    """Those of `renditions`. For one event loop; files are read in threads."""

    def __init__(self, renditions: RenditionStore) -> None:
        self._renditions = renditions

    async def find(self, key: str, indices: Sequence[int] | None) -> Rendition | None:
        """The rendition, where the frames at `indices` are those that were written.

        All bytes of it where that is None. What was compared lately is not read again.
        """
        rendition = self._renditions.find(key)
        if rendition is None:
            return None
        unchecked = rendition.unchecked(indices)
        if not unchecked:
            return rendition
        try:
            await asyncio.to_thread(rendition.check, unchecked)
        except (IntegrityError, OSError) as error:
            self._drop(key, rendition, error)
            return None
        return rendition

    async def find_all(self, keys: Sequence[str]) -> list[Rendition | None]:
        """The renditions of `keys` as far as they are there, with all bytes that were written.

        Of hundreds, all that was not compared lately is compared in one thread.
        """
        found: list[Rendition | None] = []
        for key in keys:
            found.append(self._renditions.find(key))
            if len(found) % _FOUND_AT_ONCE == 0:
                await asyncio.sleep(0)  # headers may have been read: let others go on
        damaged = await asyncio.to_thread(_damaged, [one for one in found if one is not None])
        for index, (key, rendition) in enumerate(zip(keys, found, strict=True)):
            if rendition is not None and id(rendition) in damaged:
                self._drop(key, rendition, damaged[id(rendition)])
                found[index] = None
        return found

    def _drop(self, key: str, rendition: Rendition, error: MerseyError | OSError) -> None:
        if self._renditions.find(key) is rendition:  # not the one made meanwhile
            _log.warning("rendition %s is dropped: %s", key, error)
            self._renditions.drop(key)


def _damaged(renditions: Sequence[Rendition]) -> dict[int, MerseyError | OSError]:
    """What is wrong with those that are not what was written, by their identity. Blocks."""
    found: dict[int, MerseyError | OSError] = {}
    for rendition in renditions:
        try:
            rendition.check(rendition.unchecked(None))
        except (IntegrityError, OSError) as error:
            found[id(rendition)] = error
    return found
