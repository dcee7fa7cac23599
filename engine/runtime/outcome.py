"""What became of one file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Outcome"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """One file that is done.

    `action` is ``transcoded``; ``copied`` byte for byte (no frames, or in the target syntax
    already); ``kept`` byte for byte because the target syntax has no form for its pixels
    (`reason`); or ``skipped``, done by an earlier run. `frames` and `pixel_bytes` count what
    was transcoded now, `resumed_frames` those of an interrupted run that were kept; `lossy`
    says that something was lost in it.
    """

    source: str
    target: str
    action: Literal["transcoded", "copied", "kept", "skipped"]
    bytes_in: int = 0
    bytes_out: int = 0
    frames: int = 0
    pixel_bytes: int = 0
    resumed_frames: int = 0
    lossy: bool = False
    reason: str = ""
    warnings: tuple[str, ...] = ()
