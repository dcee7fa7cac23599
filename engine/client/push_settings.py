"""What a push is told."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from .connections import Backoff
from .remote import RemoteSettings

__all__ = ["PushSettings"]


@dataclass(frozen=True, slots=True)
class PushSettings:
    """How to push.

    `wire` is ``as-stored``, ``htj2k``, ``zstd`` or ``auto``; `limit_bytes_per_s` bounds what
    travels. `scratch` is where packed instances lie until they have arrived, by default a
    temporary folder. With `commitment` the archive is asked whether it keeps what it got. Of an
    archive that is no Mersey only the UIDs of what it has are known: with `send_all` that is sent
    as well. `jobs` is how many worker processes pack; None: one a core.
    """

    wire: str = "auto"
    connections: int = 8
    limit_bytes_per_s: float | None = None
    jobs: int | None = None
    scratch: Path | None = None
    commitment: bool = True
    send_all: bool = False
    remote: RemoteSettings = field(default_factory=RemoteSettings)
    backoff: Backoff = field(default_factory=Backoff)
