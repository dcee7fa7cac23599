"""Which form is soonest at its end: `--wire auto`. Decides by what was measured, measures nothing.

As stored, the link is all that counts. A smaller form takes less of the link and needs both
processors: it is as fast as the slowest of the three.
"""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["WIRES", "WireChoice"]

WIRES = ("as-stored", "htj2k", "zstd")
_SWITCH = 1.15
"""A form has to be that much faster than the one in use: estimates are no more exact."""
_IDLE = 0.7
"""Processors that are asked for less of what they can do than that hold nothing up."""


@dataclass(slots=True)
class _Form:
    """`ratio` is of what travels to the original; `work_bytes_per_s` of originals, made or read."""

    ratio: float
    work_bytes_per_s: float
    measured: bool = False


def _priors(cores: int) -> dict[str, _Form]:
    return {
        "as-stored": _Form(1.0, 3e9),
        "htj2k": _Form(0.4, 75e6 * cores),
        "zstd": _Form(0.75, 100e6 * cores),
    }


@dataclass(slots=True)
class WireChoice:
    """What is known of the link and of each form so far; `cores` is of this end."""

    cores: int
    offered: tuple[str, ...] = WIRES
    link_bytes_per_s: float | None = None
    current: str = ""
    _forms: dict[str, _Form] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._forms = _priors(self.cores)

    def choose(self) -> str:
        """The form for what is begun next."""
        offered = [name for name in self.offered if name in self._forms]
        if self.link_bytes_per_s is None or not offered:
            return self.current or "as-stored"
        best = max(offered, key=self.originals_per_s)
        used = self.current or ("as-stored" if "as-stored" in offered else best)
        is_worth_it = self.originals_per_s(best) > _SWITCH * self.originals_per_s(used)
        self.current = best if is_worth_it else used
        return self.current

    def originals_per_s(self, name: str) -> float:
        """How many bytes of originals a second arrive in that form."""
        form = self._forms[name]
        return min((self.link_bytes_per_s or 0.0) / form.ratio, form.work_bytes_per_s)

    def measured_link(self, bytes_per_s: float) -> None:
        """That many bytes a second came while nothing else held them up."""
        self.link_bytes_per_s = _mixed(self.link_bytes_per_s, bytes_per_s)

    def came(self, name: str, bytes_per_s: float) -> None:
        """All connections together brought that much of that form for a while.

        The link is at least that fast; it is no faster where the form in use leaves the
        processors time: then nothing else can have held the bytes up.
        """
        known = self.link_bytes_per_s
        is_link = bytes_per_s < _IDLE * self._forms[name].work_bytes_per_s * self._forms[name].ratio
        if known is None or bytes_per_s > known or is_link:
            self.link_bytes_per_s = _mixed(known, bytes_per_s)

    def measured_ratio(self, name: str, *, length_bytes: int, size_bytes: int) -> None:
        """A parcel of `size_bytes` took `length_bytes` in that form."""
        form = self._forms[name]
        ratio = length_bytes / size_bytes
        form.ratio = _mixed(form.ratio if form.measured else None, ratio)
        form.measured = True

    def measured_work(self, name: str, bytes_per_s: float) -> None:
        """Originals came out of that form so fast, with nothing to wait for."""
        form = self._forms[name]
        form.work_bytes_per_s = _mixed(form.work_bytes_per_s, bytes_per_s)


def _mixed(before: float | None, now: float) -> float:
    return now if before is None else 0.5 * before + 0.5 * now
