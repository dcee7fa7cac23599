"""An Instance as bytes for a catalogue, and back: JSON and a packed FrameIndex, compressed.

No pickle: reading a record runs nothing, whoever wrote it. What the instances of a series have
in common, most of their elements, is held once however many of them are taken apart.
"""

from __future__ import annotations

import json
import struct
from dataclasses import fields
from functools import lru_cache
from sys import intern
from typing import Any

import zstandard

from ...codecs.errors import IntegrityError
from ...codecs.pixels import PixelFormat
from ..dicom.element import Element
from ..dicom.frame_index import FrameIndex
from ..dicom.instance import Instance, Layout

__all__ = ["MAX_RECORD_BYTES", "RECORD_VERSION", "pack_instance", "unpack_instance"]

RECORD_VERSION = 1
MAX_RECORD_BYTES = 1 << 28
"""Holds the index of ten million fragments; a larger record is no record of ours."""

_HEAD = struct.Struct("<I")
# Their values are numbers and text: `dataclasses.asdict` would copy each, at a cost.
_LAYOUT = tuple(field.name for field in fields(Layout))
_PIXELS = tuple(field.name for field in fields(PixelFormat))
_SHARED = 20_000
_SHARED_DIGITS = 256  # longer values are rarely those of another instance


def pack_instance(instance: Instance) -> bytes:
    """The record of `instance`."""
    told = {
        "uids": [
            instance.sop_class_uid,
            instance.sop_instance_uid,
            instance.study_instance_uid,
            instance.series_instance_uid,
            instance.transfer_syntax_uid,
        ],
        "layout": {name: getattr(instance.layout, name) for name in _LAYOUT},
        "attributes": [
            [element.tag, element.vr, element.value.hex()]
            for element in instance.attributes.values()
        ],
        "pixels": (
            None
            if instance.pixels is None
            else {name: getattr(instance.pixels, name) for name in _PIXELS}
        ),
        "lossy": instance.lossy,
        "warnings": list(instance.warnings),
    }
    head = json.dumps(told, separators=(",", ":")).encode()
    frames = b"" if instance.frames is None else instance.frames.to_bytes()
    return zstandard.ZstdCompressor(level=1).compress(_HEAD.pack(len(head)) + head + frames)


def unpack_instance(record: bytes) -> Instance:
    """The instance of a record.

    Raises
    ------
    IntegrityError
        The bytes are not a record of this version.
    """
    try:
        data = zstandard.ZstdDecompressor().decompress(record, max_output_size=MAX_RECORD_BYTES)
        (length,) = _HEAD.unpack_from(data)
        frames = data[_HEAD.size + length :]
        return _instance(json.loads(data[_HEAD.size : _HEAD.size + length]), frames)
    except (zstandard.ZstdError, struct.error, ValueError, KeyError, TypeError) as error:
        raise IntegrityError(f"a record of the catalogue cannot be read: {error}") from error


def _instance(fields: dict[str, Any], frames: bytes) -> Instance:
    sop_class, sop_instance, study, series, syntax = fields["uids"]
    pixels = fields["pixels"]
    return Instance(
        sop_class_uid=intern(sop_class),
        sop_instance_uid=sop_instance,
        study_instance_uid=intern(study),
        series_instance_uid=intern(series),
        transfer_syntax_uid=intern(syntax),
        layout=_layout(**fields["layout"]),
        attributes={
            tag: (_shared_element if len(digits) <= _SHARED_DIGITS else _element)(tag, vr, digits)
            for tag, vr, digits in fields["attributes"]
        },
        pixels=None if pixels is None else _pixels(**pixels),
        frames=FrameIndex.from_bytes(frames) if frames else None,
        lossy=fields["lossy"],
        warnings=tuple(fields["warnings"]),
    )


def _element(tag: int, vr: str, digits: str) -> Element:
    return Element(tag, intern(vr), bytes.fromhex(digits))


_shared_element = lru_cache(_SHARED)(_element)
_layout = lru_cache(1000)(Layout)
_pixels = lru_cache(1000)(PixelFormat)
