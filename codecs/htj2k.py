"""HTJ2K (PS3.5 §A.4.12–14, ISO/IEC 15444-15): encode, decode, decode a smaller image.

Written codestreams are progressive: RPCL, TLM and a tile-part for each resolution, so every
prefix that ends at a cut point is a complete smaller image. Read ones may be anything that
the standard allows; what OpenJPH cannot do goes through OpenJPEG.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version

from . import openjph
from .codec import Codec, Encoded
from .errors import UnsupportedError, UsageError
from .j2k_form import decoded_form, decompositions_for, encoded_form, uses_colour_transform
from .j2k_frame import J2kFrame, open_frame
from .pixels import Buffer, PixelArray, PixelFormat
from .quality import DEFAULT_QUALITY, Quality, psnr_db
from .rate import search_step
from .reduction import halve
from .samples import fit_samples, require_samples
from .syntaxes import HTJ2K, HTJ2K_LOSSLESS, HTJ2K_LOSSLESS_RPCL

__all__ = ["Htj2kCodec", "open_codec"]


@dataclass(frozen=True, slots=True)
class Htj2kCodec:
    """One of the three HTJ2K transfer syntaxes; `quality` makes it lossy."""

    name: str
    quality: Quality | None = None
    library: str = f"ojph {version('ojph')}, imagecodecs {version('imagecodecs')}"

    def decoded_format(self, pixels: PixelFormat) -> PixelFormat:
        """RCT and ICT are undone: RGB comes out, colour-by-pixel."""
        return decoded_form(pixels)

    def encoded_format(self, pixels: PixelFormat) -> PixelFormat:
        """RGB goes through RCT, or ICT where lossy; anything else stays what it is."""
        return encoded_form(pixels, family="HTJ2K", lossy=self.quality is not None)

    def decode(self, data: Buffer, *, pixels: PixelFormat, reduce: int = 0) -> PixelArray:
        """Decode a frame, or a prefix of it that is complete for `reduce`.

        Beyond the codestream's own resolutions halving goes on by area.
        """
        frame = open_frame(data, pixels=pixels, reduce=reduce)
        samples = frame.to_container(_decode(frame))
        return halve(samples, pixels=pixels, reduce=frame.left_over)

    def encode(self, samples: PixelArray, *, pixels: PixelFormat) -> Encoded:
        """Encode a frame; precision is Bits Stored, sign is Pixel Representation."""
        self.encoded_format(pixels)
        samples = fit_samples(require_samples(samples, pixels=pixels), pixels=pixels)
        if self.quality is not None:
            return _encode_lossy(samples, pixels=pixels, quality=self.quality)
        data = openjph.write_codestream(
            samples,
            precision=pixels.bits_stored,
            decompositions=decompositions_for(pixels),
            colour_transform=uses_colour_transform(pixels),
        )
        return Encoded(data, lossy=False, ratio=pixels.decoded_bytes / len(data))


def open_codec(uid: str, *, quality: Quality | None = None) -> Codec:
    """The codec of an HTJ2K transfer syntax; .203 is written lossy, at `quality`."""
    if uid == HTJ2K:
        return Htj2kCodec("htj2k-lossy", quality=quality or DEFAULT_QUALITY)
    if quality is not None:
        raise UsageError(f"{uid} is lossless and takes no quality")
    return Htj2kCodec({HTJ2K_LOSSLESS: "htj2k", HTJ2K_LOSSLESS_RPCL: "htj2k-rpcl"}[uid])


def _decode(frame: J2kFrame) -> PixelArray:
    if frame.ht and frame.layers == 1 and not frame.subsampled:
        # What OpenJPH reads only to refuse it, packed packet headers among others, comes
        # through as UnsupportedError; damage to the body does not.
        with suppress(UnsupportedError):
            return openjph.read_codestream(
                frame.codestream,
                shape=frame.shape,
                dtype=frame.stored_dtype,
                limits=frame.limits,
                colour_transform=frame.colour_transform,
                reduce=frame.reduce,
            )
    from .openjpeg import decode_with_openjpeg  # rarely needed, and slow to import

    return decode_with_openjpeg(frame)


def _encode_lossy(samples: PixelArray, *, pixels: PixelFormat, quality: Quality) -> Encoded:
    colour = uses_colour_transform(pixels)

    def encode(step: float) -> bytes:
        return openjph.write_codestream(
            samples,
            precision=pixels.bits_stored,
            decompositions=decompositions_for(pixels),
            colour_transform=colour,
            step=step,
        )

    def judge(data: bytes) -> float:
        return psnr_db(_decode(open_frame(data, pixels=pixels)), samples, pixels=pixels)

    trial = search_step(
        encode,
        judge,
        quality=quality,
        raw_bytes=pixels.decoded_bytes,
        first_step=_first_step(quality, pixels),
    )
    return Encoded(trial.data, lossy=True, ratio=trial.ratio, psnr_db=trial.psnr_db)


def _first_step(quality: Quality, pixels: PixelFormat) -> float:
    """Noise of a uniform quantiser, ``step / sqrt(12)`` of full scale, or a few grey levels."""
    if quality.psnr_db is not None:
        return float(2 * 10 ** (-quality.psnr_db / 20))
    return 8.0 * 2.0**-pixels.bits_stored
