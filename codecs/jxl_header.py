"""What the headers of a JPEG XL image say, read before libjxl sees it.

SizeHeader and ImageMetadata of the codestream (ISO/IEC 18181-1 Annex D), which may lie in a
container of boxes (ISO/IEC 18181-2 Clause 9). Decodes no pixels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .errors import CodestreamError
from .jxl_bits import JxlBits
from .pixels import Buffer

__all__ = ["JxlHeader", "read_jxl_header"]

_SIGNATURE = b"\xff\x0a"
_CONTAINER = bytes.fromhex("0000000c4a584c200d0a870a")
_WHOLE, _PARTIAL = b"jxlc", b"jxlp"
_LEAST_HEADER_BYTES = 64
"""More than the fields that are read here ever take, but for names of extra channels."""

_SIZE = ((1, 9), (1, 13), (1, 18), (1, 30))
_PREVIEW_EIGHTHS = ((16, 0), (32, 0), (1, 5), (33, 9))
_PREVIEW = ((1, 6), (65, 8), (321, 10), (1345, 12))
_INTEGER_BITS = ((8, 0), (10, 0), (12, 0), (1, 6))
_FLOAT_BITS = ((32, 0), (16, 0), (24, 0), (1, 6))
_CHANNELS = ((0, 0), (1, 0), (2, 4), (1, 12))
_ENUM = ((0, 0), (1, 0), (2, 4), (18, 6))
_RATIOS = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))
"""Width over height, by the 3-bit field ``ratio``; 0 means that the width is written out."""
_GREY = 1


@dataclass(frozen=True, slots=True)
class JxlHeader:
    """One JPEG XL image.

    `rows` and `columns` are those of the codestream, before `orientation` (1–8, as Exif
    counts them) is applied. `extra_channels` come after the 1 or 3 of the colour.
    """

    rows: int
    columns: int
    orientation: int = 1
    bits: int = 8
    floating: bool = False
    animated: bool = False
    extra_channels: int = 0
    colour_channels: int = 3
    xyb: bool = True


def read_jxl_header(data: Buffer) -> JxlHeader:
    """Read the headers of one image.

    Raises
    ------
    CodestreamError
        No JPEG XL, or it ends within its headers.
    """
    view = memoryview(data).cast("B")
    codestream = _codestream_start(view)
    if codestream[:2] != _SIGNATURE:
        raise CodestreamError(
            f"no JPEG XL codestream: it begins with {codestream[:2].hex() or 'nothing'}, "
            "expected FF0A",
            offset_bytes=0,
        )
    bits = JxlBits(codestream[2:])
    rows, columns = _size(bits)
    if bits.flag():  # all_default
        return JxlHeader(rows, columns)
    orientation, animated = 1, False
    if bits.flag():  # extra_fields
        orientation = 1 + bits.take(3)
        if bits.flag():  # have_intr_size
            _size(bits)
        if bits.flag():  # have_preview
            _pass_preview(bits)
        animated = bits.flag()
        if animated:
            _pass_animation(bits)
    floating, precision = _bit_depth(bits)
    bits.flag()  # modular_16bit_buffers
    extra_channels = bits.choose(_CHANNELS)
    if extra_channels == 0:
        xyb, colour_channels = bits.flag(), _colour_channels(bits)
    else:
        # Their descriptions come first and may be long; what follows is not needed then.
        xyb, colour_channels = False, 3
    return JxlHeader(
        rows,
        columns,
        orientation=orientation,
        bits=precision,
        floating=floating,
        animated=animated,
        extra_channels=extra_channels,
        colour_channels=colour_channels,
        xyb=xyb,
    )


def _codestream_start(view: memoryview) -> bytes:
    """The first bytes of the codestream, out of its boxes where it has some."""
    if bytes(view[: len(_CONTAINER)]) != _CONTAINER:
        return bytes(view[:_LEAST_HEADER_BYTES])
    start = b""
    for kind, body in _boxes(view):
        if kind == _WHOLE:
            return bytes(body[:_LEAST_HEADER_BYTES])
        if kind == _PARTIAL:
            start += bytes(body[4:][:_LEAST_HEADER_BYTES])  # after the index of the part
            if len(start) >= _LEAST_HEADER_BYTES:
                break
    return start


def _boxes(view: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    """Type and contents of each box; one that says it is longer than the data is cut."""
    position = 0
    while position + 8 <= view.nbytes:
        length = int.from_bytes(view[position : position + 4], "big")
        kind = bytes(view[position + 4 : position + 8])
        header = 8
        if length == 1:
            length = int.from_bytes(view[position + 8 : position + 16], "big")
            header = 16
        elif length == 0:  # to the end of the file
            length = view.nbytes - position
        if length < header:
            raise CodestreamError(
                f"JPEG XL box of {length} bytes at offset {position}, expected {header} or more",
                offset_bytes=position,
            )
        yield kind, view[position + header : position + length]
        position += length


def _size(bits: JxlBits) -> tuple[int, int]:
    """Rows and columns of a SizeHeader."""
    in_eighths = bits.flag()
    rows = 8 * (1 + bits.take(5)) if in_eighths else bits.choose(_SIZE)
    ratio = bits.take(3)
    if ratio:
        over, under = _RATIOS[ratio - 1]
        return rows, rows * over // under
    return rows, 8 * (1 + bits.take(5)) if in_eighths else bits.choose(_SIZE)


def _pass_preview(bits: JxlBits) -> None:
    sides = _PREVIEW_EIGHTHS if bits.flag() else _PREVIEW
    bits.choose(sides)
    if bits.take(3) == 0:
        bits.choose(sides)


def _pass_animation(bits: JxlBits) -> None:
    bits.choose(((100, 0), (1000, 0), (1, 10), (1, 30)))  # tps_numerator
    bits.choose(((1, 0), (1001, 0), (1, 8), (1, 10)))  # tps_denominator
    bits.choose(((0, 0), (0, 3), (0, 16), (0, 32)))  # num_loops
    bits.flag()  # have_timecodes


def _bit_depth(bits: JxlBits) -> tuple[bool, int]:
    floating = bits.flag()
    if not floating:
        return False, bits.choose(_INTEGER_BITS)
    precision = bits.choose(_FLOAT_BITS)
    bits.take(4)  # exp_bits_minus_1
    return True, precision


def _colour_channels(bits: JxlBits) -> int:
    """1 for a grey ColourEncoding, else 3."""
    if bits.flag():  # all_default: sRGB
        return 3
    bits.flag()  # want_icc
    return 1 if bits.choose(_ENUM) == _GREY else 3
