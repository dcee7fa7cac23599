"""One DICOM object as the reader finds it: identity, attributes, where its bytes are.

A value: it holds no file and no pixels, and pickles.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from functools import lru_cache
from typing import Any, Protocol

from ...codecs.pixels import PixelFormat
from .element import Element, integer_of
from .frame_index import FrameIndex
from .tags import SPECIFIC_CHARACTER_SET

__all__ = ["Instance", "Layout", "ReadAt"]


class ReadAt(Protocol):
    """Reads `length_bytes` at `offset_bytes`; fewer only at the end of the source."""

    def __call__(self, offset_bytes: int, length_bytes: int, /) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the parts of a Part 10 file are, in bytes from its start.

    For a deflated data set every offset from `dataset_offset` on counts in the *inflated*
    stream, which starts at 0 at the data set. `pixel_offset` is the tag of the Pixel Data
    element ((7FE0,0008), (7FE0,0009) or (7FE0,0010), in `pixel_tag`), `value_offset` its
    value, `end_offset` the first byte after it (after the Sequence Delimitation Item); all
    three are None where there is none. `size_bytes` is the length of the stream.
    """

    has_preamble: bool
    dataset_offset: int
    explicit_vr: bool
    little_endian: bool
    deflated: bool
    size_bytes: int
    pixel_tag: int | None = None
    pixel_offset: int | None = None
    value_offset: int | None = None
    end_offset: int | None = None


@dataclass(frozen=True, slots=True)
class Instance:
    """One DICOM object.

    `transfer_syntax_uid` is what the bytes are, which a wrong file meta may deny (then a
    sentence in `warnings` says so). `attributes` holds the top-level elements with short
    values that identify, group or describe the object, as stored. `pixels` and `frames` are
    None where there is no Pixel Data. `lossy` is Lossy Image Compression (0028,2110) = 01.
    """

    sop_class_uid: str
    sop_instance_uid: str
    study_instance_uid: str
    series_instance_uid: str
    transfer_syntax_uid: str
    layout: Layout
    attributes: Mapping[int, Element]
    pixels: PixelFormat | None = None
    frames: FrameIndex | None = None
    lossy: bool = False
    warnings: tuple[str, ...] = field(default=())

    def __reduce__(self) -> tuple[Callable[..., Instance], tuple[Any, ...]]:
        # Most elements are those of the instance before it, and are held once where it arrives.
        elements = [(one.tag, one.vr, one.value) for one in self.attributes.values()]
        rest = [getattr(self, name) for name in _NOT_ELEMENTS]
        return _restored, (elements, *rest)

    def text(self, tag: int) -> str:
        """The value of a top-level attribute as text, "" where absent or long; never raises.

        Text VRs are decoded by Specific Character Set (0008,0005); several values stay
        separated by backslashes, and what cannot be decoded is replaced by U+FFFD.
        """
        element = self.attributes.get(tag)
        if element is None:
            return ""
        if element.value.isascii() and b"\x1b" not in element.value:
            return element.value.decode("ascii").strip(" \0")
        # Deferred: a file of ASCII values has no need of pydicom's tables (0.2 s to import).
        from .character_sets import decode_text

        charset = self.attributes.get(SPECIFIC_CHARACTER_SET)
        return decode_text(element, charset=charset.value if charset else b"").strip(" \0")

    def integer(self, tag: int) -> int | None:
        """The first value of a top-level integer attribute, None where there is none."""
        element = self.attributes.get(tag)
        if element is None:
            return None
        return integer_of(element, little_endian=self.layout.little_endian)


_NOT_ELEMENTS = tuple(field.name for field in fields(Instance) if field.name != "attributes")
_SHARED = 20_000
_SHARED_BYTES = 128


def _restored(elements: list[tuple[int, str, bytes]], *rest: Any) -> Instance:
    attributes = {
        tag: (_shared if len(value) <= _SHARED_BYTES else Element)(tag, vr, value)
        for tag, vr, value in elements
    }
    return Instance(attributes=attributes, **dict(zip(_NOT_ELEMENTS, rest, strict=True)))


_shared = lru_cache(_SHARED)(Element)
