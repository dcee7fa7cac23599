"""A picture of one frame for a screen, as a JPEG or PNG file (PS3.18 §8.3.5: rendering).

`PictureWork` describes it and pickles; `make_picture` makes it, in a worker process. Of a
codestream only the bytes of a resolution near the size that is wanted are read and decoded.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from ...codecs.jfif import jpeg_bytes
from ...codecs.pixels import PixelArray, PixelFormat
from ...codecs.png import png_bytes
from ...codecs.reduction import reduced_size
from ...codecs.registry import Registry
from ...codecs.resizing import resize
from ...codecs.syntaxes import HTJ2K, HTJ2K_LOSSLESS, HTJ2K_LOSSLESS_RPCL, J2K, J2K_LOSSLESS
from ..dicom.frame_index import Frame
from .display import Window, to_display
from .display_headers import display_rule, read_display_headers
from .frame_decode import FrameDecode, decode_frame
from .frame_read import FrameBytes, read_frame
from .inflated import inflated_up_to
from .reduced_read import read_reduced
from .source_file import SourceFile
from .stored_colour import frame_colour

__all__ = ["PictureType", "PictureWork", "View", "make_picture"]

type PictureType = Literal["image/jpeg", "image/png"]

_CODESTREAMS = frozenset({J2K, J2K_LOSSLESS, HTJ2K, HTJ2K_LOSSLESS, HTJ2K_LOSSLESS_RPCL})
_MOST_HALVINGS = 12
_SLOWEST = 4e6


@dataclass(frozen=True, slots=True)
class View:
    """What of a frame is shown, and how.

    `region` is left, top, width and height in pixels of the frame; `columns` and `rows` are
    what it becomes. `window` comes in place of the one in the headers; colour has none.
    """

    region: tuple[int, int, int, int]
    columns: int
    rows: int
    flip_columns: bool = False
    flip_rows: bool = False
    window: Window | None = None
    media_type: PictureType = "image/jpeg"
    quality: int = 90

    @property
    def reduce(self) -> int:
        """How often the frame can be halved and still hold every pixel that is shown."""
        _, _, width, height = self.region
        halvings = 0
        while (
            halvings < _MOST_HALVINGS
            and reduced_size(width, reduce=halvings + 1) >= self.columns
            and reduced_size(height, reduce=halvings + 1) >= self.rows
        ):
            halvings += 1
        return halvings


@dataclass(frozen=True, slots=True)
class PictureWork:
    """A frame of the file `path`; `pixels` is the format that the data set declares.

    `dataset_offset` is where the data set begins in a file that is deflated, else None.
    """

    path: str
    frame: Frame
    pixels: PixelFormat
    source_uid: str
    view: View
    dataset_offset: int | None = None

    @property
    def time_limit_s(self) -> float:
        return 8.0 + self.pixels.decoded_bytes / _SLOWEST


def make_picture(work: PictureWork) -> bytes:
    """The file of the picture; the same work gives the same bytes.

    Raises
    ------
    MerseyError
        The frame cannot be read, decoded or shown.
    """
    path = Path(work.path)
    with SourceFile(path) as file:
        stored = _read(file, work)
    pixels = frame_colour(stored.data, pixels=work.pixels, transfer_syntax_uid=work.source_uid)
    samples = _decode(stored, work, pixels)
    rule = display_rule(read_display_headers(path), frame_index=work.frame.index)
    if work.view.window is not None:
        rule = replace(rule, window=work.view.window, voi=None)
    decoded = Registry.default().decoder(work.source_uid).decoded_format(pixels)
    picture = _shown(to_display(samples, pixels=decoded, rule=rule), work.view)
    if work.view.media_type == "image/png":
        return png_bytes(picture)
    return jpeg_bytes(picture, quality=work.view.quality)


def _read(file: SourceFile, work: PictureWork) -> FrameBytes:
    if work.dataset_offset is not None:
        with inflated_up_to(file, work.frame, dataset_offset=work.dataset_offset) as read_at:
            return read_frame(read_at, work.frame)
    if work.source_uid in _CODESTREAMS and work.view.reduce:
        return read_reduced(file.read_at, work.frame, reduce=work.view.reduce)
    return read_frame(file.read_at, work.frame)


def _decode(stored: FrameBytes, work: PictureWork, pixels: PixelFormat) -> PixelArray:
    done = stored.reduced
    return decode_frame(
        FrameDecode(
            stored.data,
            pixels=pixels.with_(
                rows=reduced_size(pixels.rows, reduce=done),
                columns=reduced_size(pixels.columns, reduce=done),
            ),
            source_uid=work.source_uid,
            bit_offset=work.frame.bit_offset,
            reduce=work.view.reduce - done,
        )
    )


def _shown(picture: PixelArray, view: View) -> PixelArray:
    """The region of a picture that was halved already, in the size that is wanted."""
    left, top, width, height = view.region
    halvings = view.reduce
    cut = picture[
        top >> halvings : max(reduced_size(top + height, reduce=halvings), 1),
        left >> halvings : max(reduced_size(left + width, reduce=halvings), 1),
    ]
    scaled = resize(cut, rows=view.rows, columns=view.columns)
    flipped = scaled[
        :: -1 if view.flip_rows else 1,
        :: -1 if view.flip_columns else 1,
    ]
    return np.ascontiguousarray(flipped)
