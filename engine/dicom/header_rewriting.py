"""What a change of transfer syntax changes in a data set: the elements to replace or drop.

A plan only: tags and the new elements' bytes. Everything that the plan does not name comes
through as it is.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from struct import pack

from ...codecs.pixels import PixelFormat
from .explicit_elements import explicit_element
from .instance import Instance
from .lossy_history import LossyStep, PastLoss, history_changes
from .pixel_attributes import declared_frames
from .tags import (
    BITS_ALLOCATED,
    BITS_STORED,
    COLUMNS,
    EXTENDED_OFFSET_TABLE,
    EXTENDED_OFFSET_TABLE_LENGTHS,
    HIGH_BIT,
    NUMBER_OF_FRAMES,
    PHOTOMETRIC_INTERPRETATION,
    PIXEL_REPRESENTATION,
    PLANAR_CONFIGURATION,
    ROWS,
    SAMPLES_PER_PIXEL,
)

__all__ = [
    "LossyStep",
    "PastLoss",
    "derived_uid",
    "plan_changes",
]

_UID_NAMESPACE = uuid.UUID("ab1cee12-1b9c-4622-94f8-6eb33011f7ce")
_ENCAPSULATED_VALUE_TOTAL_LENGTH = 0x7FE00003


def derived_uid(*parts: str) -> str:
    """A UID that is always the same for the same parts, and for no others (PS3.5 §B.2)."""
    return f"2.25.{uuid.uuid5(_UID_NAMESPACE, '\0'.join(parts)).int}"


def plan_changes(
    instance: Instance,
    *,
    pixels: PixelFormat,
    frame_count: int,
    lossy: LossyStep | None,
    past_loss: PastLoss | None = None,
) -> Mapping[int, bytes | None]:
    """The elements to write instead of the source's, None for those to leave out.

    Parameters
    ----------
    pixels
        What the new Pixel Data holds. An attribute that already says so is not touched.
    lossy
        Given: the new frames are not the old ones, so neither is the instance.
    past_loss
        Given: the source's frames had been through it, which its attributes do not say.
    """
    changes: dict[int, bytes | None] = dict.fromkeys(
        (EXTENDED_OFFSET_TABLE, EXTENDED_OFFSET_TABLE_LENGTHS, _ENCAPSULATED_VALUE_TOTAL_LENGTH)
    )
    for tag, value in _integers(pixels).items():
        if instance.integer(tag) != value:
            changes[tag] = explicit_element(tag, "US", pack("<H", value))
    if instance.text(PHOTOMETRIC_INTERPRETATION) != pixels.photometric and not pixels.floating:
        changes[PHOTOMETRIC_INTERPRETATION] = explicit_element(
            PHOTOMETRIC_INTERPRETATION, "CS", pixels.photometric.encode("ascii")
        )
    if declared_frames(instance.attributes) != frame_count:
        changes[NUMBER_OF_FRAMES] = explicit_element(
            NUMBER_OF_FRAMES, "IS", str(frame_count).encode("ascii")
        )
    changes |= history_changes(instance, past=past_loss, step=lossy)
    # Group lengths (retired, PS3.5 §7.2) of the groups that change would be wrong.
    return changes | {tag & 0xFFFF0000: None for tag in changes}


def _integers(pixels: PixelFormat) -> dict[int, int]:
    integers = {
        ROWS: pixels.rows,
        COLUMNS: pixels.columns,
        SAMPLES_PER_PIXEL: pixels.samples,
        BITS_ALLOCATED: pixels.bits_allocated,
    }
    if not pixels.floating:
        integers |= {
            BITS_STORED: pixels.bits_stored,
            HIGH_BIT: pixels.high_bit,
            PIXEL_REPRESENTATION: int(pixels.signed),
        }
    if pixels.samples > 1:
        integers[PLANAR_CONFIGURATION] = pixels.planar
    return integers
