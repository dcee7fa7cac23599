"""What a codec is: encoded bytes of one frame to samples, and back.

Codecs are synchronous, hold no state between calls, do no I/O and are safe in threads.
They trust nothing in the bytes: what the headers of a codestream say is compared with the
PixelFormat before anything is allocated.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from .pixels import Buffer, PixelArray, PixelFormat

__all__ = ["Codec", "Encoded"]


@dataclass(frozen=True, slots=True)
class Encoded:
    """One encoded frame.

    `lossy` is true where the samples cannot be had back exactly; `ratio` is uncompressed
    bytes over encoded bytes (PS3.3 §C.7.6.1.1.5). `psnr_db` is how close a lossy one comes,
    where its encoder looked.
    """

    data: bytes
    lossy: bool
    ratio: float
    psnr_db: float | None = None


class Codec(Protocol):
    """One family of transfer syntaxes, for one transfer syntax."""

    @property
    def name(self) -> str:
        """Short name, e.g. ``htj2k-rpcl``."""
        ...

    @property
    def library(self) -> str:
        """Distribution names and versions that do the work; part of every rendition's key."""
        ...

    def decoded_format(self, pixels: PixelFormat) -> PixelFormat:
        """The format of the array that `decode` returns, for frames stored with `pixels`."""
        ...

    def encoded_format(self, pixels: PixelFormat) -> PixelFormat:
        """The attributes to be written beside frames that `encode` made of `pixels` arrays.

        Raises
        ------
        UnsupportedError
            The transfer syntax has no form for such pixels.
        """
        ...

    def decode(self, data: Buffer, *, pixels: PixelFormat, reduce: int = 0) -> PixelArray:
        """Decode one frame.

        Parameters
        ----------
        data
            The whole encoded frame; with ``reduce > 0`` any prefix of it that reaches the
            cut point of that reduction will do.
        pixels
            The format that the data set declares.
        reduce
            How many times to halve: the result has ``ceil(rows / 2**reduce)`` rows.

        Returns
        -------
        PixelArray
            C-contiguous, writable, ``decoded_format(pixels).shape`` (divided) and ``.dtype``.

        Raises
        ------
        FormatError
            The bytes are not a frame of that format.
        UnsupportedError
            They are, but by a feature we lack.
        """
        ...

    def encode(self, samples: PixelArray, *, pixels: PixelFormat) -> Encoded:
        """Encode one frame; the same samples always give the same bytes.

        Parameters
        ----------
        samples
            ``pixels.shape`` and ``pixels.dtype``, C-contiguous.

        Raises
        ------
        UnsupportedError
            Lossless, but some samples do not fit Bits Stored (old overlays in unused bits).
        """
        ...
