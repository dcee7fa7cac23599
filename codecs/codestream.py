"""The layout of JPEG 2000 and HTJ2K codestreams: headers, tile-parts and cut points.

Finds where a prefix of a codestream is a complete smaller image (ISO/IEC 15444-1 Annexes A
and B, 15444-15), without decoding anything and without copying the bytes. Never guesses: a
cut point is given only where packets or tile-parts prove it, with what proved it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .._native import scan
from .errors import UnsupportedError, UsageError
from .pixels import Buffer

__all__ = [
    "CodestreamLayout",
    "TilePart",
    "prefix_length",
    "reduced_size",
    "scan_codestream",
    "smallest_cover",
]


@dataclass(frozen=True, slots=True)
class TilePart:
    """One tile-part; `offset_bytes` counts from SOC, `length_bytes` from its SOT marker."""

    tile: int
    part: int
    offset_bytes: int
    length_bytes: int


@dataclass(frozen=True, slots=True)
class CodestreamLayout:
    """What one codestream is. Offsets and lengths count from SOC, the codestream's start.

    `image_area` is (XOsiz, YOsiz, Xsiz, Ysiz). `precision` and `signed` have one entry a
    component, as have the horizontal and vertical factors in `subsampling`. `decompositions`
    is the least over components and tiles: an image can be reduced so many times. `layers`,
    `progression` and `colour_transform` are those of the main header; `reversible` is true
    where all coding is, `ht` where any is.
    `jp2_offset` is where SOC lies in the data: 0 for a bare codestream.

    `length_bytes` is the whole length, EOC included; None where a prefix cannot tell.
    `has_eoc` is whether EOC was seen. `tile_parts` are those seen or, for a prefix with TLM,
    those announced.

    ``cut_points[r]`` is the length of the prefix that makes a complete image at ``reduce=r``;
    ``cut_points[0]`` is the whole codestream. It is None where packets are not in the order
    of their resolutions or nothing proves where one ends; `why_no_cut_points` says which.
    `cut_evidence` is "packets" where every packet of the cuts was seen (listed in PLT, or
    its header walked), "tile-parts" where each tile has one tile-part for each resolution
    level and no packet at hand denies it; that is all a main header can prove.
    `complete_reduce` is the smallest reduction for which the bytes at hold suffice: 0 for a
    whole codestream, None where not even the smallest image is complete or nobody can tell.
    `has_poc` is whether POC changes the progression anywhere.
    """

    width: int
    height: int
    image_area: tuple[int, int, int, int]
    tiles: int
    components: int
    precision: tuple[int, ...]
    signed: tuple[bool, ...]
    subsampling: tuple[tuple[int, int], ...]
    decompositions: int
    layers: int
    progression: Literal["LRCP", "RLCP", "RPCL", "PCRL", "CPRL"]
    reversible: bool
    colour_transform: bool
    ht: bool
    has_tlm: bool
    has_eoc: bool
    tile_parts: tuple[TilePart, ...]
    main_header_bytes: int
    jp2_offset: int
    length_bytes: int | None
    cut_points: tuple[int, ...] | None
    cut_evidence: Literal["packets", "tile-parts"] | None
    why_no_cut_points: str
    complete_reduce: int | None
    has_poc: bool = False


def scan_codestream(data: Buffer, *, complete: bool = True) -> CodestreamLayout:
    """Find headers, tile-parts and cut points.

    Parameters
    ----------
    data
        A contiguous buffer: a codestream, or a JP2 or JPH file that holds one. Zero padding
        after it and a missing EOC are accepted. Not copied; the GIL is released.
    complete
        False where `data` is a prefix, which must hold the main header.

    Raises
    ------
    CodestreamError
        The bytes break ISO/IEC 15444-1; ``marker`` and ``offset_bytes`` (counted from the
        start of `data`) say where. With `complete`, a truncated codestream is one.
    """
    found = scan(data, complete=complete)
    left, top, right, bottom = found.image_area
    points = found.cut_points
    evidence = found.cut_evidence
    return CodestreamLayout(
        width=right - left,
        height=bottom - top,
        image_area=found.image_area,
        tiles=found.tiles,
        components=len(found.components),
        precision=tuple(precision for precision, _, _, _ in found.components),
        signed=tuple(signed for _, signed, _, _ in found.components),
        subsampling=tuple((xr, yr) for _, _, xr, yr in found.components),
        decompositions=found.decompositions,
        layers=found.layers,
        progression=found.progression,
        reversible=found.reversible,
        colour_transform=found.colour_transform != 0,
        ht=found.ht,
        has_tlm=found.has_tlm,
        has_eoc=found.has_eoc,
        tile_parts=tuple(TilePart(*row) for row in found.tile_parts),
        main_header_bytes=found.main_header_bytes,
        jp2_offset=found.wrapper_bytes,
        length_bytes=found.length_bytes,
        cut_points=None if points is None else tuple(points),
        cut_evidence=None if evidence == "none" else evidence,
        why_no_cut_points=found.why_no_cut_points,
        complete_reduce=found.complete_reduce,
        has_poc=found.has_poc,
    )


def prefix_length(layout: CodestreamLayout, reduce: int) -> int:
    """How many bytes, from the start of the data, make a complete image at `reduce`.

    The wrapper before SOC counts. Without cut points that is the whole codestream.

    Raises
    ------
    UsageError
        `reduce` is not in ``0..layout.decompositions``.
    UnsupportedError
        The layout is of a prefix that tells neither cut points nor the whole length.
    """
    if not 0 <= reduce <= layout.decompositions:
        raise UsageError(f"reduce is {reduce}, this codestream has 0–{layout.decompositions}")
    if layout.cut_points is not None:
        return layout.jp2_offset + layout.cut_points[reduce]
    if layout.length_bytes is None:
        raise UnsupportedError(
            f"this prefix does not tell how long its codestream is: {layout.why_no_cut_points}",
            feature="cut points of a prefix",
        )
    return layout.jp2_offset + layout.length_bytes


def reduced_size(layout: CodestreamLayout, reduce: int) -> tuple[int, int]:
    """Width and height of the image at `reduce` (ISO/IEC 15444-1 §B.5)."""
    left, top, right, bottom = layout.image_area
    round_up = (1 << reduce) - 1
    width = ((right + round_up) >> reduce) - ((left + round_up) >> reduce)
    height = ((bottom + round_up) >> reduce) - ((top + round_up) >> reduce)
    return width, height


def smallest_cover(layout: CodestreamLayout, width: int, height: int) -> int:
    """The largest `reduce` whose image has `width` x `height` and a sample; 0 where none has."""
    for reduce in range(layout.decompositions, 0, -1):
        across, down = reduced_size(layout, reduce)
        if across >= max(width, 1) and down >= max(height, 1):
            return reduce
    return 0
