"""From stored samples to a picture for a screen: 8 bits, grey or RGB.

The grayscale pipeline of PS3.3 §C.11 and PS3.4 §N.2: Modality LUT, VOI LUT, polarity. Takes
the attributes it needs from the headers, functional groups included. Never changes the samples
it is given; never for diagnosis.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ...codecs.errors import DicomError, UnsupportedError
from ...codecs.pixels import PixelArray, PixelFormat
from ...codecs.samples import true_samples

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

__all__ = ["DisplayRule", "Window", "display_rule", "to_display"]

type _Function = Literal["LINEAR", "LINEAR_EXACT", "SIGMOID"]
type _Values = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True, slots=True)
class Window:
    """A VOI window (PS3.3 §C.11.2.1.2); of width 0 it is a threshold."""

    center: float
    width: float
    function: _Function = "LINEAR"

    def apply(self, values: _Values) -> _Values:
        """Map modality values to 0–1."""
        if self.function == "SIGMOID" and self.width > 0:
            shape = -4 * (values - self.center) / self.width
            sigmoid: _Values = 1 / (1 + np.exp(np.clip(shape, -700, 700)))
            return sigmoid
        shift = 0.5 if self.function == "LINEAR" else 0.0
        width = self.width - 2 * shift
        if width <= 0:
            return (values > self.center - shift).astype(np.float64)
        return np.clip((values - (self.center - shift)) / width + 0.5, 0, 1)


@dataclass(frozen=True, slots=True)
class DisplayRule:
    """How the samples of one frame become a picture.

    `window` is None where the headers have none: then the smallest and largest value are black
    and white, `padding` (Pixel Pixel Padding Value) left out. `tables` is the data set where
    a look-up table is to be applied: Modality LUT Sequence or a palette.
    """

    slope: float = 1.0
    intercept: float = 0.0
    window: Window | None = None
    inverse: bool = False
    padding: int | None = None
    tables: Dataset | None = None


def display_rule(headers: Dataset, *, frame_index: int) -> DisplayRule:
    """Take from the headers what shows the frame at `frame_index`, counted from 0.

    Functional groups come before the top level, a frame's own before the shared ones.

    Raises
    ------
    DicomError
        An attribute that is needed does not parse.
    """
    try:
        return _rule(headers, frame_index)
    except Exception as error:
        raise DicomError(f"the display attributes do not parse: {error}") from error


def to_display(samples: PixelArray, *, pixels: PixelFormat, rule: DisplayRule) -> PixelArray:
    """The picture: uint8, ``(rows, columns)`` or ``(rows, columns, 3)``.

    Parameters
    ----------
    samples
        As a codec decodes them, of any resolution; `pixels` describes them.

    Raises
    ------
    UnsupportedError
        A photometric interpretation or a palette we cannot show.
    """
    if pixels.photometric == "PALETTE COLOR":
        return _through_palette(true_samples(samples, pixels=pixels), rule)
    if pixels.photometric in ("MONOCHROME1", "MONOCHROME2") and pixels.samples == 1:
        return _through_window(true_samples(samples, pixels=pixels), rule)
    if pixels.samples == 3:
        return _colour(samples, pixels)
    raise UnsupportedError(
        f"cannot show Photometric Interpretation {pixels.photometric!r} "
        f"with {pixels.samples} samples a pixel",
        feature=pixels.photometric,
    )


def _rule(headers: Dataset, frame_index: int) -> DisplayRule:
    groups = _Groups(headers, frame_index)
    modality = groups.holder("PixelValueTransformationSequence", "RescaleSlope")
    voi = groups.holder("FrameVOILUTSequence", "WindowCenter")
    photometric = str(headers.get("PhotometricInterpretation", ""))
    rule = DisplayRule(
        slope=_first(modality.get("RescaleSlope"), 1.0),
        intercept=_first(modality.get("RescaleIntercept"), 0.0),
        window=_window(voi),
        inverse=photometric == "MONOCHROME1",
        padding=headers.get("PixelPaddingValue"),
    )
    if "ModalityLUTSequence" in headers or photometric == "PALETTE COLOR":
        return replace(rule, tables=headers)
    return rule


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
    functions: dict[str, _Function] = {"LINEAR_EXACT": "LINEAR_EXACT", "SIGMOID": "SIGMOID"}
    center, width = _first(voi.WindowCenter, 0.0), _first(voi.WindowWidth, 0.0)
    if not math.isfinite(center) or not math.isfinite(width):
        return None
    return Window(center, width, functions.get(name, "LINEAR"))


def _first(value: Any, absent: float) -> float:
    if value is None or value == "":
        return absent
    return float(value[0] if isinstance(value, list) or hasattr(value, "append") else value)


def _through_window(samples: PixelArray, rule: DisplayRule) -> PixelArray:
    if rule.tables is not None:
        from pydicom.pixels.processing import apply_modality_lut

        values = apply_modality_lut(samples, rule.tables).astype(np.float64)
    else:
        values = samples.astype(np.float64)
    # Float Pixel Data may hold NaN, infinities and values near the limits: black or white.
    with np.errstate(over="ignore", invalid="ignore"):
        if rule.tables is None:
            values = values * rule.slope + rule.intercept
        level = (
            _stretch(values, samples, rule.padding)
            if rule.window is None
            else rule.window.apply(values)
        )
        level = np.nan_to_num(1 - level if rule.inverse else level)
    return np.rint(level * 255).astype(np.uint8)


def _stretch(values: _Values, samples: PixelArray, padding: int | None) -> _Values:
    shown = np.isfinite(values)
    if padding is not None:
        shown &= samples != padding
    if not shown.any():
        return np.zeros(values.shape)
    low, high = float(values[shown].min()), float(values[shown].max())
    spread = (high - low) or 1.0
    return np.clip((values - low) / spread, 0, 1)


def _colour(samples: PixelArray, pixels: PixelFormat) -> PixelArray:
    picture = samples
    if pixels.photometric in ("YBR_FULL", "YBR_FULL_422"):
        from pydicom.pixels.processing import convert_color_space

        picture = convert_color_space(samples, "YBR_FULL", "RGB")
    elif pixels.photometric not in ("RGB", "YBR_RCT", "YBR_ICT"):
        raise UnsupportedError(
            f"cannot show Photometric Interpretation {pixels.photometric!r}",
            feature=pixels.photometric,
        )
    if pixels.bits_stored <= 8:
        return picture.astype(np.uint8, copy=False)
    return (picture >> (pixels.bits_stored - 8)).astype(np.uint8)


def _through_palette(samples: PixelArray, rule: DisplayRule) -> PixelArray:
    from pydicom.pixels.processing import apply_color_lut

    try:
        picture = apply_color_lut(samples, rule.tables)
    except Exception as error:
        raise UnsupportedError(
            f"cannot apply the palette: {error}", feature="PALETTE COLOR"
        ) from error
    deep = picture.dtype.itemsize > 1
    return (picture >> 8 if deep else picture)[..., :3].astype(np.uint8)
