"""Codestream surgery: JPEG 2000 and HTJ2K codestreams rearranged without decoding them.

Packets are moved, never opened, so every result decodes to exactly the samples that the
original decodes to (at that resolution, up to that layer). The input may be a JP2 or JPH file;
the result is always a bare codestream. Never guesses: a codestream whose packets do not fit its
headers, or that lacks some, is a CodestreamError.

Results carry TLM and, where their progression is by resolution, a tile-part for each resolution
of each tile, smallest first, so that their prefixes are complete smaller images. SOP, EPH, POC,
packed packet headers and the profile in Rsiz are gone: none of them is needed to decode.
"""

from __future__ import annotations

from typing import Final, Literal

from .. import _native
from .codestream import CodestreamLayout
from .errors import UsageError
from .pixels import Buffer

__all__ = [
    "Progression",
    "conforms_to_rpcl",
    "reduce_codestream",
    "reorder",
    "resolution_ranges",
    "to_progressive",
    "truncate_codestream",
    "why_not_rpcl",
]

type Progression = Literal["LRCP", "RLCP", "RPCL", "PCRL", "CPRL"]

# ISO/IEC 15444-1 Table A.16.
_PROGRESSIONS: Final = ("LRCP", "RLCP", "RPCL", "PCRL", "CPRL")
_MOST_DECOMPOSITIONS: Final = 32
_MOST_LAYERS: Final = 65535


def to_progressive(data: Buffer, *, plt: bool = False) -> bytes:
    """The same image in RPCL, with a tile-part for each resolution and TLM.

    JPEG 2000 stays JPEG 2000, HTJ2K stays HTJ2K; whether the result may be called HTJ2K with
    RPCL Options (.202) is for :func:`conforms_to_rpcl` to say.

    Parameters
    ----------
    data
        A whole codestream, bare or inside a JP2 or JPH file. The GIL is released.
    plt
        Whether tile-parts list the lengths of their packets (PLT).

    Raises
    ------
    CodestreamError
        The bytes break ISO/IEC 15444-1 or 15444-15, or end early; ``marker`` and
        ``offset_bytes`` say where.
    UnsupportedError
        Valid, but not by us; ``feature`` names it.
    """
    return _native.to_progressive(data, plt=plt)


def reduce_codestream(data: Buffer, *, reduce: int) -> bytes:
    """A codestream of its own for the image at `reduce`: 0 is full size, 1 half.

    It keeps the progression of the original (that of COD where POC changes it). Where tiles
    have edges that the reduction does not divide, the reference grid stays as it is and the
    sub-sampling factors of all components grow instead: valid, but few viewers show it.

    Raises
    ------
    UsageError
        There are fewer decompositions, or no sample of the image would be left.
    CodestreamError, UnsupportedError
        As for :func:`to_progressive`.
    """
    return _native.reduce(data, by=_checked(reduce))


def truncate_codestream(
    data: Buffer, *, max_bytes: int | None = None, layers: int | None = None
) -> bytes:
    """A valid codestream of at most `max_bytes` and `layers`, cut at a packet.

    Packets are kept in the order of the original's progression, of all tiles side by side.
    Those behind the cut are replaced by empty ones, a byte each; layers that would hold nothing
    else are gone.

    Raises
    ------
    UsageError
        Neither limit is given, one is not positive, or even empty packets take more than
        `max_bytes`.
    CodestreamError, UnsupportedError
        As for :func:`to_progressive`.
    """
    if max_bytes is None and layers is None:
        raise UsageError("truncation needs max_bytes, layers or both")
    if max_bytes is not None and max_bytes <= 0:
        raise UsageError(f"max_bytes is {max_bytes}, expected 1 or more")
    if layers is not None and layers <= 0:
        raise UsageError(f"layers is {layers}, expected 1 or more")
    if layers is not None:
        layers = min(layers, _MOST_LAYERS)
    if max_bytes is not None:
        max_bytes = min(max_bytes, (1 << 64) - 1)
    return _native.truncate(data, max_bytes=max_bytes, layers=layers)


def reorder(data: Buffer, *, progression: str) -> bytes:
    """The same image with its packets in `progression`, one of the five (Table A.16).

    Raises
    ------
    UsageError
        `progression` is none of LRCP, RLCP, RPCL, PCRL and CPRL.
    CodestreamError, UnsupportedError
        As for :func:`to_progressive`.
    """
    if progression not in _PROGRESSIONS:
        raise UsageError(f"progression is {progression!r}, expected {', '.join(_PROGRESSIONS)}")
    return _native.reorder(data, progression=_PROGRESSIONS.index(progression))


def resolution_ranges(data: Buffer, *, reduce: int) -> tuple[tuple[int, int], ...]:
    """What to fetch for an image at `reduce`: (offset, length), in order, none touching.

    Offsets count from the start of `data`. Headers are part of it, every layer too. It is the
    least in any order of packets; where packets come by resolution it is close to a prefix.

    Raises
    ------
    UsageError
        There are fewer decompositions.
    CodestreamError, UnsupportedError
        As for :func:`to_progressive`.
    """
    return tuple(_native.resolution_ranges(data, reduce=_checked(reduce)))


def _checked(reduce: int) -> int:
    if not 0 <= reduce <= _MOST_DECOMPOSITIONS:
        raise UsageError(f"reduce is {reduce}, expected 0–{_MOST_DECOMPOSITIONS}")
    return reduce


def why_not_rpcl(layout: CodestreamLayout) -> tuple[str, ...]:
    """Which rules of HTJ2K with RPCL Options (Lossless Only) a codestream breaks; none is ().

    The lowest resolution counts as small enough where neither side is more than 64.

    References
    ----------
    DICOM PS3.5 §8.2.14 and §A.4
    """
    left, top, right, bottom = layout.image_area
    scale = 1 << layout.decompositions
    width = -(-right // scale) - -(-left // scale)
    height = -(-bottom // scale) - -(-top // scale)
    rules = (
        (layout.ht, "it has no code-blocks of high throughput"),
        (layout.reversible, "its coding is not reversible"),
        (layout.progression == "RPCL", f"its progression is {layout.progression}, not RPCL"),
        (not layout.has_poc, "POC changes its progression"),
        (layout.has_tlm, "it has no TLM"),
        (
            max(width, height) <= 64,
            f"its lowest resolution is {width} x {height}, more than 64 x 64",
        ),
    )
    return tuple(why for holds, why in rules if not holds)


def conforms_to_rpcl(layout: CodestreamLayout) -> bool:
    """Whether a codestream meets the rules of HTJ2K with RPCL Options (.202)."""
    return not why_not_rpcl(layout)
