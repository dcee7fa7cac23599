"""Smaller images of frames: ``fsiz`` and ``reduce`` on /frames/{list}.

Both are answered with a codestream of its own for each frame, of the smaller image and in the
same transfer syntax, cut out without decoding. ``X-Decode-Level`` says how often it was halved.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from starlette.requests import Request

from ...codecs.codestream import CodestreamLayout, scan_codestream, smallest_cover
from ...codecs.errors import CodestreamError, UnsupportedError, UsageError
from ...codecs.syntaxes import EXPLICIT_LE
from ..archive.blobs import BlobStore
from ..archive.entry import Entry
from ..transfer.body import Body, Segment
from .file_reading import read_whole
from .frame_source import FrameSource
from .negotiation import Choice
from .requests import query_pairs

__all__ = ["Reduction", "parse_reduction", "reduced_frames"]

_HEAD_BYTES = 16 << 10
_FSIZ = re.compile(r"(\d{1,6})[,xX](\d{1,6})")
_REDUCE = re.compile(r"\d{1,2}")

type Frames = list[tuple[Segment, ...]]


@dataclass(frozen=True, slots=True)
class Reduction:
    """What was asked for: the smallest image that covers `size`, or one halved `reduce` times."""

    size: tuple[int, int] | None = None
    reduce: int | None = None


def parse_reduction(request: Request) -> Reduction | None:
    """``fsiz=W,H`` or ``WxH`` (columns and rows), or ``reduce=N``; None where neither is there.

    Raises
    ------
    UsageError
        One has another form, or both are there.
    """
    found = {key: value.strip() for key, value in reversed(query_pairs(request))}
    size, reduce = found.get("fsiz"), found.get("reduce")
    if size is not None and reduce is not None:
        raise UsageError("fsiz and reduce both say how small; expected one of them")
    if size is not None:
        match = _FSIZ.fullmatch(size)
        if match is None:
            raise UsageError("fsiz has the form W,H or WxH")
        return Reduction(size=(int(match[1]), int(match[2])))
    if reduce is not None:
        if not _REDUCE.fullmatch(reduce):
            raise UsageError("reduce is a number of halvings")
        return Reduction(reduce=int(reduce))
    return None


async def reduced_frames(
    frames: Frames,
    entry: Entry,
    indices: Sequence[int],
    choice: Choice,
    *,
    wanted: Reduction,
    source: FrameSource,
) -> tuple[Frames, int]:
    """The frames at the reduction that is wanted, and which that is.

    Where a size is wanted, frames that are no codestreams come as they are, and so do frames
    that would be reduced differently: one header has to do for all of them.

    Raises
    ------
    UsageError
        A frame cannot be halved so often.
    UnsupportedError
        A frame is no codestream, and so has no smaller one inside.
    """
    if wanted.reduce == 0:
        return frames, 0
    levels = {
        await _level(frame, index, choice, wanted, blobs=source.blobs)
        for frame, index in zip(frames, indices, strict=True)
    }
    if levels in ({0}, set()) or len(levels) > 1:
        return frames, 0
    level = levels.pop()
    reduced: Frames = [
        (await source.reduced(entry, index, frame, reduce=level, form=choice.source.name),)
        for frame, index in zip(frames, indices, strict=True)
    ]
    return reduced, level


async def _level(
    frame: tuple[Segment, ...],
    index: int,
    choice: Choice,
    wanted: Reduction,
    *,
    blobs: BlobStore | None,
) -> int:
    layout = None if choice.uid == EXPLICIT_LE else await _main_header(frame, blobs)
    if wanted.reduce is None:
        assert wanted.size is not None
        return 0 if layout is None else smallest_cover(layout, *wanted.size)
    if layout is None:
        raise UnsupportedError(
            f"frame {index + 1} is no codestream here, and has no reduced one inside",
            feature="reduce without a codestream",
        )
    if wanted.reduce > layout.decompositions:
        raise UsageError(
            f"reduce is {wanted.reduce}, frame {index + 1} has 0–{layout.decompositions}"
        )
    return wanted.reduce


async def _main_header(
    frame: tuple[Segment, ...], blobs: BlobStore | None
) -> CodestreamLayout | None:
    """The layout as the first bytes of a frame tell it; None where they do not."""
    body = Body.of(frame, etag="")
    head = await read_whole(body.slice(0, min(_HEAD_BYTES, body.length_bytes)), blobs=blobs)
    try:
        return scan_codestream(head, complete=False)
    except (CodestreamError, UnsupportedError):
        return None
