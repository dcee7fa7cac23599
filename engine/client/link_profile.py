"""What a link does to the bytes that pass: the laws of rate, delay and faults, without a clock.

Pure: times are given and taken as numbers, and every random choice comes from the seed. Places
are counted in bytes that have passed in one direction, over all connections: whoever connects
again after a cut gets as far as the next one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from ...codecs.errors import UsageError

__all__ = ["Direction", "Lane", "LinkProfile", "Places", "Stall"]

_MTU_BYTES = 1448
_MOST_PIECE_BYTES = 64 << 10
_PIECE_S = 0.002
_QUEUE_S = 0.010
_LONGEST_S = 60.0


@dataclass(frozen=True, slots=True)
class Places:
    """Where something happens: at each of `at`, every `every` bytes, and about every `about`.

    The gaps of `about` are drawn evenly from a half to one and a half of it.
    """

    at: tuple[int, ...] = ()
    every: int = 0
    about: int = 0

    def __post_init__(self) -> None:
        if min((self.every, self.about, *self.at)) < 0:
            raise UsageError("places in a stream of bytes are not negative")

    def positions(self, random: Random) -> Iterator[int]:
        """All places, in order; as many as are asked for."""
        fixed = sorted(set(self.at))
        steady = self.every
        drawn = self._gap(random)
        while fixed or steady or drawn:
            place = min(([fixed[0]] if fixed else []) + [n for n in (steady, drawn) if n])
            yield place
            while fixed and fixed[0] <= place:
                fixed.pop(0)
            if steady and steady <= place:
                steady += self.every
            if drawn and drawn <= place:
                drawn += self._gap(random)

    def _gap(self, random: Random) -> int:
        return self.about and max(1, random.randint(self.about // 2, self.about * 3 // 2))


@dataclass(frozen=True, slots=True)
class Stall:
    """Nothing leaves for `seconds`, at each of `places`."""

    places: Places
    seconds: float

    def __post_init__(self) -> None:
        if not 0 < self.seconds <= _LONGEST_S:
            raise UsageError(f"a stall of {self.seconds} s, expected at most {_LONGEST_S:g}")


@dataclass(frozen=True, slots=True)
class Direction:
    """One way of a link: `bytes_per_s` (None: as fast as it goes), and one-way times in seconds.

    `jitter_s` is added to each piece, between nothing and that much; bytes stay in order, as
    TCP delivers them. `cuts` are where a connection breaks, `flips` where a byte is another.
    """

    bytes_per_s: float | None = None
    delay_s: float = 0.0
    jitter_s: float = 0.0
    cuts: Places = Places()
    flips: Places = Places()
    stall: Stall | None = None

    def __post_init__(self) -> None:
        if self.bytes_per_s is not None and not self.bytes_per_s > 0:
            raise UsageError("a link has a rate above nothing")
        if not (0 <= self.delay_s <= _LONGEST_S and 0 <= self.jitter_s <= _LONGEST_S):
            raise UsageError(f"delays are 0–{_LONGEST_S:g} s")

    @property
    def piece_bytes(self) -> int:
        """How much is handed on at once: some packets, about two milliseconds of the link."""
        if self.bytes_per_s is None:
            return _MOST_PIECE_BYTES
        return min(_MOST_PIECE_BYTES, max(_MTU_BYTES, int(self.bytes_per_s * _PIECE_S)))

    @property
    def queue_bytes(self) -> int:
        """What may be under way at once: what the link holds, and a small queue before it."""
        if self.bytes_per_s is None:
            return 4 * _MOST_PIECE_BYTES
        held_s = self.delay_s + self.jitter_s + _QUEUE_S
        return max(4 * self.piece_bytes, int(self.bytes_per_s * held_s))


@dataclass(frozen=True, slots=True)
class LinkProfile:
    """Both directions of a link, seen from the client, and the seed of all that is random."""

    up: Direction = Direction()
    down: Direction = Direction()
    seed: int = 0

    @classmethod
    def shaped(
        cls, *, bytes_per_s: float | None = None, rtt_s: float = 0.0, seed: int = 0
    ) -> LinkProfile:
        """The same rate both ways, and half of a round trip each."""
        way = Direction(bytes_per_s, rtt_s / 2)
        return cls(way, way, seed)


class Lane:
    """One direction at work: when each piece arrives, and what befalls it.

    All connections share the rate, and the count of bytes that places are counted by.
    """

    def __init__(self, direction: Direction, random: Random) -> None:
        self.direction = direction
        self.passed_bytes = 0
        self._random = random
        self._free_s = 0.0
        self._arrived_s = 0.0
        stall = direction.stall
        self._cuts = _Next(direction.cuts.positions(random))
        self._flips = _Next(direction.flips.positions(random))
        self._stalls = _Next(iter(()) if stall is None else stall.places.positions(random))
        self.cut_count = self.flip_count = self.stall_count = 0

    def carry(self, data: bytes, now_s: float) -> tuple[bytes, float, bool]:
        """What arrives of `data`, sent now; when; and whether its connection breaks behind it."""
        direction = self.direction
        room = self._cuts.place - self.passed_bytes
        is_cut = room <= len(data)
        if is_cut:
            data = data[:room]
        before = self.passed_bytes
        self.passed_bytes += len(data)
        data = self._flipped(data, before)
        if is_cut:
            self._cuts.move_on()
            self.cut_count += 1
        self._free_s = max(self._free_s, now_s)
        while self._stalls.place <= self.passed_bytes:
            assert direction.stall is not None
            self._free_s += direction.stall.seconds
            self._stalls.move_on()
            self.stall_count += 1
        if direction.bytes_per_s is not None:
            self._free_s += len(data) / direction.bytes_per_s
        late_s = self._random.uniform(0, direction.jitter_s) if direction.jitter_s else 0.0
        self._arrived_s = max(self._arrived_s, self._free_s + direction.delay_s + late_s)
        return data, self._arrived_s, is_cut

    def _flipped(self, data: bytes, start: int) -> bytes:
        """`data` with one bit of each byte at a place turned over."""
        if self._flips.place >= start + len(data):
            return data
        changed = bytearray(data)
        while self._flips.place < start + len(data):
            changed[self._flips.place - start] ^= 1 << self._random.randrange(8)
            self._flips.move_on()
            self.flip_count += 1
        return bytes(changed)


class _Next:
    """The next of some places; beyond all bytes when there are no more."""

    def __init__(self, places: Iterator[int]) -> None:
        self._places = places
        self.place = 0
        self.move_on()

    def move_on(self) -> None:
        self.place = next(self._places, 1 << 63)
