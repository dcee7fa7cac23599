"""What waits to be built, by urgency: first what a client waits for, last what nobody asked for.

Of one urgency the oldest order goes first, but of what was received the newest: that is what is
looked at next. An order that is given again with more urgency moves up.
"""

from __future__ import annotations

from collections import OrderedDict
from enum import IntEnum

__all__ = ["RenditionQueue", "Urgency"]


class Urgency(IntEnum):
    """Why a rendition is to be built; the lowest first."""

    AWAITED = 0
    """A client waits for it."""
    ASKED = 1
    """It was asked for, and answered otherwise."""
    RECEIVED = 2
    """Nobody asked: its instance came."""


class RenditionQueue[T]:
    """At most `limit` orders by key; where there are more, the least urgent one is dropped."""

    def __init__(self, *, limit: int) -> None:
        self._limit = limit
        self._waiting: dict[Urgency, OrderedDict[str, T]] = {
            urgency: OrderedDict() for urgency in Urgency
        }

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values()))

    @property
    def urgency(self) -> Urgency | None:
        """That of the most urgent order; None where none waits."""
        return next((urgency for urgency, held in self._waiting.items() if held), None)

    def get(self, key: str) -> T | None:
        """The order `key`, if it waits."""
        return next((held[key] for held in self._waiting.values() if key in held), None)

    def put(self, key: str, order: T, urgency: Urgency) -> T | None:
        """Have `order` wait; what had to go for it, which may be itself."""
        self.raise_to(key, urgency)
        if self.get(key) is None:
            self._waiting[urgency][key] = order
        if len(self) <= self._limit:
            return None
        least = max(urgency for urgency, held in self._waiting.items() if held)
        return self._waiting[least].popitem(last=False)[1]

    def raise_to(self, key: str, urgency: Urgency) -> None:
        """Let the order `key` wait among those of `urgency`, where it waits among lesser ones."""
        for lesser in Urgency:
            if lesser > urgency and key in self._waiting[lesser]:
                self._waiting[urgency][key] = self._waiting[lesser].pop(key)

    def pop(self) -> T:
        """Take the most urgent order; KeyError where there is none."""
        for urgency, held in self._waiting.items():
            if held:
                return held.popitem(last=urgency is Urgency.RECEIVED)[1]
        raise KeyError("no order waits")
