"""What a pull is told, and what it tells: settings, progress, a summary."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from ...codecs.errors import TransferError
from .connections import Backoff
from .remote import RemoteSettings

__all__ = [
    "ChangedError",
    "OnProgress",
    "PullFailure",
    "PullProgress",
    "PullSettings",
    "PullSummary",
    "Wire",
]

type Wire = Literal["as-stored", "htj2k", "zstd", "auto"]


class ChangedError(TransferError):
    """What is pulled became another meanwhile: begin anew with what is there."""

    is_passing = False


@dataclass(frozen=True, slots=True)
class PullSettings:
    """`connections` is the most that are used; `limit_bytes_per_s` is of all of them together.

    `jobs` is how many worker processes restore what travels as codestreams; None: one a core.
    """

    wire: Wire = "auto"
    connections: int = 8
    limit_bytes_per_s: float | None = None
    jobs: int | None = None
    remote: RemoteSettings = field(default_factory=RemoteSettings)
    backoff: Backoff = field(default_factory=Backoff)


@dataclass(frozen=True, slots=True)
class PullProgress:
    """Where a pull is. Bytes count originals, `wire_bytes` what came over the wire for them."""

    instances: int
    total_instances: int
    size_bytes: int
    total_bytes: int
    wire_bytes: int
    bytes_per_s: float
    left_s: float | None
    connections: int
    wire: str


type OnProgress = Callable[[PullProgress], None]


@dataclass(frozen=True, slots=True)
class PullFailure:
    """An instance that did not come, and why."""

    instance: str
    error: str
    kind: str


@dataclass(slots=True)
class PullSummary:
    """What a pull came to; `there` counts instances that were there before, byte for byte."""

    peer: str = ""
    pulled: int = 0
    there: int = 0
    size_bytes: int = 0
    wire_bytes: int = 0
    retries: int = 0
    seconds: float = 0.0
    failures: list[PullFailure] = field(default_factory=list)
