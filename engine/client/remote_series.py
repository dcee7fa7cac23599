"""A series on a DICOMweb server: its frames, asked for one at a time or streamed.

A frame is asked for as HTJ2K, of which a reduced image is a short answer, and uncompressed from
a server that has no such form.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from typing import Any

from ...codecs.errors import FormatError, UsageError
from ...codecs.pixels import PixelArray, PixelFormat
from ...codecs.reduction import reduced_size
from ...codecs.registry import Registry
from ...codecs.syntaxes import EXPLICIT_LE, HTJ2K_LOSSLESS_RPCL
from ..runtime.frame_decode import FrameDecode, decode_frame
from .address import Address
from .connections import tried_again
from .remote import RefusedByPeerError, Remote
from .series_update import SeriesUpdate
from .streaming import StreamSettings, stream_series

__all__ = ["RemoteSeries"]

_HTJ2K = f"image/jphc; transfer-syntax={HTJ2K_LOSSLESS_RPCL}"
_RAW = f"application/octet-stream; transfer-syntax={EXPLICIT_LE}"
_NOT_ACCEPTABLE = 406

type _Json = Mapping[str, Any]


class RemoteSeries:
    """The frames of one series, by instance number; for one event loop.

    Make one with :meth:`open`, and close it.
    """

    def __init__(
        self, remote: Remote, metadata: list[dict[str, Any]], settings: StreamSettings
    ) -> None:
        self._remote = remote
        self._metadata = metadata
        self._settings = settings
        self._frames = [
            (_text(row, "00080018"), _pixels_of(row), number + 1)
            for row in metadata
            if "00280010" in row
            for number in range(int(_text(row, "00280008") or 1))
        ]

    @classmethod
    async def open(cls, url: str, *, settings: StreamSettings | None = None) -> RemoteSeries:
        """The series at `url`, ``…/studies/…/series/…``; its metadata is asked for.

        Raises
        ------
        UsageError
            `url` names no series.
        TransferError
            The server refuses, or cannot be reached.
        FormatError
            What it tells of the series is no DICOM JSON, or cannot be.
        """
        settings = settings or StreamSettings()
        address = Address.parse(url)
        if not address.series:
            raise UsageError("the URL names no series, as in …/studies/1.2/series/1.2.3")
        remote = await Remote(address, settings=settings.remote).__aenter__()
        fields = {"Accept": "application/dicom+json"}
        try:
            found = await tried_again(
                lambda: remote.json(f"{address}/metadata", headers=fields),
                backoff=settings.backoff,
            )
            rows = sorted(found or [], key=_place)
            return cls(remote, rows, settings)
        except (TypeError, ValueError, AttributeError, KeyError) as error:
            await remote.__aexit__(None, None, None)
            raise FormatError("the metadata of the series cannot be read") from error
        except BaseException:
            await remote.__aexit__(None, None, None)
            raise

    async def close(self) -> None:
        """End the connections."""
        await self._remote.__aexit__(None, None, None)

    @property
    def frame_count(self) -> int:
        """The frames of all instances together."""
        return len(self._frames)

    def metadata(self) -> list[dict[str, Any]]:
        """DICOM JSON of each instance, in order (PS3.18 Annex F)."""
        return self._metadata

    async def frame(self, index: int, *, reduce: int = 0) -> PixelArray:
        """The frame at `index`, counted from 0 over all instances, halved `reduce` times.

        Returns
        -------
        PixelArray
            Stored values, ``(rows, columns)`` or ``(rows, columns, samples)``.

        Raises
        ------
        UsageError
            There is no such frame.
        TransferError
            The server refuses, or cannot be reached.
        FormatError
            What it sends does not decode, or is not that frame.
        """
        if not 0 <= index < len(self._frames):
            raise UsageError(f"frame {index} of {len(self._frames)}, counted from 0")
        uid, pixels, number = self._frames[index]
        address = self._remote.address
        instance = "" if address.instance else f"/instances/{uid}"
        url = f"{address}{instance}/frames/{number}"
        most = 2 * pixels.decoded_bytes + (64 << 10)
        try:
            data = await self._read(f"{url}?reduce={reduce}" if reduce else url, _HTJ2K, most)
        except RefusedByPeerError as error:
            if error.status != _NOT_ACCEPTABLE:
                raise
            data = await self._read(url, _RAW, most)
            work = FrameDecode(data, pixels, EXPLICIT_LE, reduce=reduce)
        else:
            work = FrameDecode(data, _encoded(pixels, reduce), HTJ2K_LOSSLESS_RPCL)
        return await asyncio.to_thread(decode_frame, work)

    async def frames(self, *, reduce: int = 0) -> AsyncGenerator[PixelArray]:
        """Every frame, in order; errors as from :meth:`frame`."""
        for index in range(self.frame_count):
            yield await self.frame(index, reduce=reduce)

    def stream(self, *, order: str = "middle-out", until: int = 0) -> AsyncGenerator[SeriesUpdate]:
        """See :func:`~.streaming.stream_series`."""
        url = str(self._remote.address)
        return stream_series(url, order=order, until=until, settings=self._settings)

    async def volume(self, *, reduce: int = 0) -> PixelArray:
        """All frames at `reduce`, ``(frames, rows, columns)``, in one request to a Mersey.

        Raises
        ------
        UnsupportedError
            They are not of one size.
        FormatError
            The series has no frames.
        MerseyError
            As from :func:`~.streaming.stream_series`.
        """
        volume: PixelArray | None = None
        url = str(self._remote.address)
        async for update in stream_series(url, until=reduce, reduced=True, settings=self._settings):
            volume = update.volume
        if volume is None:
            raise FormatError("the series has no frames")
        return volume

    async def _read(self, url: str, accept: str, most_bytes: int) -> bytes:
        async def read() -> bytes:
            fields = {"Accept": accept}
            return await self._remote.read("GET", url, headers=fields, most_bytes=most_bytes)

        return await tried_again(read, backoff=self._settings.backoff)


def _encoded(pixels: PixelFormat, reduce: int) -> PixelFormat:
    """What is beside the HTJ2K that a server makes of `pixels`, at `reduce`."""
    made = Registry.default().encoder(HTJ2K_LOSSLESS_RPCL).encoded_format(pixels)
    return made.with_(
        rows=reduced_size(made.rows, reduce=reduce),
        columns=reduced_size(made.columns, reduce=reduce),
    )


def _pixels_of(row: _Json) -> PixelFormat:
    """The samples as they are once decoded (PS3.3 §C.7.6.3)."""

    def number(tag: str, default: int) -> int:
        return int(_text(row, tag) or default)

    allocated = number("00280100", 16)
    stored = number("00280101", allocated)
    photometric = _text(row, "00280004") or "MONOCHROME2"
    return PixelFormat(
        rows=number("00280010", 0),
        columns=number("00280011", 0),
        samples=number("00280002", 1),
        bits_allocated=allocated,
        bits_stored=stored,
        high_bit=number("00280102", stored - 1),
        signed=number("00280103", 0) == 1,
        planar=number("00280006", 0),
        photometric="RGB" if photometric in ("YBR_RCT", "YBR_ICT") else photometric,
        floating="7FE00008" in row or "7FE00009" in row,
    )


def _place(row: _Json) -> tuple[int, str]:
    return int(_text(row, "00200013") or 0), _text(row, "00080018")


def _text(row: _Json, tag: str) -> str:
    values = row.get(tag, {}).get("Value") or [""]
    return str(values[0])
