"""The form `htj2k` in which an uncompressed instance travels: its frames as codestreams.

    magic (8 bytes) | length of the head, uint32 LE | head, JSON | before | after | lengths | frames

`before` and `after` are the bytes of the file in front of its frames and behind them, each one
zstd frame; `lengths` holds a uint32 LE for each codestream; the codestreams follow end to end.
Decoded and laid down between `before` and `after` they give the original byte for byte, which
whoever restores it proves by its SHA-256. This module writes and reads the layout; it decodes
nothing.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Self

import zstandard

from ...codecs.errors import FormatError, MerseyError
from ...codecs.pixels import PixelFormat

__all__ = ["MAX_OPENING_BYTES", "Opening"]

_MAGIC = b"MERSEYW\x01"
_LENGTH = struct.Struct("<I")
_MAX_HEAD_BYTES = 4096
_MAX_AROUND_BYTES = 256 << 20
"""The most that headers may take, inflated: a million functional groups."""

_MAX_FRAMES = 1 << 24
MAX_OPENING_BYTES = _MAX_AROUND_BYTES + 4 * _MAX_FRAMES
"""No opening is longer: whoever reads one may refuse to hold more."""


@dataclass(frozen=True, slots=True)
class Opening:
    """All of the form but the codestreams.

    `frame_lengths` are of the codestreams in order, each with `pixels.decoded_bytes` of
    samples; `before` and `after` are inflated.
    """

    pixels: PixelFormat
    before: bytes
    after: bytes
    frame_lengths: tuple[int, ...]

    @property
    def restored_bytes(self) -> int:
        """The length of the original."""
        around = len(self.before) + len(self.after)
        return around + len(self.frame_lengths) * self.pixels.decoded_bytes

    def to_bytes(self, *, level: int = 3) -> bytes:
        """The bytes that go in front of the codestreams; `level` is zstd's."""
        compressor = zstandard.ZstdCompressor(level=level)
        before, after = compressor.compress(self.before), compressor.compress(self.after)
        fields = {
            "pixels": asdict(self.pixels),
            "before": [len(before), len(self.before)],
            "after": [len(after), len(self.after)],
            "frames": len(self.frame_lengths),
        }
        head = json.dumps(fields, separators=(",", ":")).encode()
        lengths = struct.pack(f"<{len(self.frame_lengths)}I", *self.frame_lengths)
        return b"".join((_MAGIC, _LENGTH.pack(len(head)), head, before, after, lengths))

    @staticmethod
    def length_of(prefix: bytes) -> int | None:
        """How long the opening is that begins with `prefix`; None where that is too short to say.

        Raises
        ------
        FormatError
            It is no opening.
        """
        if len(prefix) < len(_MAGIC) + _LENGTH.size:
            return None
        start = len(_MAGIC) + _LENGTH.size
        head_bytes = _head_length(prefix)
        if len(prefix) < start + head_bytes:
            return None
        _, before, after, frames = _fields(prefix[start : start + head_bytes])
        return start + head_bytes + before[0] + after[0] + 4 * frames

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read a whole opening that came over a wire.

        Raises
        ------
        FormatError
            Something in it cannot be.
        """
        length = cls.length_of(data)
        if length is None or length > len(data):
            raise FormatError(f"an opening that ends at byte {len(data)}")
        start = len(_MAGIC) + _LENGTH.size
        head_bytes = _head_length(data)
        pixels, before, after, frames = _fields(data[start : start + head_bytes])
        at = start + head_bytes
        lengths_at = at + before[0] + after[0]
        return cls(
            pixels=pixels,
            before=_inflated(data[at : at + before[0]], before[1]),
            after=_inflated(data[at + before[0] : lengths_at], after[1]),
            frame_lengths=struct.unpack_from(f"<{frames}I", data, lengths_at),
        )


def _head_length(data: bytes) -> int:
    if data[: len(_MAGIC)] != _MAGIC:
        raise FormatError("these bytes are not of the form htj2k", offset_bytes=0)
    (length,) = _LENGTH.unpack_from(data, len(_MAGIC))
    if length > _MAX_HEAD_BYTES:
        raise FormatError(f"a head of {length} bytes, at most {_MAX_HEAD_BYTES}")
    return int(length)


def _fields(head: bytes) -> tuple[PixelFormat, Sequence[int], Sequence[int], int]:
    try:
        fields = json.loads(head)
        pixels = PixelFormat(**fields["pixels"])
        before, after, frames = fields["before"], fields["after"], fields["frames"]
        counts = (*before, *after, frames)
    except (ValueError, TypeError, KeyError, RecursionError, MerseyError) as error:
        raise FormatError(f"the head of the form htj2k: {type(error).__name__}") from error
    for count in counts:
        if not isinstance(count, int) or isinstance(count, bool) or count < 0:
            raise FormatError("the head of the form htj2k has a length that cannot be")
    if len(before) != 2 or len(after) != 2 or not 1 <= frames <= _MAX_FRAMES:
        raise FormatError("the head of the form htj2k has lengths that cannot be")
    if max(*before, *after) > _MAX_AROUND_BYTES:
        raise FormatError(f"headers of more than {_MAX_AROUND_BYTES} bytes")
    return pixels, before, after, frames


def _inflated(data: bytes, length_bytes: int) -> bytes:
    try:
        if zstandard.frame_content_size(data) > length_bytes:
            raise FormatError(f"the headers inflate to more than {length_bytes} bytes")
        found = zstandard.ZstdDecompressor().decompress(data, max_output_size=length_bytes)
    except zstandard.ZstdError as error:
        raise FormatError(f"the headers of the form htj2k do not inflate: {error}") from error
    if len(found) != length_bytes:
        raise FormatError(f"the headers inflate to {len(found)} bytes, not {length_bytes}")
    return found
