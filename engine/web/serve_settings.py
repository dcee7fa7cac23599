"""What to serve, and where: one frozen value, made at the edge and passed down."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..archive.stored import OnConflict

__all__ = ["ServeSettings"]


@dataclass(frozen=True, slots=True)
class ServeSettings:
    """What to serve, and where; `origins` are whose pages may read the answers.

    `store` is a local folder. `blobs` is the URL of the object store that originals are kept in;
    without it they are in `store`. `copies_bytes` bounds the local copies of blobs.
    `catalogue` is the URL of one that servers share; without it, it is a file in `store`.
    With `watch` the folders are followed as they change.
    `on_conflict` decides what a store request comes to where a UID is taken by other bytes.
    `cache_bytes` bounds the renditions; `prebuild` has them made before they are asked for.
    Without `transfers` only what DICOMweb has is served.
    An upload to which nothing was appended for `upload_expiry_s` is forgotten; none may be longer
    than `max_upload_bytes`.
    """

    folders: tuple[Path, ...]
    store: Path
    host: str = "127.0.0.1"
    port: int = 8042
    jobs: int | None = None
    origins: tuple[str, ...] = ("*",)
    catalogue: str | None = None
    watch: bool = False
    cache_bytes: int | None = None
    prebuild: bool = False
    transfers: bool = True
    on_conflict: OnConflict = "reject"
    upload_expiry_s: float = 86400.0
    max_upload_bytes: int = 1 << 40
    blobs: str | None = None
    copies_bytes: int = 4 << 30
