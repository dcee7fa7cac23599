"""What requests are answered from: the parts of a server that its endpoints work with."""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import dataclass, field

from ..archive.blobs import BlobStore
from ..runtime.intake import Intake
from .body_digests import BodyDigests
from .commitment import Commitments
from .frame_source import FrameSource
from .holdings import Holdings
from .inbound import Inbounds
from .metadata import MetadataSource
from .parcels import ParcelSource
from .progressive_source import ProgressiveSource
from .resumable_upload import ResumableUploads
from .served_digests import ServedDigests
from .tus import TusUploads

__all__ = ["Service"]


@dataclass(frozen=True, slots=True)
class Service:
    """What requests are answered from; with no `intake`, nothing can be stored."""

    holdings: Holdings
    frames: FrameSource
    metadata: MetadataSource
    executor: Executor
    progressive: ProgressiveSource
    served: ServedDigests
    intake: Intake | None = None
    commitments: Commitments | None = None
    blobs: BlobStore | None = None
    parcels: ParcelSource | None = None
    resumable: ResumableUploads | None = None
    tus: TusUploads | None = None
    inbounds: Inbounds | None = None
    digests: BodyDigests = field(default_factory=BodyDigests)
