"""Checks one rendition against its source: its digests, then every sample of every frame.

`check_rendition` runs in a worker process, one frame in memory at a time.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from ...codecs.errors import IntegrityError, MerseyError, UnsupportedError
from ...codecs.pixels import PixelArray, PixelFormat
from ...codecs.samples import fit_samples
from ..archive.renditions import read_rendition, verify_rendition
from ..dicom.frame_index import FrameIndex
from ..dicom.indexing import index_instance
from ..dicom.instance import Instance
from .frame_decode import FrameDecode, decode_frame
from .frame_read import read_frame
from .plan import with_reader
from .stored_colour import with_stored_colour
from .verification import equal_samples

__all__ = ["RenditionCheck", "check_rendition"]

_SLOWEST = 2e6


@dataclass(frozen=True, slots=True)
class RenditionCheck:
    """The rendition in the file `path` of the instance in the file `source`."""

    path: str
    source: str
    pixel_bytes: int

    @property
    def time_limit_s(self) -> float:
        """Both are decoded; generous for the slowest codec on a busy machine."""
        return 30.0 + 2 * self.pixel_bytes / _SLOWEST


def check_rendition(work: RenditionCheck) -> str:
    """What is wrong with the rendition; "" where nothing is.

    Raises
    ------
    MerseyError
        The source cannot be read or decoded: nothing is known of the rendition.
    """
    try:
        verify_rendition(read_rendition(work.path))
    except FileNotFoundError:
        return ""  # evicted meanwhile
    except IntegrityError as error:
        return str(error) if os.path.exists(work.path) else ""
    source = _instance(work.source)
    if source.layout.deflated:
        return ""  # its frames lie in the inflated stream; the digests have to do
    made = _instance(work.path)
    assert source.frames is not None
    if made.frames is None or made.frames.count != source.frames.count:
        return "it has not as many frames as its source"
    for index in range(source.frames.count):
        expected = _samples(work.source, source, source.frames, index)
        try:
            found = _samples(work.path, made, made.frames, index)
        except UnsupportedError:
            raise
        except MerseyError as error:
            return f"frame {index + 1} does not decode: {error.message}"
        assert source.pixels is not None
        if not _equal(found, expected, source.pixels):
            return f"frame {index + 1} has other samples than its source"
    return ""


def _instance(path: str) -> Instance:
    size_bytes = os.stat(path).st_size
    return with_reader(
        path,
        lambda read_at: with_stored_colour(index_instance(read_at, size_bytes=size_bytes), read_at),
    )


def _samples(path: str, instance: Instance, frames: FrameIndex, index: int) -> PixelArray:
    assert instance.pixels is not None
    frame = frames[index]
    found = with_reader(path, lambda read_at: read_frame(read_at, frame))
    work = FrameDecode(
        found.data, instance.pixels, instance.transfer_syntax_uid, bit_offset=frame.bit_offset
    )
    return decode_frame(work)


def _equal(found: PixelArray, expected: PixelArray, pixels: PixelFormat) -> bool:
    """Whether they are one, or would be once bits above Bits Stored are cleared."""
    if equal_samples(found, expected):
        return True
    try:
        return equal_samples(found, fit_samples(expected, pixels=pixels))
    except MerseyError:
        return False
