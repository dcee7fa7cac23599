"""What ``mersey extract`` does: read as little as will do, decode, and give it a form.

Never writes; the command does.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...codecs.codestream import scan_codestream
from ...codecs.errors import MerseyError, UnsupportedError, UsageError
from ...codecs.pixels import PixelArray, PixelFormat
from ...codecs.png import png_bytes
from ...codecs.reduction import reduced_size
from ...codecs.registry import Registry
from ...codecs.samples import true_samples
from ...codecs.surgery import reduce_codestream
from ...codecs.syntaxes import (
    HTJ2K,
    HTJ2K_LOSSLESS,
    HTJ2K_LOSSLESS_RPCL,
    J2K,
    J2K_LOSSLESS,
)
from ..dicom.frame_index import Frame
from ..dicom.indexing import index_instance
from ..dicom.instance import Instance
from ..runtime.display import to_display
from ..runtime.display_headers import display_rule, read_display_headers
from ..runtime.frame_decode import FrameDecode, decode_safely
from ..runtime.frame_read import FrameBytes, read_codestream, read_frame
from ..runtime.inflated import inflated_up_to
from ..runtime.reduced_read import read_reduced
from ..runtime.source_file import SourceFile
from ..runtime.stored_colour import with_stored_colour

__all__ = ["Extracted", "extract"]

_CODESTREAMS = frozenset({J2K, J2K_LOSSLESS, HTJ2K, HTJ2K_LOSSLESS, HTJ2K_LOSSLESS_RPCL})


@dataclass(frozen=True, slots=True)
class Extracted:
    """The bytes to write, and what they are, in words that never hide a reduction."""

    data: bytes
    description: str
    frame_bytes_read: int
    frame_bytes: int


def extract(path: Path, *, form: str, number: int, reduce: int, raw: bool) -> Extracted:
    """Extract frame `number` of the file, halved `reduce` times.

    Parameters
    ----------
    form
        ``png``, ``j2c`` or ``npy``.

    Raises
    ------
    UsageError
        The file has no such frame, or its codestream no such resolution.
    UnsupportedError
        The frame cannot be decoded, or has no such form.
    """
    with SourceFile(path) as file:
        instance = index_instance(file.read_at, size_bytes=file.size_bytes, source=str(path))
        instance = with_stored_colour(instance, file.read_at)
        frame, pixels = _frame(instance, number)
        before = file.bytes_read
        if instance.layout.deflated:
            start = instance.layout.dataset_offset
            with inflated_up_to(file, frame, dataset_offset=start) as read_at:
                stored = read_frame(read_at, frame)
        elif instance.transfer_syntax_uid in _CODESTREAMS and form == "j2c":
            stored = read_codestream(file.read_at, frame, reduce=reduce)
        elif instance.transfer_syntax_uid in _CODESTREAMS and reduce:
            stored = read_reduced(file.read_at, frame, reduce=reduce)
        else:
            stored = read_frame(file.read_at, frame)
        read = file.bytes_read - before
    request = _Request(path, instance, frame, pixels, stored, reduce, raw)
    data, what = _FORMS[form](request)
    return Extracted(data, f"{request.description}, {what}", read, stored.stored_bytes)


@dataclass(frozen=True, slots=True)
class _Request:
    path: Path
    instance: Instance
    frame: Frame
    pixels: PixelFormat
    stored: FrameBytes
    reduce: int
    raw: bool

    @property
    def description(self) -> str:
        frames = self.instance.frames
        assert frames is not None
        rows, columns = self.pixels.rows, self.pixels.columns
        words = f"frame {self.frame.index + 1} of {frames.count}, "
        if self.reduce == 0:
            return f"{words}{columns} x {rows}"
        small = f"{-(-columns >> self.reduce)} x {-(-rows >> self.reduce)}"
        return f"{words}REDUCED {self.reduce} times to {small} of {columns} x {rows}"

    def decode(self) -> tuple[PixelArray, PixelFormat]:
        """The samples, and the format that describes them."""
        uid = self.instance.transfer_syntax_uid
        done = self.stored.reduced
        work = FrameDecode(
            self.stored.data,
            pixels=self.pixels.with_(
                rows=reduced_size(self.pixels.rows, reduce=done),
                columns=reduced_size(self.pixels.columns, reduce=done),
            ),
            source_uid=uid,
            bit_offset=self.frame.bit_offset,
            reduce=self.reduce - done,
        )
        try:
            samples = decode_safely(work)
        except MerseyError as error:
            raise error.at(frame=self.frame.index + 1)  # noqa: B904  the same error, named
        return samples, Registry.default().decoder(uid).decoded_format(self.pixels)


def _frame(instance: Instance, number: int) -> tuple[Frame, PixelFormat]:
    if instance.frames is None or instance.pixels is None:
        raise UsageError("the file has no Pixel Data, so no frame to extract")
    return instance.frames[number - 1], instance.pixels


def _as_npy(request: _Request) -> tuple[bytes, str]:
    samples, pixels = request.decode()
    values = true_samples(samples, pixels=pixels)
    out = io.BytesIO()
    np.save(out, values, allow_pickle=False)
    return out.getvalue(), f"{values.dtype} values as stored"


def _as_png(request: _Request) -> tuple[bytes, str]:
    samples, pixels = request.decode()
    if request.raw:
        image, what = _raw_image(true_samples(samples, pixels=pixels)), "values as stored"
    else:
        rule = display_rule(read_display_headers(request.path), frame_index=request.frame.index)
        image, what = to_display(samples, pixels=pixels, rule=rule), "for display, 8 bits"
    text = {"Software": "mersey", "Comment": f"{request.description}, {what}"}
    return png_bytes(image, text=text), what


def _as_j2c(request: _Request) -> tuple[bytes, str]:
    stored = request.stored
    if stored.layout is not None:
        if request.reduce == 0:
            return stored.data, "codestream as stored"
        if request.reduce > stored.layout.decompositions:
            raise UnsupportedError(
                f"the codestream ({stored.layout.progression}, "
                f"{stored.layout.decompositions} decompositions) has no cut point for --reduce "
                f"{request.reduce}: extract .png or .npy",
                feature="cut points",
            )
        if stored.is_prefix:
            return stored.data, "a prefix of the codestream as stored"
        # Its packets are in another order: the smaller image as a codestream of its own.
        return reduce_codestream(stored.data, reduce=request.reduce), "a codestream of its own"
    return _encoded(request)


def _encoded(request: _Request) -> tuple[bytes, str]:
    """The codestream that a stored rendition of this frame would hold."""
    whole = FrameDecode(
        request.stored.data,
        pixels=request.pixels,
        source_uid=request.instance.transfer_syntax_uid,
        bit_offset=request.frame.bit_offset,
    )
    registry = Registry.default()
    pixels = registry.decoder(whole.source_uid).decoded_format(request.pixels)
    encoder = registry.encoder(HTJ2K_LOSSLESS_RPCL)
    data = encoder.encode(decode_safely(whole), pixels=pixels).data
    if request.reduce == 0:
        return data, "encoded as HTJ2K (the file holds no codestream)"
    cut_points = scan_codestream(data).cut_points
    if cut_points is None or request.reduce >= len(cut_points):
        raise UsageError(f"--reduce {request.reduce} of an image too small to be halved so often")
    return data[: cut_points[request.reduce]], "a prefix of it encoded as HTJ2K"


def _raw_image(samples: PixelArray) -> PixelArray:
    if samples.dtype.kind != "u" or samples.dtype.itemsize > 2:
        raise UnsupportedError(
            f"a PNG holds unsigned values of 8 or 16 bits, these are {samples.dtype}: use .npy",
            feature=f"--raw of {samples.dtype}",
        )
    return samples


_FORMS: dict[str, Callable[[_Request], tuple[bytes, str]]] = {
    "png": _as_png,
    "npy": _as_npy,
    "j2c": _as_j2c,
}
