"""The CRC-32 of instances as they are served, which a ZIP archive has in front of each.

Ingest has made it for what the archive keeps itself. That of a file in place is made once, by a
worker, and kept in the catalogue; that of renditions and of rewritten headers is kept in memory.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import Executor

from ..archive.blobs import BlobStore
from ..archive.bounded_cache import BoundedCache
from ..archive.catalogue import Catalogue
from ..archive.entry import Entry
from ..archive.hashing import digests_in_place
from ..archive.part10_body import is_served_whole
from ..archive.segment_reading import crc32_of
from ..runtime.submission import submit
from .holdings import reading
from .object_source import Made

__all__ = ["ServedDigests"]

_KEPT = 200_000
_AT_ONCE = 4
_SLOWEST = 20e6


class ServedDigests:
    """CRCs, each made once. For one event loop."""

    def __init__(
        self, catalogue: Catalogue, *, executor: Executor, blobs: BlobStore | None = None
    ) -> None:
        self._catalogue = catalogue
        self._executor = executor
        self._blobs = blobs
        self._kept: BoundedCache[tuple[str, str], int] = BoundedCache(
            limit_bytes=_KEPT, weigh=lambda _: 1
        )

    async def crc32(self, made: Made) -> int:
        """The CRC-32 of one instance as it is to be served.

        Raises
        ------
        MerseyError
            It cannot be read, or has changed.
        """
        known = self._known(made)
        if known is not None:
            return known
        entry = made.entry
        with reading(entry):
            if made.is_stored and is_served_whole(entry) and not entry.blob_key:
                found = await self._of_file(entry)
            else:
                found = await asyncio.to_thread(crc32_of, made.segments, blobs=self._blobs)
        self._kept.put((entry.fingerprint, made.form), found)
        return found

    async def all_crc32(self, made: Sequence[Made]) -> list[int]:
        """The CRC-32 of each of `made`.

        Raises
        ------
        MerseyError
            One of them cannot be read, or has changed.
        """
        gate = asyncio.Semaphore(_AT_ONCE)
        found = [self._known(one) for one in made]

        async def one(at: int) -> None:
            async with gate:
                found[at] = await self.crc32(made[at])

        try:
            async with asyncio.TaskGroup() as group:
                for at, known in enumerate(found):
                    if known is None:
                        group.create_task(one(at))
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None
        return [crc for crc in found if crc is not None]

    def _known(self, made: Made) -> int | None:
        entry = made.entry
        if made.is_stored and entry.served_crc32 is not None and is_served_whole(entry):
            return entry.served_crc32
        return self._kept.get((entry.fingerprint, made.form))

    async def _of_file(self, entry: Entry) -> int:
        """That of a file in place, with the digests that are made in one reading of it."""
        limit_s = 30 + entry.stamp.size_bytes / _SLOWEST
        future = submit(self._executor, limit_s, digests_in_place, entry.path, has_preamble=True)
        digests: tuple[str, str, int] = await asyncio.wrap_future(future)
        sha256, served_sha256, served_crc32 = digests
        await asyncio.to_thread(
            self._catalogue.keep_digests,
            entry.instance.sop_instance_uid,
            entry.stamp,
            sha256=sha256,
            served_sha256=served_sha256,
            served_crc32=served_crc32,
        )
        return served_crc32
