"""`open_series`: the frames of a series, in files here or on a server, in the same words."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from ...codecs.errors import UsageError
from ...codecs.pixels import PixelArray
from .local_series import LocalSeries
from .remote_series import RemoteSeries
from .streaming import StreamSettings

__all__ = ["Series", "open_series"]


class Series(Protocol):
    """Frames in the order of their instances' numbers, counted from 0 over all of them."""

    @property
    def frame_count(self) -> int:
        """The frames of all instances together."""
        ...

    def frame(self, index: int, *, reduce: int = 0) -> PixelArray:
        """The frame at `index`, halved `reduce` times: ``(rows, columns[, samples])``."""
        ...

    def __iter__(self) -> Iterator[PixelArray]:
        """Every frame, in order."""
        ...

    def volume(self, *, reduce: int = 0) -> PixelArray:
        """All frames in one array, ``(frames, rows, columns[, samples])``."""
        ...

    def metadata(self) -> list[dict[str, Any]]:
        """DICOM JSON of each instance, in order (PS3.18 Annex F)."""
        ...


def open_series(
    where: str | PathLike[str],
    *,
    series: str | None = None,
    settings: StreamSettings | None = None,
) -> _OpenSeries:
    """Open a series for reading; a context.

    Parameters
    ----------
    where
        A file, a folder, or ``http://host:8042/dicom-web/studies/…/series/…``.
    series
        The UID of the series, where a folder holds several.

    Raises
    ------
    UsageError
        There is no such series, or an event loop runs in this thread and `where` is a URL: there,
        `await RemoteSeries.open(url)`.
    TransferError
        The server refuses, or cannot be reached.

    Examples
    --------
    >>> def middle(where):
    ...     with open_series(where) as series:
    ...         small = series.volume(reduce=3)
    ...         return small, series.frame(series.frame_count // 2)
    """
    text = str(where)
    if text.startswith(("http://", "https://")):
        return _OpenSeries(_Waited(text, settings))
    path = Path(where)
    if not path.exists():
        raise UsageError(f"{path} does not exist")
    return _OpenSeries(LocalSeries.open(path, series=series))


class _OpenSeries:
    """A `Series` that is closed at the end of its block."""

    def __init__(self, inner: Series) -> None:
        self._inner = inner
        self.frame = inner.frame
        self.volume = inner.volume
        self.metadata = inner.metadata

    @property
    def frame_count(self) -> int:
        return self._inner.frame_count

    def __iter__(self) -> Iterator[PixelArray]:
        return iter(self._inner)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the connections, where there are any."""
        if isinstance(self._inner, _Waited):
            self._inner.close()


class _Waited:
    """A RemoteSeries for those who run no event loop."""

    def __init__(self, url: str, settings: StreamSettings | None) -> None:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            pass
        else:
            raise UsageError("an event loop runs in this thread: await RemoteSeries.open(url)")
        self._runner = asyncio.Runner()
        try:
            self._remote = self._runner.run(RemoteSeries.open(url, settings=settings))
        except BaseException:
            self._runner.close()
            raise

    @property
    def frame_count(self) -> int:
        return self._remote.frame_count

    def frame(self, index: int, *, reduce: int = 0) -> PixelArray:
        return self._runner.run(self._remote.frame(index, reduce=reduce))

    def __iter__(self) -> Iterator[PixelArray]:
        return (self.frame(index) for index in range(self.frame_count))

    def volume(self, *, reduce: int = 0) -> PixelArray:
        return self._runner.run(self._remote.volume(reduce=reduce))

    def metadata(self) -> list[dict[str, Any]]:
        return self._remote.metadata()

    def close(self) -> None:
        self._runner.run(self._remote.close())
        self._runner.close()
