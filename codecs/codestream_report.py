"""What a codestream consists of: its markers, and its packets by resolution level and layer.

For people and for `mersey codestream inspect`; nothing here is needed to decode or to serve.
Walks every packet header (ISO/IEC 15444-1 B.10), so what it counts is so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from .. import _native
from .codestream import CodestreamLayout, reduced_size, scan_codestream
from .pixels import Buffer

__all__ = [
    "PACKET_DTYPE",
    "CodestreamReport",
    "Marker",
    "PacketTable",
    "ResolutionReport",
    "marker_table",
    "packet_table",
    "report_codestream",
]

# As PacketRow in native/codestream/packet_index.hpp.
PACKET_DTYPE: Final = np.dtype(
    [
        ("header_offset", "<u8"),
        ("body_offset", "<u8"),
        ("header_length", "<u4"),
        ("body_length", "<u4"),
        ("tile", "<u4"),
        ("precinct", "<u4"),
        ("component", "<u2"),
        ("layer", "<u2"),
        ("level", "u1"),
        ("flags", "u1"),
        ("part", "<u2"),
    ]
)
_SOP, _EPH = 1, 2
_SOP_BYTES, _EPH_BYTES = 6, 2

type PacketTable = np.ndarray[Any, np.dtype[np.void]]


@dataclass(frozen=True, slots=True)
class Marker:
    """One marker with its segment; `tile` is None in the main header and for EOC.

    `offset_bytes` counts from SOC; `length_bytes` holds marker and segment.
    """

    code: int
    name: str
    tile: int | None
    tile_part: int
    offset_bytes: int
    length_bytes: int


@dataclass(frozen=True, slots=True)
class ResolutionReport:
    """The packets of one resolution level, over all tiles and components.

    `reduce` is the reduction that shows this level and none above it, where all components
    have as many decompositions; `width` and `height` are the image's there. `bytes_by_layer`
    counts SOP and EPH too.
    """

    level: int
    reduce: int
    width: int
    height: int
    packets: int
    header_bytes: int
    body_bytes: int
    bytes_by_layer: tuple[int, ...]

    @property
    def total_bytes(self) -> int:
        """Of all layers."""
        return sum(self.bytes_by_layer)


@dataclass(frozen=True, slots=True)
class CodestreamReport:
    """All of it. `header_bytes` are those of the main header and the tile-parts' headers."""

    layout: CodestreamLayout
    markers: tuple[Marker, ...]
    packets: int
    sop_markers: int
    eph_markers: int
    header_bytes: int
    resolutions: tuple[ResolutionReport, ...]


def marker_table(data: Buffer) -> tuple[Marker, ...]:
    """Every marker of the main header and the tile-part headers, and EOC, in order.

    SOP and EPH stand among the packets: :func:`packet_table` flags them.

    Raises
    ------
    CodestreamError
        The headers break ISO/IEC 15444-1, or the codestream is not whole.
    """
    return tuple(Marker(*row) for row in _native.markers(data))


def packet_table(data: Buffer) -> PacketTable:
    """Every packet of a whole codestream: dtype PACKET_DTYPE, read-only, tile after tile.

    Within a tile the order is that of the stream. Offsets count from SOC; lengths are without
    SOP and EPH. ``flags`` is the sum of 1 where SOP comes before the header, 2 where EPH comes
    after it and 4 where the header is packed (PPM, PPT); the offset of a packed header counts
    in the packed headers of its tile, put together.

    Raises
    ------
    CodestreamError
        A packet is absent or does not fit, or the headers break the standard.
    UnsupportedError
        Valid, but not by us; ``feature`` names it.
    """
    return np.frombuffer(_native.packets(data), PACKET_DTYPE)


def report_codestream(data: Buffer) -> CodestreamReport:
    """Count everything.

    Raises
    ------
    CodestreamError, UnsupportedError
        As for :func:`packet_table`.
    """
    layout = scan_codestream(data)
    markers = marker_table(data)
    packets = packet_table(data)
    has_sop = (packets["flags"] & _SOP) != 0
    has_eph = (packets["flags"] & _EPH) != 0
    sizes = packets["header_length"].astype("i8") + packets["body_length"]
    sizes += has_sop * _SOP_BYTES + has_eph * _EPH_BYTES
    most = int(packets["level"].max(initial=0))
    layers = int(packets["layer"].max(initial=0)) + 1
    return CodestreamReport(
        layout=layout,
        markers=markers,
        packets=len(packets),
        sop_markers=int(has_sop.sum()),
        eph_markers=int(has_eph.sum()),
        header_bytes=sum(marker.length_bytes for marker in markers),
        resolutions=tuple(
            _resolution(layout, packets, sizes, level, most - level, layers)
            for level in range(most + 1)
        ),
    )


def _resolution(
    layout: CodestreamLayout,
    packets: PacketTable,
    sizes: np.ndarray[Any, np.dtype[np.int64]],
    level: int,
    reduce: int,
    layers: int,
) -> ResolutionReport:
    inside = packets["level"] == level
    by_layer = np.zeros(layers, "i8")
    np.add.at(by_layer, packets["layer"][inside], sizes[inside])
    width, height = reduced_size(layout, reduce)
    return ResolutionReport(
        level=level,
        reduce=reduce,
        width=width,
        height=height,
        packets=int(inside.sum()),
        header_bytes=int(packets["header_length"][inside].sum()),
        body_bytes=int(packets["body_length"][inside].sum()),
        bytes_by_layer=tuple(int(count) for count in by_layer),
    )
