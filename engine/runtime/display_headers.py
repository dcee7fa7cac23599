"""From the headers of a data set to the rule by which one frame is shown.

Functional groups come before the top level, a frame's own before the shared ones. Touches no
samples; `read_display_headers` alone reads a file.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...codecs.errors import DicomError, UnsupportedError
from ...codecs.kernels import WindowFunction
from ...codecs.look_up_table import LookUpTable
from ...codecs.palette import Palette
from .display import DisplayRule, Window

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

__all__ = ["DISPLAY_KEYWORDS", "display_rule", "read_display_headers"]

_COLOURS = ("Red", "Green", "Blue")

DISPLAY_KEYWORDS = [
    "PhotometricInterpretation",
    "BitsAllocated",
    "BitsStored",
    "PixelRepresentation",
    "PixelPaddingValue",
    "RescaleSlope",
    "RescaleIntercept",
    "ModalityLUTSequence",
    "WindowCenter",
    "WindowWidth",
    "VOILUTFunction",
    "VOILUTSequence",
    "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
    *(f"{colour}PaletteColorLookupTableDescriptor" for colour in _COLOURS),
    *(f"{colour}PaletteColorLookupTableData" for colour in _COLOURS),
    *(f"Segmented{colour}PaletteColorLookupTableData" for colour in _COLOURS),
]
"""All that `display_rule` asks for: what has to be read of a data set."""


def read_display_headers(path: Path) -> Dataset:
    """Read from a file what `display_rule` asks for.

    Raises
    ------
    DicomError
        It does not parse.
    """
    from pydicom import dcmread

    with warnings.catch_warnings():
        # pydicom's warnings quote values.
        warnings.simplefilter("ignore")
        try:
            return dcmread(
                path, stop_before_pixels=True, force=True, specific_tags=DISPLAY_KEYWORDS
            )
        except Exception as error:
            raise DicomError(
                f"the display attributes do not parse: {type(error).__name__}", source=str(path)
            ) from error


def display_rule(headers: Dataset, *, frame_index: int) -> DisplayRule:
    """Take from the headers what shows the frame at `frame_index`, counted from 0.

    Raises
    ------
    DicomError
        An attribute that is needed does not parse.
    UnsupportedError
        A palette in a form we lack.
    """
    try:
        return _rule(headers, frame_index)
    except (DicomError, UnsupportedError):
        raise
    except Exception as error:
        raise DicomError(f"the display attributes do not parse: {error}") from error


def _rule(headers: Dataset, frame_index: int) -> DisplayRule:
    groups = _Groups(headers, frame_index)
    modality = groups.holder("PixelValueTransformationSequence", "RescaleSlope")
    voi = groups.holder("FrameVOILUTSequence", "WindowCenter")
    voi_table = groups.holder("FrameVOILUTSequence", "VOILUTSequence")
    photometric = str(headers.get("PhotometricInterpretation", ""))
    signed = headers.get("PixelRepresentation") == 1
    little_endian = headers.original_encoding[1] is not False
    return DisplayRule(
        slope=_first(modality.get("RescaleSlope"), 1.0),
        intercept=_first(modality.get("RescaleIntercept"), 0.0),
        modality=_table(headers.get("ModalityLUTSequence"), signed, little_endian),
        window=_window(voi),
        voi=_table(voi_table.get("VOILUTSequence"), signed, little_endian),
        inverse=photometric == "MONOCHROME1",
        padding=headers.get("PixelPaddingValue"),
        palette=(
            _palette(headers, signed, little_endian) if photometric == "PALETTE COLOR" else None
        ),
    )


@dataclass(frozen=True, slots=True)
class _Groups:
    headers: Dataset
    frame_index: int

    def holder(self, sequence: str, keyword: str) -> Dataset:
        """The item that holds `keyword` for this frame, or the data set itself."""
        per_frame = self.headers.get("PerFrameFunctionalGroupsSequence") or []
        shared = self.headers.get("SharedFunctionalGroupsSequence") or []
        for groups in (*per_frame[self.frame_index : self.frame_index + 1], *shared[:1]):
            items = groups.get(sequence) or []
            if items and keyword in items[0]:
                item: Dataset = items[0]
                return item
        return self.headers


def _window(voi: Dataset) -> Window | None:
    if voi.get("WindowCenter") is None or voi.get("WindowWidth") is None:
        return None
    name = str(voi.get("VOILUTFunction", "LINEAR"))
    functions: dict[str, WindowFunction] = {"LINEAR_EXACT": "LINEAR_EXACT", "SIGMOID": "SIGMOID"}
    center, width = _first(voi.WindowCenter, 0.0), _first(voi.WindowWidth, 0.0)
    if not math.isfinite(center) or not math.isfinite(width):
        return None
    return Window(center, width, functions.get(name, "LINEAR"))


def _first(value: Any, absent: float) -> float:
    if value is None or value == "":
        return absent
    return float(value[0] if isinstance(value, list) or hasattr(value, "append") else value)


def _table(sequence: Any, signed: bool, little_endian: bool) -> LookUpTable | None:
    if not sequence:
        return None
    item = sequence[0]
    data = item.LUTData
    if isinstance(data, bytes):
        descriptor = [int(number) for number in item.LUTDescriptor]
        packed = descriptor[2] == 8 and len(data) < 2 * (descriptor[0] or 1 << 16)
        values = np.frombuffer(data, "u1" if packed else "<u2" if little_endian else ">u2")
    else:
        values = np.atleast_1d(np.asarray(data)).astype(np.uint16)
    return LookUpTable.of_attributes(
        [int(number) for number in item.LUTDescriptor], values, signed=signed
    )


def _palette(headers: Dataset, signed: bool, little_endian: bool) -> Palette:
    segmented = f"Segmented{_COLOURS[0]}PaletteColorLookupTableData" in headers
    prefix = "Segmented" if segmented else ""
    descriptors, data = [], []
    for colour in _COLOURS:
        name = f"{colour}PaletteColorLookupTable"
        if f"{name}Descriptor" not in headers or f"{prefix}{name}Data" not in headers:
            raise UnsupportedError(
                "PALETTE COLOR without the attributes of a palette", feature="PALETTE COLOR"
            )
        descriptors.append([int(number) for number in headers[f"{name}Descriptor"].value])
        data.append(headers[f"{prefix}{name}Data"].value)
    return Palette.of_attributes(
        descriptors, data, signed=signed, segmented=segmented, little_endian=little_endian
    )
