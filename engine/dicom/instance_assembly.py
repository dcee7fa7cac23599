"""From what the stages of the push parser found to an Instance: the last checks.

Pure: takes findings, returns the Instance with warnings in sentences, or raises.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...codecs.errors import DicomError, UnsupportedError
from ...codecs.pixels import PixelFormat
from ...codecs.syntaxes import (
    DEFLATED_EXPLICIT_LE,
    EXPLICIT_BE,
    EXPLICIT_LE,
    IMPLICIT_LE,
    transfer_syntax,
)
from .codestream_start import guess_syntax
from .element import Element
from .element_scanner import ElementScanner
from .encoding import Encoding, Located
from .file_meta import FileMetaParser
from .frame_grouping import group_fragments
from .frame_index import FrameIndex
from .instance import Instance, Layout
from .item_walker import ItemWalker
from .pixel_attributes import declared_frames, declared_pixels
from .tags import (
    LOSSY_IMAGE_COMPRESSION,
    MEDIA_STORAGE_SOP_CLASS_UID,
    MEDIA_STORAGE_SOP_INSTANCE_UID,
    NUMBER_OF_FRAMES,
    ROWS,
    SERIES_INSTANCE_UID,
    SOP_CLASS_UID,
    SOP_INSTANCE_UID,
    STUDY_INSTANCE_UID,
    format_tag,
)
from .value_representations import UNDEFINED_LENGTH

__all__ = ["Findings", "assemble"]

_UID = re.compile(r"[0-9.]{1,64}")

type _Int64Array = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(slots=True)
class Findings:
    """What the stages found so far; the reader fills it."""

    meta: FileMetaParser
    scanner: ElementScanner
    declared_uid: str
    declared: Encoding | None
    encoding: Encoding
    deflated: bool
    source: str
    pixel_data: Located | None = None
    pixel_end: int | None = None
    walker: ItemWalker | None = None
    proved_table: tuple[_Int64Array, _Int64Array] | None = None
    size_bytes: int = 0
    warnings: list[str] = field(default_factory=list)

    @property
    def must_sniff(self) -> bool:
        """Whether encapsulated Pixel Data has to tell its syntax itself."""
        row = transfer_syntax(self.declared_uid)
        return not self.declared_uid or (row is not None and not row.encapsulated)


def assemble(findings: Findings) -> Instance:
    """The Instance that `findings` describe.

    Raises
    ------
    DicomError
        Attributes and Pixel Data contradict each other.
    UnsupportedError
        The pixels are of a kind that is not handled.
    """
    scanner = findings.scanner
    attributes = findings.meta.elements | scanner.kept
    warnings = [*findings.meta.warnings, *findings.warnings]
    warnings += _order_warnings(scanner)
    uid = _encoding_syntax(findings, warnings)
    pixels: PixelFormat | None = None
    frames: FrameIndex | None = None
    if findings.pixel_data is not None:
        uid, pixels, frames = _pixels(findings, findings.pixel_data, attributes, uid, warnings)
    elif scanner.zeros_offset is not None and ROWS in attributes:
        raise DicomError(
            f"from byte {scanner.zeros_offset} on the data set of an image holds zeros where"
            " elements and Pixel Data should be",
            offset_bytes=scanner.zeros_offset,
            source=findings.source,
        )
    elif ROWS in attributes:
        warnings.append("the data set has Image Pixel attributes but no Pixel Data")
    warnings += _uid_warnings(attributes)
    return Instance(
        sop_class_uid=_uid(attributes, SOP_CLASS_UID, MEDIA_STORAGE_SOP_CLASS_UID),
        sop_instance_uid=_uid(attributes, SOP_INSTANCE_UID, MEDIA_STORAGE_SOP_INSTANCE_UID),
        study_instance_uid=_uid(attributes, STUDY_INSTANCE_UID),
        series_instance_uid=_uid(attributes, SERIES_INSTANCE_UID),
        transfer_syntax_uid=uid,
        layout=_layout(findings),
        attributes=attributes,
        pixels=pixels,
        frames=frames,
        lossy=_text(attributes, LOSSY_IMAGE_COMPRESSION) == "01",
        warnings=tuple(warnings),
    )


def _text(attributes: dict[int, Element], tag: int) -> str:
    element = attributes.get(tag)
    return element.value.decode("latin-1").strip(" \0") if element else ""


def _uid(attributes: dict[int, Element], *tags: int) -> str:
    return next((uid for tag in tags if (uid := _text(attributes, tag))), "")


def _uid_warnings(attributes: dict[int, Element]) -> list[str]:
    """UIDs become keys and names of files elsewhere: say where one is none (PS3.5 §9.1)."""
    return [
        f"{format_tag(tag)} is not a UID"
        for tag in (SOP_CLASS_UID, SOP_INSTANCE_UID, STUDY_INSTANCE_UID, SERIES_INSTANCE_UID)
        if (uid := _text(attributes, tag)) and not _UID.fullmatch(uid)
    ]


def _layout(findings: Findings) -> Layout:
    pixel_data = findings.pixel_data
    return Layout(
        has_preamble=findings.meta.has_preamble,
        dataset_offset=findings.meta.dataset_offset,
        explicit_vr=findings.encoding.explicit_vr,
        little_endian=findings.encoding.little_endian,
        deflated=findings.deflated,
        size_bytes=findings.size_bytes,
        pixel_tag=pixel_data.tag if pixel_data else None,
        pixel_offset=pixel_data.offset_bytes if pixel_data else None,
        value_offset=pixel_data.value_offset if pixel_data else None,
        end_offset=findings.pixel_end,
    )


def _order_warnings(scanner: ElementScanner) -> list[str]:
    warnings = []
    if scanner.duplicate is not None:
        warnings.append(f"{format_tag(scanner.duplicate)} occurs more than once")
    if scanner.unordered is not None:
        warnings.append(f"{format_tag(scanner.unordered)} is not in ascending order of tags")
    if scanner.zeros_offset is not None:
        warnings.append(f"zeros follow the last element, from byte {scanner.zeros_offset} on")
    return warnings


def _encoding_syntax(findings: Findings, warnings: list[str]) -> str:
    """The Transfer Syntax UID, as far as the encoding of the elements decides it."""
    found = _syntax_of(findings.encoding, deflated=findings.deflated)
    if not findings.declared_uid:
        warnings.append(f"no Transfer Syntax UID; the data set is {_name(found)}")
        return found
    if findings.declared is None or findings.declared == findings.encoding:
        return findings.declared_uid
    warnings.append(
        f"the file meta says {_name(findings.declared_uid)}, but the data set is {_name(found)}"
    )
    row = transfer_syntax(findings.declared_uid)
    return findings.declared_uid if row is not None and row.encapsulated else found


def _syntax_of(encoding: Encoding, *, deflated: bool) -> str:
    if deflated:
        return DEFLATED_EXPLICIT_LE
    if not encoding.explicit_vr:
        return IMPLICIT_LE
    return EXPLICIT_LE if encoding.little_endian else EXPLICIT_BE


def _name(uid: str) -> str:
    row = transfer_syntax(uid)
    return row.name if row else uid


def _pixels(
    findings: Findings,
    pixel_data: Located,
    attributes: dict[int, Element],
    uid: str,
    warnings: list[str],
) -> tuple[str, PixelFormat | None, FrameIndex | None]:
    """Transfer syntax, format and frames of an object with Pixel Data."""
    frame_count = declared_frames(attributes, source=findings.source)
    row = transfer_syntax(uid)
    if row is not None and row.video:
        warnings.append("the frames of a video cannot be told apart; it is kept as a whole")
        return uid, None, None
    pixels, found = declared_pixels(
        attributes,
        pixel_tag=pixel_data.tag,
        little_endian=findings.encoding.little_endian,
        source=findings.source,
    )
    warnings += found
    if pixel_data.length_bytes == UNDEFINED_LENGTH:
        if findings.must_sniff:
            uid = _sniffed_syntax(findings, warnings)
        if findings.proved_table is not None:
            offsets, lengths = findings.proved_table
            starts = np.arange(frame_count + 1)
            frames = FrameIndex.encapsulated(offsets=offsets, lengths=lengths, starts=starts)
        else:
            assert findings.walker is not None
            frames, found = group_fragments(
                findings.walker,
                frame_count=frame_count,
                transfer_syntax_uid=uid,
                source=findings.source,
            )
            warnings += found
        return uid, pixels, frames
    pixels = _check_uncompressed(findings, pixel_data, pixels, frame_count, warnings)
    if row is not None and row.encapsulated:
        uid = _syntax_of(findings.encoding, deflated=False)
        warnings.append(f"the file meta says {row.name}, but Pixel Data is not encapsulated")
    frame_bits = pixels.frame_bits
    if pixel_data.vr == b"OW" and not findings.encoding.little_endian:
        pixels, frame_bits = _in_words(pixels, frame_count)
    frames = FrameIndex.uniform(
        count=frame_count, first_offset_bytes=pixel_data.value_offset, frame_bits=frame_bits
    )
    return uid, pixels, frames


def _in_words(pixels: PixelFormat, frame_count: int) -> tuple[PixelFormat, int]:
    """Format and frame length of big-endian words, which swap samples of up to 8 bits."""
    if pixels.bits_allocated > 8:
        return pixels, pixels.frame_bits
    odd_bits = -pixels.frame_bits % 16
    if odd_bits and frame_count > 1:
        raise UnsupportedError(
            f"{frame_count} frames of {pixels.frame_bits} bits in big-endian words: frames that"
            " end inside a word",
            feature="big-endian OW frames of odd length",
        )
    # The only frame takes the padding along, so that its last word is whole.
    return pixels.with_(swapped_words=True), pixels.frame_bits + odd_bits


def _sniffed_syntax(findings: Findings, warnings: list[str]) -> str:
    """The syntax that encapsulated Pixel Data shows where the file meta names none."""
    assert findings.walker is not None
    guess = guess_syntax(findings.walker.first_bytes)
    if guess is None:
        raise DicomError(
            "Pixel Data is encapsulated, but no Transfer Syntax UID says how, and its first"
            " fragment does not show it",
            offset_bytes=findings.walker.offset_bytes,
            source=findings.source,
        )
    warnings.append(f"Pixel Data is encapsulated and looks like {_name(guess)}")
    return guess


def _check_uncompressed(
    findings: Findings,
    pixel_data: Located,
    pixels: PixelFormat,
    frame_count: int,
    warnings: list[str],
) -> PixelFormat:
    """The format, after comparing the length of uncompressed Pixel Data with it."""
    length = pixel_data.length_bytes
    expected = -(-pixels.frame_bits * frame_count // 8)
    if pixels.photometric in ("YBR_FULL_422", "YBR_PARTIAL_422"):
        full = pixels.rows * pixels.columns * pixels.samples * pixels.bits_allocated
        if length in (full * frame_count // 8, full * frame_count // 8 + 1):
            # Some writers name the subsampling that a codec had used; pydicom reads so too.
            warnings.append(f"Pixel Data is not subsampled, although it says {pixels.photometric}")
            return pixels.with_(photometric="YBR_FULL")
    if length < expected:
        raise DicomError(
            f"Pixel Data {format_tag(pixel_data.tag)} holds {length} bytes, but {frame_count}"
            f" frames of {pixels.rows} x {pixels.columns} x {pixels.samples} samples of"
            f" {pixels.bits_allocated} bits need {expected}",
            tag=NUMBER_OF_FRAMES if frame_count > 1 else pixel_data.tag,
            offset_bytes=pixel_data.offset_bytes,
            source=findings.source,
        )
    if length > expected + expected % 2:
        warnings.append(
            f"Pixel Data holds {length} bytes, but {frame_count} frames need only {expected}"
        )
    return pixels
