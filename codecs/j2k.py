"""J2K (PS3.5 §A.4.4, ISO/IEC 15444-1): decode, and decode a smaller image.

Does not encode: Mersey's own lossless form is HTJ2K.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version

from .codec import Codec, Encoded
from .errors import UnsupportedError, UsageError
from .j2k_frame import decoded_photometric, open_frame
from .openjpeg import decode_with_openjpeg
from .pixels import Buffer, PixelArray, PixelFormat
from .quality import Quality
from .reduction import halve
from .syntaxes import J2K_LOSSLESS

__all__ = ["J2kCodec", "open_codec"]


@dataclass(frozen=True, slots=True)
class J2kCodec:
    """JPEG 2000 Part 1, read by OpenJPEG."""

    name: str
    library: str = f"imagecodecs {version('imagecodecs')}"

    def decoded_format(self, pixels: PixelFormat) -> PixelFormat:
        """RCT and ICT are undone: RGB comes out, colour-by-pixel."""
        return pixels.with_(planar=0, photometric=decoded_photometric(pixels.photometric))

    def encoded_format(self, pixels: PixelFormat) -> PixelFormat:  # noqa: ARG002
        """Always refused: this codec only decodes."""
        raise UnsupportedError(f"{self.name} is not encoded here", feature=self.name)

    def decode(self, data: Buffer, *, pixels: PixelFormat, reduce: int = 0) -> PixelArray:
        """Decode a frame; with ``reduce > 0``, a prefix that is complete for it will do.

        Most J2K in DICOM is in LRCP order and has no cut points: then all of it is needed.
        """
        frame = open_frame(data, pixels=pixels, reduce=reduce)
        samples = frame.to_container(decode_with_openjpeg(frame))
        return halve(samples, pixels=pixels, reduce=frame.left_over)

    def encode(self, samples: PixelArray, *, pixels: PixelFormat) -> Encoded:  # noqa: ARG002
        """Always refused: this codec only decodes."""
        raise UnsupportedError(f"{self.name} is not encoded here", feature=self.name)


def open_codec(uid: str, *, quality: Quality | None = None) -> Codec:
    """The codec of a J2K transfer syntax."""
    if quality is not None:
        raise UsageError("J2K is only decoded here and takes no quality")
    return J2kCodec("j2k" if uid == J2K_LOSSLESS else "j2k-lossy")
