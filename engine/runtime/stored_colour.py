"""The colours of JPEG frames whose data set names others: RGB around YCbCr, or the reverse.

Such a file shows right only where its JPEG markers are asked; a new transfer syntax would lose
them and keep the wrong name. Reads the first frame; changes no sample and no file.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from ...codecs.errors import MerseyError
from ...codecs.jpeg_colour import codestream_format
from ..dicom.instance import Instance, ReadAt
from .frame_read import read_frame

__all__ = ["with_stored_colour"]

_DCT = frozenset(f"1.2.840.10008.1.2.4.{number}" for number in range(50, 57))


def with_stored_colour(instance: Instance, read_at: ReadAt) -> Instance:
    """`instance`, its `pixels` with the Photometric Interpretation of the first codestream.

    Most are returned as they are. A change is told in `warnings`. A frame that cannot be read
    or walked changes nothing: decoding it will say what is wrong.
    """
    pixels, frames = instance.pixels, instance.frames
    if pixels is None or frames is None or not frames.count:
        return instance
    if pixels.samples != 3 or instance.transfer_syntax_uid not in _DCT:
        return instance
    found = pixels
    with suppress(MerseyError):
        found = codestream_format(read_frame(read_at, frames[0]).data, pixels=pixels)
    if found == pixels:
        return instance
    warning = (
        f"Photometric Interpretation is {pixels.photometric}, "
        f"the JPEG codestream holds {found.photometric}"
    )
    return replace(instance, pixels=found, warnings=(*instance.warnings, warning))
