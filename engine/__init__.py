"""Mersey's engine: moves the bytes of DICOM studies.

The names below are the public API of the library. Each is imported when it is first used:
``import mersey.engine`` itself costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..codecs.errors import (
        CodestreamError,
        DicomError,
        FormatError,
        IntegrityError,
        MerseyError,
        ResourceError,
        TransferError,
        UnsupportedError,
        UsageError,
    )
    from ..codecs.pixels import PixelFormat
    from ..codecs.registry import Registry
    from .client.pull_values import PullProgress, PullSettings, PullSummary
    from .client.pulling import pull
    from .client.push_report import PushProgress, PushReport
    from .client.push_settings import PushSettings
    from .client.pushing import push
    from .client.series import open_series
    from .client.stored_studies import StoredStudies
    from .client.streaming import stream_series
    from .client.transcoding import transcode
    from .dicom.frame_index import Frame, FrameIndex, Span
    from .dicom.indexing import index_instance
    from .dicom.instance import Instance, ReadAt
    from .dicom.writer import Part10Writer
    from .runtime.byte_budget import ByteBudget
    from .runtime.plan import Job
    from .runtime.transcode import transcode_file
    from .runtime.worker_pool import WorkerPool

__all__ = [
    "ByteBudget",
    "CodestreamError",
    "DicomError",
    "FormatError",
    "Frame",
    "FrameIndex",
    "Instance",
    "IntegrityError",
    "Job",
    "MerseyError",
    "Part10Writer",
    "PixelFormat",
    "PullProgress",
    "PullSettings",
    "PullSummary",
    "PushProgress",
    "PushReport",
    "PushSettings",
    "ReadAt",
    "Registry",
    "ResourceError",
    "Span",
    "StoredStudies",
    "TransferError",
    "UnsupportedError",
    "UsageError",
    "WorkerPool",
    "index_instance",
    "push",
    "pull",
    "open_series",
    "stream_series",
    "transcode",
    "transcode_file",
]

_ERRORS = "mersey.codecs.errors"
_HOMES = {
    "ByteBudget": ".runtime.byte_budget",
    "CodestreamError": _ERRORS,
    "DicomError": _ERRORS,
    "FormatError": _ERRORS,
    "Frame": ".dicom.frame_index",
    "FrameIndex": ".dicom.frame_index",
    "Instance": ".dicom.instance",
    "IntegrityError": _ERRORS,
    "Job": ".runtime.plan",
    "MerseyError": _ERRORS,
    "Part10Writer": ".dicom.writer",
    "PixelFormat": "mersey.codecs.pixels",
    "PullProgress": ".client.pull_values",
    "PullSettings": ".client.pull_values",
    "PullSummary": ".client.pull_values",
    "PushProgress": ".client.push_report",
    "PushReport": ".client.push_report",
    "PushSettings": ".client.push_settings",
    "ReadAt": ".dicom.instance",
    "Registry": "mersey.codecs.registry",
    "ResourceError": _ERRORS,
    "Span": ".dicom.frame_index",
    "StoredStudies": ".client.stored_studies",
    "TransferError": _ERRORS,
    "UnsupportedError": _ERRORS,
    "UsageError": _ERRORS,
    "WorkerPool": ".runtime.worker_pool",
    "index_instance": ".dicom.indexing",
    "push": ".client.pushing",
    "pull": ".client.pulling",
    "open_series": ".client.series",
    "stream_series": ".client.streaming",
    "transcode": ".client.transcoding",
    "transcode_file": ".runtime.transcode",
}


def __getattr__(name: str) -> Any:
    """Import the module a public name lives in (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name], __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
