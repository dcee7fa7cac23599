"""The colours of JPEG frames whose data set names others: RGB around YCbCr, or the reverse.

Such a file shows right only where its JPEG markers are asked; a new transfer syntax would lose
them and keep the wrong name. Reads the first frame; changes no sample and no file.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from ...codecs.errors import MerseyError
from ...codecs.jpeg_colour import codestream_format
from ...codecs.pixels import PixelFormat
from ..dicom.instance import Instance, ReadAt
from .frame_read import read_frame

__all__ = ["frame_colour", "with_stored_colour"]

_DCT = frozenset(f"1.2.840.10008.1.2.4.{number}" for number in range(50, 57))


def with_stored_colour(instance: Instance, read_at: ReadAt) -> Instance:
    """`instance`, its `pixels` with the Photometric Interpretation of the first codestream.

    Most are returned as they are. A change is told in `warnings`. A frame that cannot be read
    or walked changes nothing: decoding it will say what is wrong.
    """
    pixels, frames = instance.pixels, instance.frames
    if pixels is None or frames is None or not frames.count:
        return instance
    if not _may_differ(pixels, instance.transfer_syntax_uid):
        return instance
    found = pixels
    with suppress(MerseyError):
        data = read_frame(read_at, frames[0]).data
        found = frame_colour(data, pixels=pixels, transfer_syntax_uid=instance.transfer_syntax_uid)
    if found == pixels:
        return instance
    warning = (
        f"Photometric Interpretation is {pixels.photometric}, "
        f"the JPEG codestream holds {found.photometric}"
    )
    return replace(instance, pixels=found, warnings=(*instance.warnings, warning))


def frame_colour(data: bytes, *, pixels: PixelFormat, transfer_syntax_uid: str) -> PixelFormat:
    """`pixels` with the Photometric Interpretation that the frame itself tells, if it tells one."""
    if not _may_differ(pixels, transfer_syntax_uid):
        return pixels
    with suppress(MerseyError):
        return codestream_format(data, pixels=pixels)
    return pixels


def _may_differ(pixels: PixelFormat, transfer_syntax_uid: str) -> bool:
    return pixels.samples == 3 and transfer_syntax_uid in _DCT
