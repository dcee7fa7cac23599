"""Decodes one frame in a worker process, where foreign bytes can do no harm.

`FrameDecode` describes the work and pickles; `decode_frame` does it, `decode_safely` has it
done in a process of its own that is gone afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass

from ...codecs.pixels import PixelArray, PixelFormat
from ...codecs.registry import Registry
from ...codecs.syntaxes import transfer_syntax

__all__ = ["FrameDecode", "decode_frame", "decode_safely"]

_TIME_LIMIT_S = 30.0


@dataclass(frozen=True, slots=True)
class FrameDecode:
    """A frame's bytes, or the prefix that `reduce` needs, as stored in `source_uid`."""

    data: bytes
    pixels: PixelFormat
    source_uid: str
    bit_offset: int = 0
    reduce: int = 0


def decode_frame(work: FrameDecode) -> PixelArray:
    """Decode one frame here, in this process; see `Codec.decode`."""
    decoder = Registry.default().decoder(work.source_uid)
    data = work.data
    if work.bit_offset:
        from ...codecs.uncompressed import align_bits

        data = align_bits(data, bit_offset=work.bit_offset, bit_count=work.pixels.frame_bits)
    return decoder.decode(data, pixels=work.pixels, reduce=work.reduce)


def decode_safely(work: FrameDecode) -> PixelArray:
    """Decode one frame in a worker process; uncompressed ones, which need no parser, here.

    Raises
    ------
    ResourceError
        The worker died or took too long.
    """
    syntax = transfer_syntax(work.source_uid)
    if syntax is not None and not syntax.encapsulated:
        return decode_frame(work)
    # An unsupported syntax is refused before a process is started for it.
    Registry.default().decoder(work.source_uid)
    from .worker_pool import WorkerPool

    with WorkerPool(jobs=1, time_limit_s=_TIME_LIMIT_S) as pool:
        return pool.submit(decode_frame, work).result()
