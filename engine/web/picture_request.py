"""What a request for a picture asks for: media type, viewport, window, quality (PS3.18 §8.3.5).

Parsing and arithmetic only; knows sizes, never samples. What is asked for beyond that, as
annotation and ICC profiles, is checked, and told in a Warning where it is not done.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from starlette.requests import Request

from ...codecs.errors import UsageError
from ..runtime.display import Window
from ..runtime.picture import PictureType, View
from .requests import accepted, query_pairs
from .status import Reason, RefusedError

__all__ = ["MAX_PICTURE_PIXELS", "PictureRequest", "parse_picture_request"]

MAX_PICTURE_PIXELS = 1 << 25
"""Of one picture that is scaled: 32 Mi, four screens of 4K."""

_MAX_SIDE = 1 << 14
_QUALITY = 90
_FUNCTIONS = {"linear": "LINEAR", "linear-exact": "LINEAR_EXACT", "sigmoid": "SIGMOID"}
_PROFILES = frozenset({"no", "yes", "srgb", "adobergb", "rommrgb", "displayp3"})
_TYPES: dict[str, PictureType] = {
    "image/jpeg": "image/jpeg",
    "image/jpg": "image/jpeg",
    "image/png": "image/png",
    "image/*": "image/jpeg",
    "*/*": "image/jpeg",
}
_NUMBER = re.compile(r"[+-]?(?:\d{1,12}(?:\.\d{0,12})?|\.\d{1,12})(?:[eE][+-]?\d{1,2})?")


@dataclass(frozen=True, slots=True)
class PictureRequest:
    """What is wanted of each picture; `viewport` is the six numbers, None where left out.

    `grows` tells whether a picture that is smaller than the viewport is to fill it.
    """

    media_type: PictureType
    multipart: bool
    viewport: tuple[float | None, ...] | None = None
    window: Window | None = None
    quality: int = _QUALITY
    warnings: tuple[str, ...] = ()
    grows: bool = True

    def view(self, *, rows: int, columns: int) -> View:
        """How a frame of that size is shown.

        Raises
        ------
        UsageError
            Nothing of the frame is in the region that is asked for.
        """
        width, height, left, top, across, down = self.viewport or (None,) * 6
        x, shown_columns = _span(left, across, columns)
        y, shown_rows = _span(top, down, rows)
        scale = min((width or shown_columns) / shown_columns, (height or shown_rows) / shown_rows)
        if not self.grows:
            scale = min(scale, 1.0)
        return View(
            region=(x, y, shown_columns, shown_rows),
            columns=max(round(shown_columns * scale), 1),
            rows=max(round(shown_rows * scale), 1),
            flip_columns=across is not None and across < 0,
            flip_rows=down is not None and down < 0,
            window=self.window,
            media_type=self.media_type,
            quality=self.quality,
        )


def parse_picture_request(
    request: Request, *, multipart: bool, thumbnail: tuple[int, int] | None = None
) -> PictureRequest:
    """Read what `request` asks for.

    Parameters
    ----------
    multipart
        Whether there are several pictures: these can only come as multipart/related.
    thumbnail
        The width and height that a thumbnail fits in where the request names none; then nothing
        but the first two numbers of the viewport is looked at. None for a rendered picture.

    Raises
    ------
    UsageError
        A parameter is not made as PS3.18 §8.3.5 has it.
    RefusedError
        None of the accepted media types can be had.
    """
    media_type, as_parts = _choose(request, multipart=multipart)
    fields = {key.lower(): value for key, value in query_pairs(request)}
    viewport = _parse_viewport(fields["viewport"]) if "viewport" in fields else None
    if thumbnail is not None:
        width, height = (viewport or thumbnail)[:2]
        return PictureRequest(
            media_type,
            as_parts,
            viewport=(width, height, None, None, None, None),
            grows=viewport is not None,
        )
    return PictureRequest(
        media_type,
        as_parts,
        viewport=viewport,
        window=_parse_window(fields["window"]) if "window" in fields else None,
        quality=_parse_quality(fields["quality"]) if "quality" in fields else _QUALITY,
        warnings=tuple(_not_done(fields)),
    )


def _choose(request: Request, *, multipart: bool) -> tuple[PictureType, bool]:
    """The first acceptable media type, and whether it comes as parts of multipart/related."""
    for wanted in accepted(request):
        for media in wanted:
            if media.media_type in ("multipart/related", "multipart/*"):
                inner = (media.values("type") or ("image/jpeg",))[0].lower()
                if inner in _TYPES:
                    return _TYPES[inner], True
            elif media.media_type in _TYPES and (not multipart or media.media_type == "*/*"):
                return _TYPES[media.media_type], multipart
    what = "multipart/related of image/jpeg or image/png" if multipart else "image/jpeg, image/png"
    raise RefusedError(f"pictures come as {what}", reason=Reason.NOT_ACCEPTABLE)


def _parse_viewport(text: str) -> tuple[float | None, ...]:
    values = _numbers(text, "viewport", least=2, most=6)
    width, height = values[:2]
    if width is None or height is None or not _is_side(width) or not _is_side(height):
        raise UsageError(f"a viewport begins with width and height, whole, 1 to {_MAX_SIDE}")
    if width * height > MAX_PICTURE_PIXELS:
        raise UsageError(f"a viewport has at most {MAX_PICTURE_PIXELS} pixels")
    return values + (None,) * (6 - len(values))


def _is_side(value: float) -> bool:
    return 1 <= value <= _MAX_SIDE and value == int(value)


def _span(start: float | None, length: float | None, size: int) -> tuple[int, int]:
    """The first pixel and the count of one side of the region, within the frame."""
    first = 0 if start is None else round(start)
    count = size - first if length is None else round(abs(length))
    end = min(first + count, size)
    first = max(first, 0)
    if end <= first:
        raise UsageError("nothing of the frame is in the region of the viewport")
    return first, end - first


def _parse_window(text: str) -> Window:
    *numbers, name = text.split(",") if text.count(",") > 1 else (*text.split(","), "linear")
    function = _FUNCTIONS.get(name.strip().lower().replace("_", "-"))
    if function is None:
        raise UsageError(f"the functions of a window are {', '.join(_FUNCTIONS)}")
    center, width = _numbers(",".join(numbers), "window", least=2, most=2)
    if center is None or width is None:
        raise UsageError("a window has a center and a width")
    if width <= 0 or (function == "LINEAR" and width < 1):
        # PS3.3 §C.11.2.1.2
        raise UsageError("the width of a window is above 0, and of a linear one at least 1")
    return Window(center, width, function)  # type: ignore[arg-type]


def _parse_quality(text: str) -> int:
    if not re.fullmatch(r"\d{1,3}", text) or not 1 <= int(text) <= 100:
        raise UsageError("a quality is a whole number, 1 to 100")
    return int(text)


def _numbers(text: str, what: str, *, least: int, most: int) -> tuple[float | None, ...]:
    fields = [field.strip() for field in text.split(",", most)]
    if not least <= len(fields) <= most:
        raise UsageError(f"{what} has {least} to {most} numbers")
    found = [_number(field, what) if field else None for field in fields]
    return tuple(found)


def _number(text: str, what: str) -> float:
    if _NUMBER.fullmatch(text):
        value = float(text)
        if math.isfinite(value) and abs(value) < 1e12:
            return value
    raise UsageError(f"{what} holds something that is no number")


def _not_done(fields: Mapping[str, str]) -> Iterable[str]:
    """What is told about the parameters that are understood and not followed."""
    if fields.get("annotation"):
        yield "annotations are not supported"  # patient: never; technique: not yet
    profile = fields.get("iccprofile", "no").lower()
    if profile not in _PROFILES:
        raise UsageError(f"an iccprofile is one of {', '.join(sorted(_PROFILES))}")
    if profile != "no":
        yield "ICC profiles are not embedded"
