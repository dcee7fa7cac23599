"""What ``mersey inspect`` finds: a report of plain values, ready for JSON.

Opens the file and reads headers; decodes nothing, changes nothing. Patient values only where
they are asked for.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...codecs.codestream import CodestreamLayout, reduced_size
from ...codecs.errors import CodestreamError, UnsupportedError
from ...codecs.pixels import PixelFormat
from ...codecs.syntaxes import (
    HTJ2K,
    HTJ2K_LOSSLESS,
    HTJ2K_LOSSLESS_RPCL,
    J2K,
    J2K_LOSSLESS,
    transfer_syntax,
)
from ..dicom.frame_index import Frame, FrameIndex, Span
from ..dicom.indexing import index_instance
from ..dicom.instance import Instance, ReadAt
from ..runtime.frame_read import FrameBytes, read_layout
from ..runtime.source_file import SourceFile
from .codestream_layout import describe_layout
from .needed_bytes import needed_bytes

__all__ = ["CODESTREAM_SYNTAXES", "inspect_file"]

CODESTREAM_SYNTAXES = frozenset({J2K, J2K_LOSSLESS, HTJ2K, HTJ2K_LOSSLESS, HTJ2K_LOSSLESS_RPCL})

_SOC_SIZ = b"\xff\x4f\xff\x51"
_JP2_SIGNATURE = b"\0\0\0\x0cjP  \r\n\x87\n"
_LISTED_FRAMES = 5
_LARGEST_BARE_BYTES = 1 << 30
_SPECIFIC_CHARACTER_SET = 0x00080005
_MODALITY = 0x00080060
_PATIENT = {
    "name": 0x00100010,
    "id": 0x00100020,
    "birth_date": 0x00100030,
    "sex": 0x00100040,
}

type _Report = dict[str, Any]


def inspect_file(path: Path, *, patient: bool = False) -> _Report:
    """Read the headers of `path` and describe it.

    Returns
    -------
    dict
        The keys that ``mersey inspect --help`` documents.

    Raises
    ------
    FormatError
        It is neither DICOM nor a codestream, or broken beyond description.
    """
    with SourceFile(path) as file:
        report: _Report = {"file": str(path), "size_bytes": file.size_bytes, "kind": "dicom"}
        report |= dict.fromkeys(("identity", "patient", "image", "frames", "codestream"))
        report["warnings"] = []
        start = file.read_at(0, len(_JP2_SIGNATURE))
        if start.startswith(_SOC_SIZ) or start == _JP2_SIGNATURE:
            return report | _bare_codestream(file.read_at, file.size_bytes)
        instance = index_instance(file.read_at, size_bytes=file.size_bytes, source=str(path))
        return report | _instance(file.read_at, instance, patient=patient)


def _bare_codestream(read_at: ReadAt, size_bytes: int) -> _Report:
    frame = Frame(0, (Span(0, min(size_bytes, _LARGEST_BARE_BYTES)),))
    found = read_layout(read_at, frame)
    assert found.layout is not None
    return {"kind": "codestream", "codestream": _codestream(found, found.layout)}


def _instance(read_at: ReadAt, instance: Instance, *, patient: bool) -> _Report:
    report: _Report = {
        "identity": _identity(instance),
        "patient": _patient(instance) if patient else None,
        "warnings": list(instance.warnings),
    }
    if instance.pixels is not None:
        report["image"] = _image(instance.pixels, lossy=instance.lossy)
    frames = instance.frames
    if frames is None or frames.count == 0:
        return report
    report["frames"] = _frames(frames)
    if instance.transfer_syntax_uid in CODESTREAM_SYNTAXES:
        try:
            found = read_layout(read_at, frames[0])
        except CodestreamError as error:
            report["warnings"].append(f"frame 1: {error}")
        else:
            assert found.layout is not None
            report["codestream"] = _codestream(found, found.layout)
            report["warnings"] += _disagreements(found.layout, instance.pixels)
    return report


def _identity(instance: Instance) -> _Report:
    from pydicom.uid import UID

    syntax = transfer_syntax(instance.transfer_syntax_uid)
    known = UID(instance.sop_class_uid).name
    return {
        "sop_class": known if known != instance.sop_class_uid else "",
        "sop_class_uid": instance.sop_class_uid,
        "sop_instance_uid": instance.sop_instance_uid,
        "series_instance_uid": instance.series_instance_uid,
        "study_instance_uid": instance.study_instance_uid,
        "modality": instance.text(_MODALITY),
        "transfer_syntax": "" if syntax is None else syntax.name,
        "transfer_syntax_uid": instance.transfer_syntax_uid,
    }


def _patient(instance: Instance) -> _Report:
    from ..dicom.character_sets import decode_text

    charset = instance.attributes.get(_SPECIFIC_CHARACTER_SET)
    values = {}
    for name, tag in _PATIENT.items():
        element = instance.attributes.get(tag)
        terms = b"" if charset is None else charset.value
        text = "" if element is None else decode_text(element, charset=terms)
        values[name] = text.strip(" \0")
    return values


def _image(pixels: PixelFormat, *, lossy: bool) -> _Report:
    return {
        "rows": pixels.rows,
        "columns": pixels.columns,
        "samples_per_pixel": pixels.samples,
        "photometric_interpretation": pixels.photometric,
        "planar_configuration": pixels.planar if pixels.samples > 1 else None,
        "bits_allocated": pixels.bits_allocated,
        "bits_stored": pixels.bits_stored,
        "high_bit": pixels.high_bit,
        "signed": pixels.signed,
        "floating": pixels.floating,
        "lossy": lossy,
        "frame_bytes_decoded": pixels.decoded_bytes,
    }


def _frames(frames: FrameIndex) -> _Report:
    listed = [frames[index] for index in range(min(frames.count, _LISTED_FRAMES))]
    report: _Report = {"count": frames.count, "encapsulated": frames.is_encapsulated}
    if frames.lengths is not None and frames.starts is not None:
        fragments = frames.starts[1:] - frames.starts[:-1]
        report["stored_bytes"] = int(frames.lengths.sum())
        report["most_fragments_in_a_frame"] = int(fragments.max())
    else:
        report["stored_bytes"] = -(-frames.count * frames.frame_bits // 8)
        report["most_fragments_in_a_frame"] = None
    report["first"] = [
        {
            "number": frame.index + 1,
            "offset_bytes": frame.spans[0].offset_bytes if frame.spans else None,
            "length_bytes": frame.length_bytes,
            "fragments": len(frame.spans) if frames.is_encapsulated else None,
            "bit_offset": frame.bit_offset,
        }
        for frame in listed
    ]
    return report


def _codestream(found: FrameBytes, layout: CodestreamLayout) -> _Report:
    return {
        **describe_layout(layout),
        "jp2_offset": layout.jp2_offset,
        "bytes_read": len(found.data),
        "cut_points": _cut_points(layout),
        "needed": _needed(found, layout),
        "why_no_cut_points": layout.why_no_cut_points or None,
    }


def _needed(found: FrameBytes, layout: CodestreamLayout) -> list[_Report] | None:
    """Where there are no cut points: the bytes that each reduction needs, in pieces."""
    if layout.cut_points is not None or found.is_prefix:
        return None
    try:
        return needed_bytes(found.data, layout)
    except (CodestreamError, UnsupportedError):
        return None  # what is wrong with it, decoding will say


def _cut_points(layout: CodestreamLayout) -> list[_Report] | None:
    if layout.cut_points is None:
        return None
    rows = []
    for reduce, length in enumerate(layout.cut_points):
        width, height = reduced_size(layout, reduce)
        percent = round(100 * length / layout.cut_points[0], 3)
        rows.append(
            {
                "reduce": reduce,
                "width": width,
                "height": height,
                "bytes": length,
                "percent": percent,
            }
        )
    return rows


def _disagreements(layout: CodestreamLayout, pixels: PixelFormat | None) -> list[str]:
    """Where SIZ denies the data set; a decoder will follow one of them."""
    if pixels is None:
        return []
    pairs = (
        ("Columns", pixels.columns, layout.width),
        ("Rows", pixels.rows, layout.height),
        ("Samples per Pixel", pixels.samples, layout.components),
        ("Bits Stored", pixels.bits_stored, layout.precision[0]),
        ("Pixel Representation", int(pixels.signed), int(layout.signed[0])),
    )
    return [
        f"{name} is {declared}, the codestream of frame 1 says {found}"
        for name, declared, found in pairs
        if declared != found
    ]
