"""What every rewritten codestream keeps: its samples, and each of its packets.

OpenJPEG decodes both sides, OpenJPH too where the code-blocks are of high throughput.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from itertools import pairwise

from mersey.codecs.codestream import CodestreamLayout, scan_codestream
from mersey.codecs.codestream_report import PacketTable, packet_table
from mersey.codecs.surgery import reduce_codestream, reorder, to_progressive
from reference_decoders import HAS_OPJ_DECOMPRESS, Planes, by_openjpeg, by_openjph, same

__all__ = [
    "PROGRESSIONS",
    "assert_keeps_samples",
    "assert_reduces_to_the_same",
    "packets_by_place",
]

PROGRESSIONS = ("LRCP", "RLCP", "RPCL", "PCRL", "CPRL")
_PACKED = 4

type Decoder = Callable[[bytes, int], Planes | None]


def assert_keeps_samples(data: bytes) -> int:
    """Progressive, with PLT, and in all five orders; how often samples were compared.

    `data` is a bare codestream.
    """
    results = {
        "progressive": to_progressive(data),
        "progressive with PLT": to_progressive(data, plt=True),
        **{order: reorder(data, progression=order) for order in PROGRESSIONS},
    }
    assert_is_progressive(results["progressive"])
    assert results["RPCL"] == results["progressive"]
    headers = not headers_are_packed(data)
    originals = packets_by_place(data, headers=headers)
    compared = 0
    for name, made in results.items():
        assert packets_by_place(made, headers=headers) == originals, name
    for decode in decoders(data):
        wanted = decode(data, 0)
        if wanted is None:
            continue
        for name, made in results.items():
            assert same(decode(made, 0), wanted), f"{name}, {decode.__name__}"
            compared += 1
    return compared


def assert_is_progressive(data: bytes) -> None:
    layout = scan_codestream(data)
    assert (layout.progression, layout.has_tlm, layout.has_poc) == ("RPCL", True, False)
    assert layout.cut_evidence == "packets", layout.why_no_cut_points
    head = scan_codestream(data[: layout.main_header_bytes + 2], complete=False)
    assert head.tile_parts == layout.tile_parts
    assert head.cut_points is not None
    assert layout.cut_points is not None
    for announced, needed in zip(head.cut_points, layout.cut_points, strict=True):
        # Of a tile without samples at a resolution, the tile-part is empty: 14 bytes.
        assert 0 <= announced - needed <= 14 * (layout.tiles - 1)


def assert_reduces_to_the_same(data: bytes) -> int:
    """At every reduction; how often samples were compared."""
    layout = scan_codestream(data)
    compared = 0
    for reduce in range(1, layout.decompositions + 1):
        made = reduce_codestream(data, reduce=reduce)
        small = scan_codestream(made)
        assert small.decompositions == layout.decompositions - reduce
        assert len(made) <= len(data) + growth(data)
        for decode in decoders(data):
            wanted = decode(data, reduce)
            if wanted is None:
                continue
            got = decode(made, 0)
            if got is None and undecodable(made, layout, decode):
                continue
            assert same(got, wanted), f"reduce {reduce}, {decode.__name__}"
            compared += 1
    return compared


def growth(data: bytes) -> int:
    """Of headers, at most: a tile-part of each tile for each resolution, and their TLM."""
    layout = scan_codestream(data)
    return layout.tiles * (layout.decompositions + 1) * (14 + 6) + 256


def undecodable(made: bytes, layout: CodestreamLayout, decode: Decoder) -> bool:
    """Whether a valid result is beyond the decoder.

    Where a reduction does not divide the edges of tiles, the result is sub-sampled, which
    OpenJPH by imagecodecs refuses, and OpenJPEG without opj_decompress. OpenJPEG refuses tiles
    in which a component has no sample left.
    """
    if scan_codestream(made).subsampling == layout.subsampling:
        return False
    return decode is by_openjph or not HAS_OPJ_DECOMPRESS or has_empty_tiles(made)


def has_empty_tiles(data: bytes) -> bool:
    """Of a bare codestream: SIZ is its first segment (ISO/IEC 15444-1 A.5.1, B.3)."""
    xsiz, ysiz, xosiz, yosiz, xtsiz, ytsiz, xtosiz, ytosiz = struct.unpack(">8I", data[8:40])
    factors = scan_codestream(data).subsampling
    return has_empty_span(xosiz, xsiz, xtosiz, xtsiz, {xr for xr, _ in factors}) or has_empty_span(
        yosiz, ysiz, ytosiz, ytsiz, {yr for _, yr in factors}
    )


def has_empty_span(begin: int, end: int, first: int, step: int, factors: set[int]) -> bool:
    edges = [begin, *(edge for edge in range(first, end, step) if edge > begin), end]
    return any(-(-a // by) == -(-b // by) for a, b in pairwise(edges) for by in factors)


def decoders(data: bytes) -> tuple[Decoder, ...]:
    return (by_openjpeg, by_openjph) if scan_codestream(data).ht else (by_openjpeg,)


def packets_by_place(data: bytes, *, headers: bool = True) -> dict[tuple[int, ...], bytes]:
    """(tile, component, level, precinct, layer) → the bytes of body and, if in line, header."""
    return {_place(row): _bytes_of(data, row, headers=headers) for row in packet_table(data)}


def headers_are_packed(data: bytes) -> bool:
    return bool((packet_table(data)["flags"] & _PACKED).any())


def _place(row: PacketTable) -> tuple[int, ...]:
    return tuple(int(row[name]) for name in ("tile", "component", "level", "precinct", "layer"))


def _bytes_of(data: bytes, row: PacketTable, *, headers: bool) -> bytes:
    body, head = int(row["body_offset"]), int(row["header_offset"])
    content = data[body : body + int(row["body_length"])]
    return data[head : head + int(row["header_length"])] + content if headers else content
