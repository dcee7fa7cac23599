"""What an instance says of the lossy compression that its pixels went through.

PS3.3 §C.7.6.1.1.5: once lossy, always lossy; every step appends its ratio and its method. An
image that is a lossy version of another one is DERIVED, has a UID of its own, and says from
what it was made and how (§C.7.6.1.1.2–4). Never changes an item that is there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from struct import pack
from types import MappingProxyType

from ...codecs.errors import UsageError
from ...codecs.syntaxes import HTJ2K, J2K
from .explicit_elements import explicit_element, explicit_header
from .instance import Instance
from .tags import (
    DERIVATION_CODE_SEQUENCE,
    DERIVATION_DESCRIPTION,
    IMAGE_TYPE,
    LOSSY_IMAGE_COMPRESSION,
    LOSSY_IMAGE_COMPRESSION_METHOD,
    LOSSY_IMAGE_COMPRESSION_RATIO,
    SOP_INSTANCE_UID,
    SOURCE_IMAGE_SEQUENCE,
)

__all__ = [
    "LOSSY_METHODS",
    "RATIO_BYTES",
    "LossyStep",
    "PastLoss",
    "added_items",
    "format_ratio",
    "history_changes",
    "with_item",
]

RATIO_BYTES = 16
"""The longest Decimal String; what is kept free for a ratio that is told at the end."""

_DESCRIPTION_CHARACTERS = 1024  # VR ST
_ESCAPE = b"\x1b"
_JPEG = "1.2.840.10008.1.2.4."

LOSSY_METHODS: Mapping[str, str] = MappingProxyType(
    {
        **{f"{_JPEG}{number}": "ISO_10918_1" for number in range(50, 57)},
        f"{_JPEG}81": "ISO_14495_1",
        J2K: "ISO_15444_1",
        f"{_JPEG}93": "ISO_15444_1",
        f"{_JPEG}111": "ISO_10918_1",  # JPEG inside: what was lost was lost to it
        f"{_JPEG}112": "ISO_18181_1",
        HTJ2K: "ISO_15444_15",
    }
)
"""Transfer Syntax UID to the defined term of Lossy Image Compression Method (0028,2114)."""


@dataclass(frozen=True, slots=True)
class LossyStep:
    """A lossy compression that the frames go through now, for which the instance is a new one.

    `method` is a defined term of Lossy Image Compression Method, e.g. ``ISO_15444_15``;
    `ratio` None means that it is told after the last frame, by `Part10Writer.set_ratio`;
    `description` goes into Derivation Description.
    """

    method: str
    sop_instance_uid: str
    ratio: float | None = None
    description: str = ""


@dataclass(frozen=True, slots=True)
class PastLoss:
    """A lossy compression that the source shows by its transfer syntax, but does not declare."""

    method: str
    ratio: float


def format_ratio(ratio: float) -> str:
    """A compression ratio as a Decimal String."""
    return f"{ratio:.6g}"


def history_changes(
    instance: Instance, *, past: PastLoss | None, step: LossyStep | None
) -> dict[int, bytes | None]:
    """The elements with which the new instance tells its whole history of loss."""
    if past is None and step is None:
        return {}
    ratios = _values(instance, LOSSY_IMAGE_COMPRESSION_RATIO)
    methods = _values(instance, LOSSY_IMAGE_COMPRESSION_METHOD)
    # Ratios and methods correspond value by value; what an earlier step left out stays empty.
    methods += [""] * (len(ratios) - len(methods))
    ratios += [""] * (len(methods) - len(ratios))
    if past is not None:
        if methods[-1:] != [past.method]:  # else the step is told, only the flag is not set
            methods.append(past.method)
            ratios.append("")
        ratios[-1] = ratios[-1] or format_ratio(past.ratio)
    texts = {LOSSY_IMAGE_COMPRESSION: ("CS", "01")}
    if step is not None:
        if not step.sop_instance_uid or step.sop_instance_uid == instance.sop_instance_uid:
            raise UsageError("a lossy step needs a SOP Instance UID of its own")
        ratios.append(" " * RATIO_BYTES if step.ratio is None else format_ratio(step.ratio))
        methods.append(step.method)
        image_type = ["DERIVED", *(_values(instance, IMAGE_TYPE)[1:] or ["PRIMARY"])]
        texts[IMAGE_TYPE] = ("CS", "\\".join(image_type))
        texts[SOP_INSTANCE_UID] = ("UI", step.sop_instance_uid)
    texts[LOSSY_IMAGE_COMPRESSION_RATIO] = ("DS", "\\".join(ratios))
    texts[LOSSY_IMAGE_COMPRESSION_METHOD] = ("CS", "\\".join(methods))
    changes: dict[int, bytes | None] = {
        tag: explicit_element(tag, vr, text.encode("ascii", "replace"))
        for tag, (vr, text) in texts.items()
    }
    if step is not None and step.description:
        changes |= _description(instance, step.description)
    return changes


def added_items(instance: Instance, step: LossyStep | None) -> dict[int, bytes]:
    """For each sequence that gets one more item, by tag, that item.

    Derivation Code Sequence says how (113040, DCM, "Lossy Compression"), Source Image
    Sequence from what (PS3.16 CID 7203, CID 7202).
    """
    if step is None:
        return {}
    predecessor = ("121320", "Uncompressed predecessor")
    if instance.lossy:
        predecessor = ("121330", "Lossy compressed predecessor")
    purpose = _sequence(0x0040A170, _code(*predecessor))
    source = (
        explicit_element(0x00081150, "UI", instance.sop_class_uid.encode("ascii", "replace"))
        + explicit_element(0x00081155, "UI", instance.sop_instance_uid.encode("ascii", "replace"))
        + purpose
    )
    return {
        SOURCE_IMAGE_SEQUENCE: _item(source),
        DERIVATION_CODE_SEQUENCE: _code("113040", "Lossy Compression"),
    }


def with_item(element: bytes, item: bytes) -> bytes:
    """A whole Explicit VR Little Endian element of VR SQ, with `item` behind its other items."""
    tag = int.from_bytes(element[0:2], "little") << 16 | int.from_bytes(element[2:4], "little")
    is_undefined = element[8:12] == b"\xff\xff\xff\xff"
    return _sequence(tag, element[12:-8] + item if is_undefined else element[12:] + item)


def _sequence(tag: int, items: bytes) -> bytes:
    return explicit_header(tag, "SQ", len(items)) + items


def _code(value: str, meaning: str) -> bytes:
    """An item that is a code of the DICOM Controlled Terminology (PS3.3 §8.8)."""
    texts = ((0x00080100, "SH", value), (0x00080102, "SH", "DCM"), (0x00080104, "LO", meaning))
    return _item(b"".join(explicit_element(tag, vr, text.encode()) for tag, vr, text in texts))


def _item(content: bytes) -> bytes:
    return pack("<HHI", 0xFFFE, 0xE000, len(content)) + content


def _description(instance: Instance, sentence: str) -> dict[int, bytes | None]:
    """Derivation Description with one more sentence, where there is room for it."""
    element = instance.attributes.get(DERIVATION_DESCRIPTION)
    before = element.value.rstrip(b" \0") if element is not None else b""
    text = b"; ".join(filter(None, (before, sentence.encode("ascii", "replace"))))
    # Behind an escape sequence ASCII may mean something else (PS3.5 §6.1.2.5).
    if len(text) > _DESCRIPTION_CHARACTERS or _ESCAPE in before:
        return {}
    return {DERIVATION_DESCRIPTION: explicit_element(DERIVATION_DESCRIPTION, "ST", text)}


def _values(instance: Instance, tag: int) -> list[str]:
    text = instance.text(tag)
    return [value.strip(" ") for value in text.split("\\")] if text else []
