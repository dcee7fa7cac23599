"""What the marker segments of a JPEG codestream say, read before any decoder sees it.

Walks from SOI to EOI (ISO/IEC 10918-1 Annex B), entropy-coded data included: decoders of the
libjpeg family fill what is missing with grey and say nothing, so a frame without its EOI, or
without a scan of some component, is refused here. Decodes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from .errors import CodestreamError, UnsupportedError
from .pixels import Buffer, PixelArray

__all__ = ["JpegComponent", "JpegHeader", "read_jpeg_header"]

_SOI, _EOI, _SOS, _DRI = 0xD8, 0xD9, 0xDA, 0xDD
_APP0, _APP14 = 0xE0, 0xEE
_BASELINE, _LOSSLESS = 0xC0, 0xC3
_PROGRESSIVE = (0xC2, 0xCA)
_PRECISIONS = {
    _BASELINE: (8,),
    0xC1: (8, 12),
    0xC2: (8, 12),
    _LOSSLESS: tuple(range(2, 17)),
    0xC9: (8, 12),
    0xCA: (8, 12),
}
"""By SOF marker, the precisions of the processes we decode: sequential, progressive, lossless;
C9 and CA are the arithmetic-coded ones."""
_LACKING = {
    0xC8: "JPEG extensions",
    0xCB: "arithmetic-coded lossless JPEG",
    0xDE: "hierarchical JPEG",
    0xDF: "hierarchical JPEG",
    0xF7: "JPEG-LS",
} | dict.fromkeys((0xC5, 0xC6, 0xC7, 0xCD, 0xCE, 0xCF), "hierarchical JPEG")
_MAX_COMPONENTS = 4
_MAX_SCANS = 100
"""Each scan may cost a pass over the whole image (libjpeg-turbo advises a limit); progressive
encoders write some ten."""
_ADOBE = b"Adobe"
_ADOBE_BYTES = 12
"""Shorter Adobe segments end before the transform flag and say nothing, as in libjpeg."""
_INSIDE_DATA = np.zeros(256, np.bool_)
_INSIDE_DATA[[0x00, *range(0xD0, 0xD8), 0xFF]] = True
"""What may follow FF in entropy-coded data: a stuffed byte, a restart marker, a fill byte."""


@dataclass(frozen=True, slots=True)
class JpegComponent:
    """A component of the frame header: Ci, Hi, Vi (ISO/IEC 10918-1 §B.2.2)."""

    identifier: int
    horizontal: int
    vertical: int


@dataclass(frozen=True, slots=True)
class JpegHeader:
    """One JPEG image: its frame header and what matters of the other segments.

    `process` is the code of the SOF marker. `adobe_transform` is the flag of an Adobe APP14
    segment (0 none, 1 YCbCr, 2 YCCK), None where there is no such segment. `predictor` and
    `point_transform` are those of the first scan of a lossless image. `end_bytes` is where
    EOI ends.
    """

    process: int
    precision: int
    rows: int
    columns: int
    components: tuple[JpegComponent, ...]
    scans: int
    restart_interval: int
    has_jfif: bool
    adobe_transform: int | None
    predictor: int
    point_transform: int
    end_bytes: int

    @property
    def lossless(self) -> bool:
        """Predictive (process 14), not DCT."""
        return self.process == _LOSSLESS

    @property
    def progressive(self) -> bool:
        return self.process in _PROGRESSIVE

    @property
    def subsampled(self) -> bool:
        """Some component has fewer samples than another."""
        return len({(row.horizontal, row.vertical) for row in self.components}) > 1


def read_jpeg_header(data: Buffer) -> JpegHeader:
    """Walk a whole JPEG image.

    Raises
    ------
    CodestreamError
        No JPEG, or it ends before EOI, or its segments break the standard; `offset_bytes`
        says where.
    UnsupportedError
        A process that we lack (hierarchical, JPEG-LS), or very many scans.
    """
    view = memoryview(data).cast("B")
    if bytes(view[:2]) != b"\xff\xd8":
        raise CodestreamError(
            f"no JPEG codestream: it begins with {bytes(view[:2]).hex() or 'nothing'}, "
            "expected SOI (FFD8)",
            offset_bytes=0,
        )
    walk = _Walk()
    for code, offset, body in _segments(view):
        walk.take(code, offset, body)
    return walk.finish()


def _segments(view: memoryview) -> Iterator[tuple[int, int, memoryview]]:
    """Code, offset and parameters of each marker from SOI to EOI; scan data is passed over."""
    position = 2
    ends: PixelArray | None = None
    while True:
        start = position
        while position < view.nbytes and view[position] == 0xFF:
            position += 1
        if position >= view.nbytes:
            raise _truncated(view)
        if position == start or view[position] == 0:
            raise CodestreamError(
                f"found byte {view[position]:02X} at offset {position}, expected a marker",
                offset_bytes=position,
            )
        code = view[position]
        position += 1
        if code == _EOI:
            yield code, position, view[:0]
            return
        if code == _SOI or code < 0xC0 or 0xD0 <= code <= 0xD7:
            raise CodestreamError(
                f"marker FF{code:02X} at offset {start} where a segment should begin",
                marker=0xFF00 | code,
                offset_bytes=start,
            )
        length = int.from_bytes(view[position : position + 2], "big")
        if position + max(length, 2) > view.nbytes:
            raise _truncated(view)
        if length < 2:
            raise _broken(code, start, f"length {length}, expected 2 or more")
        yield code, start, view[position + 2 : position + length]
        position += length
        if code == _SOS:
            ends = _markers(view) if ends is None else ends
            following = np.searchsorted(ends, position)
            if following == ends.size:
                raise _truncated(view)
            position = int(ends[following])


def _markers(view: memoryview) -> PixelArray:
    """Where FF is followed by what ends entropy-coded data, in one pass for all scans."""
    octets = np.frombuffer(view, np.uint8)
    candidates = np.flatnonzero(octets[:-1] == 0xFF)
    found: PixelArray = candidates[~_INSIDE_DATA[octets[candidates + 1]]]
    return found


class _Walk:
    """What the segments have said so far."""

    def __init__(self) -> None:
        self._frame: tuple[int, int, int, int, tuple[JpegComponent, ...]] | None = None
        self._seen: set[int] = set()
        self._scans = 0
        self._restart_interval = 0
        self._has_jfif = False
        self._adobe_transform: int | None = None
        self._predictor = self._point_transform = 0
        self._end_bytes = 0

    def take(self, code: int, offset: int, body: memoryview) -> None:
        if code == _EOI:
            self._end_bytes = offset
        elif code == _SOS:
            self._take_scan(offset, body)
        elif code == _DRI:
            if body.nbytes != 2:
                raise _broken(code, offset, f"{body.nbytes} bytes of parameters, expected 2")
            self._restart_interval = int.from_bytes(body, "big")
        elif code == _APP0:
            self._has_jfif |= bytes(body[:5]) == b"JFIF\0"
        elif code == _APP14:
            if bytes(body[:5]) == _ADOBE and body.nbytes >= _ADOBE_BYTES:
                self._adobe_transform = body[11]
        elif code in _LACKING:
            raise UnsupportedError(
                f"{_LACKING[code]} (marker FF{code:02X}) is not decoded here",
                feature=_LACKING[code],
            )
        elif code in _PRECISIONS:
            self._take_frame(code, offset, body)

    def finish(self) -> JpegHeader:
        if self._frame is None:
            raise CodestreamError("JPEG codestream without a frame header (SOF)")
        process, precision, rows, columns, components = self._frame
        missing = [row.identifier for row in components if row.identifier not in self._seen]
        if missing:
            raise CodestreamError(
                f"JPEG codestream without a scan of component {missing[0]}", marker=0xFF00 | _SOS
            )
        return JpegHeader(
            process=process,
            precision=precision,
            rows=rows,
            columns=columns,
            components=components,
            scans=self._scans,
            restart_interval=self._restart_interval,
            has_jfif=self._has_jfif,
            adobe_transform=self._adobe_transform,
            predictor=self._predictor,
            point_transform=self._point_transform,
            end_bytes=self._end_bytes,
        )

    def _take_frame(self, code: int, offset: int, body: memoryview) -> None:
        if self._frame is not None:
            raise _broken(code, offset, "a second frame header")
        if body.nbytes < 6 or body.nbytes != 6 + 3 * body[5]:
            raise _broken(code, offset, f"{body.nbytes} bytes of parameters, expected 6 + 3 Nf")
        precision = body[0]
        rows, columns = (int.from_bytes(body[at : at + 2], "big") for at in (1, 3))
        if precision not in _PRECISIONS[code]:
            raise _broken(code, offset, f"precision {precision}")
        if rows == 0:
            raise UnsupportedError(
                "JPEG codestream whose number of lines comes after the first scan (DNL)",
                feature="JPEG with DNL",
            )
        if columns == 0 or not 1 <= body[5] <= _MAX_COMPONENTS:
            raise _broken(code, offset, f"{columns} columns, {body[5]} components")
        components = tuple(
            JpegComponent(body[at], body[at + 1] >> 4, body[at + 1] & 15)
            for at in range(6, body.nbytes, 3)
        )
        for row in components:
            if not (1 <= row.horizontal <= 4 and 1 <= row.vertical <= 4):
                raise _broken(code, offset, f"sampling {row.horizontal} x {row.vertical}")
        self._frame = (code, precision, rows, columns, components)

    def _take_scan(self, offset: int, body: memoryview) -> None:
        if self._frame is None:
            raise _broken(_SOS, offset, "a scan before the frame header")
        count = body[0] if body.nbytes else 0
        if not 1 <= count <= _MAX_COMPONENTS or body.nbytes != 4 + 2 * count:
            raise _broken(_SOS, offset, f"{body.nbytes} bytes of parameters, {count} components")
        known = {row.identifier for row in self._frame[4]}
        identifiers = set(body[1 : 1 + 2 * count : 2])
        if not identifiers <= known:
            raise _broken(_SOS, offset, "a component that the frame header has not")
        spectral_start, approximation = body[1 + 2 * count], body[3 + 2 * count]
        if self._scans == 0 and self._frame[0] == _LOSSLESS:
            self._predictor, self._point_transform = spectral_start, approximation & 15
        if self._frame[0] not in _PROGRESSIVE or spectral_start == 0:
            self._seen |= identifiers  # the AC scans of a progressive image make none alone
        self._scans += 1
        if self._scans > _MAX_SCANS:
            raise UnsupportedError(
                f"JPEG codestream of more than {_MAX_SCANS} scans", feature="very many JPEG scans"
            )


def _broken(code: int, offset: int, what: str) -> CodestreamError:
    return CodestreamError(
        f"JPEG marker FF{code:02X} at offset {offset}: {what}",
        marker=0xFF00 | code,
        offset_bytes=offset,
    )


def _truncated(view: memoryview) -> CodestreamError:
    return CodestreamError(
        f"JPEG codestream of {view.nbytes} bytes ends before EOI (FFD9)", offset_bytes=view.nbytes
    )
