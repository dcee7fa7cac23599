"""Whether blobs are there: a lost one is told before an answer has begun, and is taken again.

A blob can be lost by a disk, or by `mersey store verify`, which sets damaged ones aside. Its
instance stays in the catalogue; what needs its bytes is refused, and who has them may store
them again.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

from .blobs import BlobStore
from .bounded_cache import BoundedCache

__all__ = ["Presence"]

_ASKED_AT_ONCE = 32
_MOST_SEEN = 100_000


class Presence:
    """Looks for the blobs of `blobs`. Safe in threads; blocks."""

    def __init__(self, blobs: BlobStore, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._blobs = blobs
        self._clock = clock
        self._lock = threading.Lock()
        self._seen: BoundedCache[str, float] = BoundedCache(
            limit_bytes=_MOST_SEEN, weigh=lambda _: 1
        )

    def lost(self, keys: Iterable[str], *, seen_within_s: float = 0.0) -> set[str]:
        """Those of `keys` under which there is no blob.

        On a disk each costs a stat. Elsewhere it costs a request, many at a time; none where the
        blob was seen within the last `seen_within_s` seconds.

        Raises
        ------
        ResourceError
            The store cannot be asked.
        """
        wanted = set(keys)
        here = {key for key in wanted if self._blobs.path_of(key) is not None}
        gone = {key for key in here if self._blobs.size(key) is None}
        asked = self._not_seen(wanted - here, seen_within_s)
        if not asked:
            return gone
        now = self._clock()
        with ThreadPoolExecutor(min(len(asked), _ASKED_AT_ONCE)) as threads:
            sizes = list(threads.map(self._blobs.size, asked))
        with self._lock:
            for key, size_bytes in zip(asked, sizes, strict=True):
                if size_bytes is None:
                    self._seen.drop(key)
                    gone.add(key)
                else:
                    self._seen.put(key, now)
        return gone

    def forget(self, key: str) -> None:
        """A blob was found missing: it is looked for again, however short ago it was seen."""
        with self._lock:
            self._seen.drop(key)

    def _not_seen(self, keys: set[str], seen_within_s: float) -> list[str]:
        oldest = self._clock() - seen_within_s
        with self._lock:
            return [key for key in keys if (self._seen.get(key) or oldest) <= oldest]
