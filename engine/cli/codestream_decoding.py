"""What ``mersey codestream decode`` does: a bare codestream to samples, and to a file's bytes.

Decodes in a worker process: the bytes may be anybody's. Never writes; the command does.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...codecs.codestream import CodestreamLayout, scan_codestream
from ...codecs.errors import FormatError, UnsupportedError, UsageError
from ...codecs.pixels import PixelArray, PixelFormat
from ...codecs.png import png_bytes
from ...codecs.syntaxes import HTJ2K, J2K
from ..runtime.frame_decode import FrameDecode, decode_safely
from ..runtime.source_file import SourceFile

__all__ = ["DecodedImage", "decode_file", "npy_file", "png_file"]

_LARGEST_BYTES = 1 << 30
_MOST_COMPONENTS = 4
_PNG_BITS = 16


@dataclass(frozen=True, slots=True)
class DecodedImage:
    """The samples of a codestream, and what they are, in words that never hide a reduction."""

    samples: PixelArray
    precision: int
    description: str


def decode_file(path: Path, *, reduce: int) -> DecodedImage:
    """Decode the codestream in the file `path`, halved `reduce` times.

    Raises
    ------
    CodestreamError
        The file holds no codestream, or a broken one.
    UnsupportedError
        It holds one that no DICOM image could be: too large, more than 4 components, or
        components that differ.
    """
    with SourceFile(path) as file:
        if file.size_bytes > _LARGEST_BYTES:
            raise UnsupportedError(
                f"a codestream of {file.size_bytes} bytes, at most {_LARGEST_BYTES}",
                feature="codestreams over 1 GiB",
            )
        data = file.read_at(0, file.size_bytes)
    try:
        layout = scan_codestream(data, complete=False)
        pixels = _pixels(layout)
        work = FrameDecode(data, pixels, HTJ2K if layout.ht else J2K, reduce=reduce)
        samples = decode_safely(work)
    except FormatError as error:
        error.source = error.source or str(path)
        raise
    rows, columns = samples.shape[:2]
    kind = "HTJ2K" if layout.ht else "J2K"
    words = f"{kind}, {columns} x {rows}"
    if reduce:
        words += f", REDUCED {reduce} times from {layout.width} x {layout.height}"
    components = f", {layout.components} components" if layout.components > 1 else ""
    sign = "signed" if layout.signed[0] else "unsigned"
    words += f"{components}, {layout.precision[0]} bits {sign}"
    return DecodedImage(samples, layout.precision[0], words)


def npy_file(image: DecodedImage) -> bytes:
    """The samples as a NumPy file."""
    out = io.BytesIO()
    np.save(out, image.samples, allow_pickle=False)
    return out.getvalue()


def png_file(image: DecodedImage) -> bytes:
    """The samples as PNG, shifted to fill its 8 or 16 bits.

    Raises
    ------
    UnsupportedError
        PNG has no form for so many bits, or for two or four components without a meaning.
    """
    samples, precision = image.samples, image.precision
    components = samples.shape[2] if samples.ndim == 3 else 1
    if precision > _PNG_BITS or components not in (1, 3):
        raise UnsupportedError(
            f"a PNG of {components} components of {precision} bits; write .npy",
            feature="PNG of such samples",
        )
    if samples.dtype.kind == "i":
        samples = samples.astype(np.int32) + (1 << (precision - 1))
    dtype = np.uint8 if precision <= 8 else np.uint16
    image_samples: PixelArray = samples.astype(dtype)
    image_samples <<= image_samples.dtype.itemsize * 8 - precision
    return png_bytes(image_samples, text={"Comment": image.description})


def _pixels(layout: CodestreamLayout) -> PixelFormat:
    """What a data set would say of this codestream."""
    if layout.components > _MOST_COMPONENTS:
        raise UnsupportedError(
            f"{layout.components} components, at most {_MOST_COMPONENTS} (Samples per Pixel)",
            feature=f"{layout.components} components",
        )
    if len(set(zip(layout.precision, layout.signed, strict=True))) > 1:
        raise UnsupportedError(
            f"components of {', '.join(map(str, layout.precision))} bits, expected all alike",
            feature="components of different precision",
        )
    precision = layout.precision[0]
    allocated = next((bits for bits in (8, 16, 32) if precision <= bits), None)
    if allocated is None:
        raise UnsupportedError(f"{precision} bits, at most 32", feature=f"{precision} bits")
    try:
        return PixelFormat(
            layout.height,
            layout.width,
            samples=layout.components,
            bits_allocated=allocated,
            bits_stored=precision,
            high_bit=precision - 1,
            signed=layout.signed[0],
            photometric="MONOCHROME2" if layout.components < 3 else "RGB",
        )
    except UsageError as error:
        raise UnsupportedError(str(error), feature="images over 65535 samples") from error
