"""A cache in memory that weighs what it holds and forgets what was used longest ago.

For one thread, or one event loop: it takes no locks.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable

__all__ = ["BoundedCache"]


class BoundedCache[K: Hashable, V]:
    """At most `limit_bytes` of values, each weighed once by `weigh` when it comes in.

    A value heavier than the whole limit is not kept.
    """

    def __init__(self, *, limit_bytes: int, weigh: Callable[[V], int]) -> None:
        self.limit_bytes = limit_bytes
        self.held_bytes = 0
        self._weigh = weigh
        self._held: OrderedDict[K, tuple[V, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._held)

    def get(self, key: K) -> V | None:
        """The value of `key`, which becomes the one used last; None where it is not held."""
        found = self._held.get(key)
        if found is None:
            return None
        self._held.move_to_end(key)
        return found[0]

    def put(self, key: K, value: V) -> None:
        """Hold `value`, at the cost of those used longest ago."""
        self.drop(key)
        weight = self._weigh(value)
        if weight > self.limit_bytes:
            return
        self._held[key] = (value, weight)
        self.held_bytes += weight
        while self.held_bytes > self.limit_bytes:
            _, (_, freed) = self._held.popitem(last=False)
            self.held_bytes -= freed

    def drop(self, key: K) -> None:
        """Forget `key`, where it is held."""
        found = self._held.pop(key, None)
        if found is not None:
            self.held_bytes -= found[1]

    def clear(self) -> None:
        """Forget everything."""
        self._held.clear()
        self.held_bytes = 0
