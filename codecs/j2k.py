"""J2K (PS3.5 §A.4.4, ISO/IEC 15444-1): encode, decode, decode a smaller image.

Written by OpenJPEG: one tile, one layer, 5-3 and RCT where lossless, 9-7 and ICT where lossy,
in RPCL order, so that a prefix which ends at a cut point is a complete smaller image. OpenJPEG
as imagecodecs calls it writes neither TLM nor a tile-part for each resolution; the cut points
are found from the packet headers.

Multi-component frames of Part 2 (.92, .93) are read where they are plain Part 1: as many
components as the data set has samples, and no transform between components but RCT and ICT.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version

from .._native import scan
from .codec import Codec, Encoded
from .errors import UnsupportedError, UsageError
from .j2k_form import decoded_form, decompositions_for, encoded_form, uses_colour_transform
from .j2k_frame import open_frame
from .openjpeg import MAX_WRITTEN_PRECISION, decode_with_openjpeg, encode_with_openjpeg
from .pixels import Buffer, PixelArray, PixelFormat
from .quality import DEFAULT_QUALITY, Quality, psnr_db
from .rate import search_step
from .reduction import halve
from .samples import fit_samples, require_samples
from .syntaxes import J2K, J2K_LOSSLESS

__all__ = ["J2kCodec", "open_codec"]


@dataclass(frozen=True, slots=True)
class J2kCodec:
    """One of the JPEG 2000 transfer syntaxes; `quality` makes it lossy."""

    name: str
    quality: Quality | None = None
    part_2: bool = False
    library: str = f"imagecodecs {version('imagecodecs')}"

    def decoded_format(self, pixels: PixelFormat) -> PixelFormat:
        """RCT and ICT are undone: RGB comes out, colour-by-pixel."""
        return decoded_form(pixels)

    def encoded_format(self, pixels: PixelFormat) -> PixelFormat:
        """RGB goes through RCT, or ICT where lossy; anything else stays what it is."""
        if self.part_2:
            raise UnsupportedError(f"{self.name} is not encoded here", feature=self.name)
        return encoded_form(
            pixels, family="J2K", lossy=self.quality is not None, most_bits=MAX_WRITTEN_PRECISION
        )

    def decode(self, data: Buffer, *, pixels: PixelFormat, reduce: int = 0) -> PixelArray:
        """Decode a frame; with ``reduce > 0``, a prefix that is complete for it will do.

        Most J2K in DICOM is in LRCP order of several layers and has no cut points: then all
        of it is needed.
        """
        if self.part_2:
            _require_one_frame(data, pixels)
        frame = open_frame(data, pixels=pixels, reduce=reduce)
        samples = frame.to_container(decode_with_openjpeg(frame))
        return halve(samples, pixels=self.decoded_format(pixels), reduce=frame.left_over)

    def encode(self, samples: PixelArray, *, pixels: PixelFormat) -> Encoded:
        """Encode a frame; precision is Bits Stored, sign is Pixel Representation.

        Raises
        ------
        UnsupportedError
            Also where a lossy frame cannot come as close as `quality` asks: the 9-7 wavelet
            ends near 60 dB for 8 bits.
        """
        self.encoded_format(pixels)
        samples = fit_samples(require_samples(samples, pixels=pixels), pixels=pixels)
        if self.quality is not None:
            return _encode_lossy(samples, pixels=pixels, quality=self.quality)
        data = encode_with_openjpeg(
            samples,
            precision=pixels.bits_stored,
            decompositions=decompositions_for(pixels),
            colour_transform=uses_colour_transform(pixels),
        )
        return Encoded(data, lossy=False, ratio=pixels.decoded_bytes / len(data))


def open_codec(uid: str, *, quality: Quality | None = None) -> Codec:
    """The codec of a J2K transfer syntax; .91 is written lossy, at `quality`."""
    if uid == J2K:
        return J2kCodec("j2k-lossy", quality=quality or DEFAULT_QUALITY)
    if quality is not None:
        raise UsageError(f"{uid} takes no quality")
    if uid == J2K_LOSSLESS:
        return J2kCodec("j2k")
    return J2kCodec("j2k-part-2", part_2=True)


def _require_one_frame(data: Buffer, pixels: PixelFormat) -> None:
    """Refuse a component collection: frames as components of one codestream (PS3.5 §A.4.4)."""
    components = len(scan(data, complete=False).components)
    if components > pixels.samples:
        raise UnsupportedError(
            f"a codestream of {components} components for frames of {pixels.samples}: "
            "several frames compressed as one",
            feature="multi-component J2K",
        )


def _encode_lossy(samples: PixelArray, *, pixels: PixelFormat, quality: Quality) -> Encoded:
    written = pixels.with_(high_bit=pixels.bits_stored - 1)

    def encode(step: float) -> bytes:
        return encode_with_openjpeg(
            samples,
            precision=pixels.bits_stored,
            decompositions=decompositions_for(pixels),
            colour_transform=uses_colour_transform(pixels),
            step=step,
        )

    def judge(data: bytes) -> float:
        frame = open_frame(data, pixels=written)
        return psnr_db(decode_with_openjpeg(frame), samples, pixels=pixels)

    trial = search_step(
        encode,
        judge,
        quality=quality,
        raw_bytes=pixels.decoded_bytes,
        first_step=_first_step(quality),
    )
    if quality.psnr_db is not None and trial.psnr_db < quality.psnr_db:
        raise UnsupportedError(
            f"the closest lossy J2K of this frame has {trial.psnr_db:.1f} dB, "
            f"{quality.psnr_db:g} dB were asked for: lossless J2K is exact",
            feature=f"lossy J2K of {quality.psnr_db:g} dB",
        )
    return Encoded(trial.data, lossy=True, ratio=trial.ratio, psnr_db=trial.psnr_db)


def _first_step(quality: Quality) -> float:
    """OpenJPEG's fixed quality comes within a decibel of what it is told."""
    return float(10 ** (-(quality.psnr_db or 50.0) / 20))
