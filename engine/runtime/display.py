"""From stored samples to a picture for a screen: 8 bits, grey or RGB.

The grayscale pipeline of PS3.3 §C.11 and PS3.4 §N.2: Modality LUT, VOI LUT, polarity. What is
applied comes as a DisplayRule (`display_headers` makes one). Never changes the samples it is
given; never for diagnosis.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ...codecs import kernels
from ...codecs.errors import UnsupportedError
from ...codecs.kernels import WindowFunction
from ...codecs.look_up_table import LookUpTable
from ...codecs.palette import Palette
from ...codecs.pixels import PixelArray, PixelFormat
from ...codecs.samples import true_samples

__all__ = ["DisplayRule", "Window", "to_display"]


@dataclass(frozen=True, slots=True)
class Window:
    """A VOI window (PS3.3 §C.11.2.1.2); narrower than its function allows, it is a threshold."""

    center: float
    width: float
    function: WindowFunction = "LINEAR"

    @property
    def usable(self) -> Window:
        """The same, or the threshold that is meant where the width is too small."""
        if self.function == "LINEAR":
            return self if self.width >= 1 else replace(self, width=1.0)
        if self.width > 0:
            return self
        return Window(self.center + 0.5, 1.0)


@dataclass(frozen=True, slots=True)
class DisplayRule:
    """How the samples of one frame become a picture.

    `modality` comes in place of `slope` and `intercept`. `window` and `voi` are None where the
    headers have none: then the smallest and largest value are black and white, `padding`
    (Pixel Padding Value) left out.
    """

    slope: float = 1.0
    intercept: float = 0.0
    modality: LookUpTable | None = None
    window: Window | None = None
    voi: LookUpTable | None = None
    inverse: bool = False
    padding: int | None = None
    palette: Palette | None = None


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
        if rule.palette is None:
            raise UnsupportedError("PALETTE COLOR without a palette", feature="PALETTE COLOR")
        return rule.palette.apply(true_samples(samples, pixels=pixels))
    if pixels.photometric in ("MONOCHROME1", "MONOCHROME2") and pixels.samples == 1:
        return _through_window(true_samples(samples, pixels=pixels), rule)
    if pixels.samples == 3:
        return _colour(samples, pixels)
    raise UnsupportedError(
        f"cannot show Photometric Interpretation {pixels.photometric!r} "
        f"with {pixels.samples} samples a pixel",
        feature=pixels.photometric,
    )


def _through_window(samples: PixelArray, rule: DisplayRule) -> PixelArray:
    slope, intercept = rule.slope, rule.intercept
    padded = None if rule.padding is None else samples == rule.padding
    if rule.modality is not None:
        samples, slope, intercept = rule.modality.apply(samples), 1.0, 0.0
    if rule.window is None and rule.voi is not None:
        values = samples
        if (slope, intercept) != (1.0, 0.0) or samples.dtype.kind == "f":
            values = kernels.rescale(samples, slope=slope, intercept=intercept)
            ends = np.iinfo(np.int32)
            values = np.rint(np.nan_to_num(values)).clip(ends.min, ends.max).astype(np.int32)
        levels = rule.voi.apply_to_levels(values)
        return kernels.invert(levels, bits_stored=8) if rule.inverse else levels
    window = rule.window or _stretch(
        samples if padded is None else samples[~padded], slope=slope, intercept=intercept
    )
    return kernels.window(
        samples,
        center=window.usable.center,
        width=window.usable.width,
        function=window.function if window.usable is window else "LINEAR",
        slope=slope,
        intercept=intercept,
        inverse=rule.inverse,
    )


def _stretch(samples: PixelArray, *, slope: float, intercept: float) -> Window:
    """The window whose ends are the smallest and the largest value."""
    limits = kernels.find_limits(samples) or (0, 0)
    low, high = sorted(float(limit) * slope + intercept for limit in limits)
    if low == high:
        return Window(low + 0.5, 1.0)  # a flat image is black
    return Window(low / 2 + high / 2, high - low, "LINEAR_EXACT")


def _colour(samples: PixelArray, pixels: PixelFormat) -> PixelArray:
    if pixels.photometric not in ("RGB", "YBR_RCT", "YBR_ICT", "YBR_FULL", "YBR_FULL_422"):
        raise UnsupportedError(
            f"cannot show Photometric Interpretation {pixels.photometric!r}",
            feature=pixels.photometric,
        )
    picture = true_samples(samples, pixels=pixels)
    if pixels.bits_stored > 8:
        picture = picture >> (pixels.bits_stored - 8)
    picture = np.ascontiguousarray(picture.astype(np.uint8, copy=False))
    return kernels.ybr_to_rgb(picture) if pixels.photometric.startswith("YBR_FULL") else picture
