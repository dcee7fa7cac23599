"""Resolution-major order: of many frames the smallest image of each first, then what sharpens it.

Pure: takes the cut points of codestreams, gives byte ranges of them in the order to be sent.
Every byte of a frame, up to the reduction where it ends, is in exactly one range. The smallest
images come first, whatever their reductions: a frame's place among them depends on nothing but
the order, so that it can be sent before the cut points of the others are known. Behind them
resolutions are lined up by their reduction, so that at any moment the frames of one size are
equally sharp, within one step. Never looks into a codestream.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

__all__ = [
    "FrameOrder",
    "FramePiece",
    "first_piece",
    "later_pieces",
    "order_frames",
    "plan_pieces",
]


class FrameOrder(Enum):
    """Which frame comes first within one resolution."""

    MIDDLE_OUT = "middle-out"
    """The middle one, then outward to both sides: what a viewer opens a series with."""
    IN_ORDER = "in-order"
    STRIDE = "stride"
    """Far apart first, then between: any part of it is spread over the whole."""


@dataclass(frozen=True, slots=True)
class FramePiece:
    """Bytes `start` to `stop` of the codestream of `frame`; then it is complete at `reduction`.

    `stop` is its cut point at `cut`, which is `reduction` unless a resolution adds no byte.
    """

    frame: int
    reduction: int
    start: int
    stop: int
    cut: int

    @property
    def length_bytes(self) -> int:
        return self.stop - self.start


def order_frames(count: int, order: FrameOrder) -> list[int]:
    """The frames 0 to `count` - 1, each once, as `order` has them."""
    if order is FrameOrder.IN_ORDER:
        return list(range(count))
    if order is FrameOrder.STRIDE:
        return list(_strides(count))
    middle = (count - 1) // 2
    return [middle + (step // 2 + 1 if step % 2 else -step // 2) for step in range(count)]


def plan_pieces(
    cut_points: Sequence[Sequence[int]], *, order: FrameOrder, until: int = 0
) -> Iterator[FramePiece]:
    """The pieces of all frames in the order they are to be sent.

    Parameters
    ----------
    cut_points
        Of each frame, at ``[r]``, the length of the prefix that makes its image at reduction
        `r`; the whole frame at ``[0]``. A frame that cannot be cut has that one alone, and so
        comes last.
    until
        The reduction to stop at. A frame that cannot be halved so often ends with its smallest
        image.
    """
    for frame in order_frames(len(cut_points), order):
        first = first_piece(cut_points[frame], frame=frame, until=until)
        if first is not None:
            yield first
    yield from later_pieces(cut_points, order=order, until=until)


def first_piece(cuts: Sequence[int], *, frame: int, until: int = 0) -> FramePiece | None:
    """The piece of `frame` that makes its smallest image; None where it cannot be cut."""
    smallest = len(cuts) - 1
    if smallest < 1:
        return None
    reached = _reached(cuts, smallest, min(until, smallest))
    return FramePiece(frame, reached, 0, cuts[smallest], smallest)


def later_pieces(
    cut_points: Sequence[Sequence[int]], *, order: FrameOrder, until: int = 0
) -> Iterator[FramePiece]:
    """The rest of what :func:`plan_pieces` gives, behind the smallest images."""
    frames = order_frames(len(cut_points), order)
    most = max(map(len, cut_points), default=0)
    for reduction in range(max(most - 2, 0), -1, -1):
        for frame in frames:
            cuts = cut_points[frame]
            smallest = len(cuts) - 1
            last = min(until, smallest)
            if not last <= reduction <= max(smallest - 1, 0) or not cuts:
                continue
            start = cuts[reduction + 1] if smallest else 0
            stop = cuts[reduction]
            if start < stop:
                yield FramePiece(frame, _reached(cuts, reduction, last), start, stop, reduction)


def _reached(cuts: Sequence[int], reduction: int, last: int) -> int:
    """Where a resolution adds no byte, the one before it is complete for both."""
    while reduction > last and cuts[reduction - 1] == cuts[reduction]:
        reduction -= 1
    return reduction


def _strides(count: int) -> Iterator[int]:
    step = 1 << max(count - 1, 0).bit_length()
    yield from range(min(count, 1))
    while step > 1:
        yield from range(step // 2, count, step)
        step //= 2
