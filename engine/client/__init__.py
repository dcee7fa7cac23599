"""HTTP out: transfers with other archives, resumably; series as arrays.

The names below are imported when they are first used. What is asynchronous has no twin:
`run_sync` and `iterate_sync` make one of each.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .background import iterate_sync, run_sync
    from .remote_series import RemoteSeries
    from .series import Series, open_series
    from .streaming import SeriesUpdate, StreamSettings, stream_series
    from .transcoding import transcode

__all__ = [
    "RemoteSeries",
    "Series",
    "SeriesUpdate",
    "StreamSettings",
    "iterate_sync",
    "open_series",
    "run_sync",
    "stream_series",
    "transcode",
]

_HOMES = {
    "RemoteSeries": ".remote_series",
    "Series": ".series",
    "SeriesUpdate": ".streaming",
    "StreamSettings": ".streaming",
    "iterate_sync": ".background",
    "open_series": ".series",
    "run_sync": ".background",
    "stream_series": ".streaming",
    "transcode": ".transcoding",
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
