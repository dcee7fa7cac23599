"""What was measured before, kept as multiples of the calibration, and the comparison with it.

Pure: the file is a JSON object, name of the benchmark to its median over that of `calibrate`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Change", "compare", "read_baseline", "write_baseline"]


@dataclass(frozen=True, slots=True)
class Change:
    """A benchmark now and before; `ratio` above 1 is slower than it was."""

    name: str
    before: float
    now: float

    @property
    def ratio(self) -> float:
        return self.now / self.before


def read_baseline(path: Path) -> dict[str, float]:
    """The multiples by name; nothing where there is no file."""
    if not path.exists():
        return {}
    found: dict[str, float] = json.loads(path.read_text())["multiples"]
    return found


def write_baseline(path: Path, multiples: Mapping[str, float]) -> None:
    """Keep what was measured now; what was not measured now stays as it was."""
    kept = read_baseline(path) | {name: round(value, 4) for name, value in multiples.items()}
    content = {
        "unit": "median of the benchmark over the seconds of bench/calibration.py",
        "multiples": dict(sorted(kept.items())),
    }
    path.write_text(json.dumps(content, indent=1) + "\n")


def compare(before: Mapping[str, float], now: Mapping[str, float]) -> list[Change]:
    """What is in both, the slowest against before first."""
    changes = [Change(name, before[name], now[name]) for name in now if name in before]
    return sorted(changes, key=lambda change: -change.ratio)
