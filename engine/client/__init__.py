"""HTTP out: transfers with other archives, resumably; series as arrays.

The names below are imported when they are first used. What is asynchronous has no twin:
`run_sync` and `iterate_sync` make one of each.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .background import iterate_sync, run_sync
    from .pull_values import PullProgress, PullSettings, PullSummary
    from .pulling import pull
    from .push_report import PushProgress, PushReport
    from .push_settings import PushSettings
    from .pushing import push
    from .remote_series import RemoteSeries
    from .series import Series, open_series
    from .series_update import SeriesUpdate
    from .stored_studies import StoredStudies
    from .streaming import StreamSettings, stream_series
    from .transcoding import transcode

__all__ = [
    "PullProgress",
    "PullSettings",
    "PullSummary",
    "PushProgress",
    "PushReport",
    "PushSettings",
    "RemoteSeries",
    "Series",
    "SeriesUpdate",
    "StoredStudies",
    "StreamSettings",
    "iterate_sync",
    "open_series",
    "pull",
    "push",
    "run_sync",
    "stream_series",
    "transcode",
]

_HOMES = {
    "PullProgress": ".pull_values",
    "PullSettings": ".pull_values",
    "PullSummary": ".pull_values",
    "PushProgress": ".push_report",
    "PushReport": ".push_report",
    "PushSettings": ".push_settings",
    "RemoteSeries": ".remote_series",
    "Series": ".series",
    "SeriesUpdate": ".series_update",
    "StoredStudies": ".stored_studies",
    "StreamSettings": ".streaming",
    "iterate_sync": ".background",
    "open_series": ".series",
    "pull": ".pulling",
    "push": ".pushing",
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
