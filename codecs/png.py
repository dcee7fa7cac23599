"""Writes PNG: 8- or 16-bit, grey or RGB, with text beside the pixels (ISO/IEC 15948)."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping

import numpy as np

from .errors import UsageError
from .pixels import PixelArray

__all__ = ["png_bytes"]

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GREY, _RGB = 0, 2
_FILTER_UP = 2


def png_bytes(image: PixelArray, *, text: Mapping[str, str] | None = None) -> bytes:
    """The PNG file of `image`.

    Parameters
    ----------
    image
        uint8 or uint16; ``(rows, columns)`` grey or ``(rows, columns, 3)`` RGB.
    text
        Latin-1 keywords of 1–79 letters, and their Latin-1 texts.
    """
    if image.dtype not in (np.uint8, np.uint16) or not (
        image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 3)
    ):
        raise UsageError(f"a PNG holds no image of shape {image.shape} and dtype {image.dtype}")
    rows, columns = image.shape[:2]
    head = struct.pack(
        ">IIBBBBB",
        columns,
        rows,
        image.dtype.itemsize * 8,
        _RGB if image.ndim == 3 else _GREY,
        0,
        0,
        0,
    )
    parts = [_SIGNATURE, _chunk(b"IHDR", head)]
    for keyword, words in (text or {}).items():
        parts.append(_chunk(b"tEXt", f"{keyword}\0{words}".encode("latin-1", "replace")))
    parts.append(_chunk(b"IDAT", zlib.compress(_filtered(image), 6)))
    parts.append(_chunk(b"IEND", b""))
    return b"".join(parts)


def _filtered(image: PixelArray) -> bytes:
    """Each row less the row above, byte by byte, after the number of that filter."""
    big_endian = np.ascontiguousarray(image, dtype=image.dtype.newbyteorder(">"))
    lines = big_endian.view(np.uint8).reshape(image.shape[0], -1)
    filtered = np.empty((lines.shape[0], lines.shape[1] + 1), np.uint8)
    filtered[:, 0] = _FILTER_UP
    filtered[0, 1:] = lines[0]
    np.subtract(lines[1:], lines[:-1], out=filtered[1:, 1:])
    return filtered.tobytes()


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
