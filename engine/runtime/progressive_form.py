"""Whether an instance is progressive already, and what it becomes when it is rearranged.

Reads main headers of codestreams, a few hundred bytes a frame; decides, and changes nothing.
"""

from __future__ import annotations

from dataclasses import replace

from ...codecs.codestream import CodestreamLayout, scan_codestream
from ...codecs.errors import CodestreamError, UnsupportedError
from ...codecs.surgery import conforms_to_rpcl
from ...codecs.syntaxes import HTJ2K, HTJ2K_LOSSLESS, HTJ2K_LOSSLESS_RPCL
from ..dicom.frame_index import Frame
from ..dicom.instance import Instance, ReadAt
from .frame_read import read_bytes

__all__ = ["is_progressive", "is_progressive_already", "rearranged_uid"]

_HEAD_BYTES = (1 << 10, 16 << 10)
"""What holds the main header of nearly every frame, and of every other that is looked at."""


def is_progressive(layout: CodestreamLayout) -> bool:
    """Whether a codestream is bare, in RPCL, and cut points stand in its main header.

    A layout of the main header alone will do.
    """
    return (
        layout.progression == "RPCL"
        and not layout.has_poc
        and layout.has_tlm
        and layout.jp2_offset == 0
        and layout.cut_points is not None
    )


def is_progressive_already(instance: Instance, read_at: ReadAt) -> bool:
    """Whether every frame of the instance is; reads until one is not."""
    frames = instance.frames
    assert frames is not None
    for index in range(frames.count):
        layout = _main_header(frames[index], read_at)
        if layout is None or not is_progressive(layout):
            return False
    return True


def rearranged_uid(instance: Instance, read_at: ReadAt) -> str:
    """The transfer syntax of the rearranged frames, by what the first of them promises.

    HTJ2K becomes .202 where it will meet the rules of that; all else stays what it is.
    """
    uid, frames = instance.transfer_syntax_uid, instance.frames
    assert frames is not None
    if uid not in (HTJ2K_LOSSLESS, HTJ2K) or not frames.count:
        return uid
    layout = _main_header(frames[0], read_at)
    if layout is None:
        return uid
    rearranged = replace(layout, progression="RPCL", has_tlm=True, has_poc=False)
    return HTJ2K_LOSSLESS_RPCL if conforms_to_rpcl(rearranged) else uid


def _main_header(frame: Frame, read_at: ReadAt) -> CodestreamLayout | None:
    """The layout by the main header; None where that is long or broken."""
    for length in _HEAD_BYTES:
        head = read_bytes(read_at, frame, 0, min(length, frame.length_bytes))
        try:
            return scan_codestream(head, complete=False)
        except (CodestreamError, UnsupportedError):
            continue
    return None
