"""What the marker segments of a JPEG-LS codestream say, read before CharLS sees it.

Walks from SOI to EOI (ISO/IEC 14495-1 Annex C), through the scans: in their data a byte FF is
followed by one below 80, so every marker shows. Decodes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from .errors import CodestreamError, UnsupportedError
from .pixels import Buffer

__all__ = ["JpegLsHeader", "read_jpegls_header"]

_SOI, _EOI, _SOS, _DNL, _DRI = 0xD8, 0xD9, 0xDA, 0xDC, 0xDD
_SOF55, _LSE, _COM = 0xF7, 0xF8, 0xFE
_PRESET_PARAMETERS = 1
_LSE_LACKING = {
    2: "JPEG-LS mapping tables",
    3: "JPEG-LS mapping tables",
    4: "JPEG-LS images of more than 65,535 rows or columns",
}
_LEAST_PRECISION, _MOST_PRECISION = 2, 16
_INTERLEAVES: tuple[Interleave, ...] = ("none", "line", "sample")
_END_OF_DATA = re.compile(rb"\xff[\x80-\xcf\xd8-\xfe]")
"""The marker after a scan's data: bit stuffing keeps FF80 and above out, RSTm belongs to it.
It begins with a plain byte, which `re` looks for eight times as fast as for a repeated one."""

type Interleave = Literal["none", "line", "sample"]


@dataclass(frozen=True, slots=True)
class JpegLsHeader:
    """One JPEG-LS image: its frame header (SOF55) and what its scans agree on.

    `near` is the greatest difference from the source, 0 where it is lossless. `end_bytes` is
    where EOI ends, None where the codestream stops before it.
    """

    rows: int
    columns: int
    components: int
    precision: int
    near: int
    interleave: Interleave
    end_bytes: int | None


def read_jpegls_header(data: Buffer) -> JpegLsHeader:
    """Walk a whole JPEG-LS image.

    Raises
    ------
    CodestreamError
        No JPEG-LS, or its segments break the standard, or a component has no scan;
        `offset_bytes` says where.
    UnsupportedError
        Mapping tables, subsampled components and the like, which no DICOM encoder writes.
    """
    view = memoryview(data).cast("B")
    if bytes(view[:2]) != b"\xff\xd8":
        raise CodestreamError(
            f"no JPEG-LS codestream: it begins with {bytes(view[:2]).hex() or 'nothing'}, "
            "expected SOI (FFD8)",
            offset_bytes=0,
        )
    walk = _Walk()
    for code, offset, body in _segments(view):
        walk.take(code, offset, body)
    return walk.finish(view.nbytes)


def _segments(view: memoryview) -> Iterator[tuple[int, int, memoryview]]:
    """Code, offset and parameters of each marker after SOI; ends with EOI or the last scan."""
    position = 2
    while True:
        start = position
        while position < view.nbytes and view[position] == 0xFF:
            position += 1
        if position < view.nbytes and position == start:
            raise CodestreamError(
                f"found byte {view[position]:02X} at offset {position}, expected a marker",
                offset_bytes=position,
            )
        if position + 1 > view.nbytes:
            raise _truncated(view.nbytes)
        code = view[position]
        position += 1
        if code == _EOI:
            yield code, position, view[:0]
            return
        length = int.from_bytes(view[position : position + 2], "big")
        if position + max(length, 2) > view.nbytes:
            raise _truncated(view.nbytes)
        if length < 2:
            raise _broken(code, start, f"length {length}, expected 2 or more")
        yield code, start, view[position + 2 : position + length]
        position += length
        if code == _SOS:
            found = _END_OF_DATA.search(view, position)
            if found is None:
                return
            position = found.start()


class _Walk:
    """What the segments have said so far."""

    def __init__(self) -> None:
        self._frame: tuple[int, int, int, bytes] | None = None
        self._scanned = bytearray()
        self._interleave: Interleave = "none"
        self._near = 0
        self._end_bytes: int | None = None

    def take(self, code: int, offset: int, body: memoryview) -> None:
        if code == _EOI:
            self._end_bytes = offset
        elif code == _SOF55:
            self._take_frame(offset, body)
        elif code == _SOS:
            self._take_scan(offset, body)
        elif code == _LSE:
            kind = body[0] if body.nbytes else 0
            if kind in _LSE_LACKING:
                raise _lacking(_LSE_LACKING[kind])
            if kind != _PRESET_PARAMETERS:
                raise _broken(code, offset, f"parameters of type {kind}, expected 1–4")
        elif code == _DNL:
            raise _lacking("JPEG-LS with DNL")
        elif not (code in (_DRI, _COM) or 0xE0 <= code <= 0xEF):
            raise _broken(code, offset, "no marker of JPEG-LS")

    def finish(self, size_bytes: int) -> JpegLsHeader:
        if self._frame is None or not self._scanned:
            raise _truncated(size_bytes)
        precision, rows, columns, identifiers = self._frame
        if len(self._scanned) < len(identifiers):
            raise CodestreamError(
                f"JPEG-LS codestream with scans of {len(self._scanned)} components, "
                f"expected {len(identifiers)}",
                marker=0xFF00 | _SOS,
                offset_bytes=size_bytes,
            )
        return JpegLsHeader(
            rows=rows,
            columns=columns,
            components=len(identifiers),
            precision=precision,
            near=self._near,
            interleave=self._interleave,
            end_bytes=self._end_bytes,
        )

    def _take_frame(self, offset: int, body: memoryview) -> None:
        if self._frame is not None:
            raise _broken(_SOF55, offset, "a second frame header")
        if body.nbytes < 9 or body.nbytes != 6 + 3 * body[5]:
            raise _broken(_SOF55, offset, f"{body.nbytes} bytes of parameters, expected 6 + 3 Nf")
        precision = body[0]
        rows, columns = (int.from_bytes(body[at : at + 2], "big") for at in (1, 3))
        if not _LEAST_PRECISION <= precision <= _MOST_PRECISION:
            raise _broken(_SOF55, offset, f"precision {precision}, expected 2–16")
        if rows == 0 or columns == 0:
            raise _lacking("JPEG-LS whose size comes after its frame header")
        if len(set(body[7::3])) > 1:
            raise _lacking("subsampled JPEG-LS components")
        identifiers = bytes(body[6::3])
        if len(set(identifiers)) < len(identifiers):
            raise _broken(_SOF55, offset, "two components of one identifier")
        self._frame = (precision, rows, columns, identifiers)

    def _take_scan(self, offset: int, body: memoryview) -> None:
        if self._frame is None:
            raise _broken(_SOS, offset, "a scan before the frame header")
        identifiers = self._frame[3]
        count = body[0] if body.nbytes else 0
        if count == 0 or body.nbytes != 4 + 2 * count:
            raise _broken(_SOS, offset, f"{body.nbytes} bytes of parameters, {count} components")
        scanned = bytes(body[1 : 1 + 2 * count : 2])
        # In the order of the frame header, each once: what CharLS takes for granted.
        expected = identifiers[len(self._scanned) :][:count]
        if scanned != expected:
            raise _broken(_SOS, offset, "components other than those of the frame header")
        if any(body[2 : 2 + 2 * count : 2]):
            raise _lacking("JPEG-LS mapping tables")
        near, interleave, point_transform = body[-3:]
        if interleave >= len(_INTERLEAVES) or (count > 1 and interleave == 0):
            raise _broken(_SOS, offset, f"interleave {interleave} of {count} components")
        if count not in (1, len(identifiers)):
            raise _lacking("JPEG-LS scans of some of the components")
        if point_transform:
            raise _lacking("JPEG-LS with a point transform")
        self._scanned += scanned
        self._interleave = _INTERLEAVES[interleave if count > 1 else 0]
        self._near = max(self._near, near)


def _lacking(feature: str) -> UnsupportedError:
    return UnsupportedError(f"{feature}: not decoded here", feature=feature)


def _broken(code: int, offset: int, what: str) -> CodestreamError:
    return CodestreamError(
        f"JPEG-LS marker FF{code:02X} at offset {offset}: {what}",
        marker=0xFF00 | code,
        offset_bytes=offset,
    )


def _truncated(size_bytes: int) -> CodestreamError:
    return CodestreamError(
        f"JPEG-LS codestream of {size_bytes} bytes ends in its headers", offset_bytes=size_bytes
    )
