"""What a change of transfer syntax changes in a data set: the elements to replace or drop.

A plan only: tags and the new elements' bytes. Everything that the plan does not name comes
through as it is.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from struct import pack

from ...codecs.errors import UsageError
from ...codecs.pixels import PixelFormat
from .explicit_elements import explicit_element
from .instance import Instance
from .pixel_attributes import declared_frames
from .tags import (
    BITS_ALLOCATED,
    BITS_STORED,
    COLUMNS,
    EXTENDED_OFFSET_TABLE,
    EXTENDED_OFFSET_TABLE_LENGTHS,
    HIGH_BIT,
    IMAGE_TYPE,
    LOSSY_IMAGE_COMPRESSION,
    LOSSY_IMAGE_COMPRESSION_METHOD,
    LOSSY_IMAGE_COMPRESSION_RATIO,
    NUMBER_OF_FRAMES,
    PHOTOMETRIC_INTERPRETATION,
    PIXEL_REPRESENTATION,
    PLANAR_CONFIGURATION,
    ROWS,
    SAMPLES_PER_PIXEL,
    SOP_INSTANCE_UID,
)

__all__ = [
    "RATIO_BYTES",
    "LossyStep",
    "derived_uid",
    "format_ratio",
    "plan_changes",
]

RATIO_BYTES = 16
"""The longest Decimal String; what is kept free for a ratio that is told at the end."""

_UID_NAMESPACE = uuid.UUID("ab1cee12-1b9c-4622-94f8-6eb33011f7ce")
_ENCAPSULATED_VALUE_TOTAL_LENGTH = 0x7FE00003


@dataclass(frozen=True, slots=True)
class LossyStep:
    """A lossy compression that the frames went through (PS3.3 §C.7.6.1.1.5).

    `method` is a defined term of Lossy Image Compression Method, e.g. ``ISO_15444_15``;
    `ratio` None means that it is told after the last frame, by `Part10Writer.set_ratio`.
    """

    method: str
    sop_instance_uid: str
    ratio: float | None = None


def derived_uid(*parts: str) -> str:
    """A UID that is always the same for the same parts, and for no others (PS3.5 §B.2)."""
    return f"2.25.{uuid.uuid5(_UID_NAMESPACE, '\0'.join(parts)).int}"


def format_ratio(ratio: float) -> str:
    """A compression ratio as a Decimal String."""
    return f"{ratio:.6g}"


def plan_changes(
    instance: Instance, *, pixels: PixelFormat, frame_count: int, lossy: LossyStep | None
) -> Mapping[int, bytes | None]:
    """The elements to write instead of the source's, None for those to leave out.

    Parameters
    ----------
    pixels
        What the new Pixel Data holds. An attribute that already says so is not touched.
    lossy
        Given: the new frames are not the old ones, so neither is the instance.
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
    if lossy is not None:
        changes |= _lossy_changes(instance, lossy)
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


def _lossy_changes(instance: Instance, lossy: LossyStep) -> dict[int, bytes | None]:
    """The attributes that say that and how the instance was compressed with loss."""
    if not lossy.sop_instance_uid or lossy.sop_instance_uid == instance.sop_instance_uid:
        raise UsageError("a lossy step needs a SOP Instance UID of its own")
    ratios = _values(instance, LOSSY_IMAGE_COMPRESSION_RATIO)
    methods = _values(instance, LOSSY_IMAGE_COMPRESSION_METHOD)
    # Ratios and methods correspond value by value; what an earlier step left out stays empty.
    methods += [""] * (len(ratios) - len(methods))
    ratios += [""] * (len(methods) - len(ratios))
    ratio = " " * RATIO_BYTES if lossy.ratio is None else format_ratio(lossy.ratio)
    image_type = ["DERIVED", *(_values(instance, IMAGE_TYPE)[1:] or ["PRIMARY"])]
    texts = {
        IMAGE_TYPE: ("CS", "\\".join(image_type)),
        SOP_INSTANCE_UID: ("UI", lossy.sop_instance_uid),
        LOSSY_IMAGE_COMPRESSION: ("CS", "01"),
        LOSSY_IMAGE_COMPRESSION_RATIO: ("DS", "\\".join([*ratios, ratio])),
        LOSSY_IMAGE_COMPRESSION_METHOD: ("CS", "\\".join([*methods, lossy.method])),
    }
    return {
        tag: explicit_element(tag, vr, text.encode("ascii", "replace"))
        for tag, (vr, text) in texts.items()
    }


def _values(instance: Instance, tag: int) -> list[str]:
    text = instance.text(tag)
    return [value.strip(" ") for value in text.split("\\")] if text else []
