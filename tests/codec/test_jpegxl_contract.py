"""The three JPEG XL transfer syntaxes keep the codec contract."""

from __future__ import annotations

from codec_contract import CodecContract
from codec_images import IMAGES
from mersey.codecs.pixels import PixelArray, PixelFormat
from mersey.codecs.registry import Registry

_LOSSLESS = "1.2.840.10008.1.2.4.110"
_FORMLESS = frozenset(
    name
    for name, pixels in IMAGES.items()
    if pixels.signed
    or pixels.floating
    or pixels.bits_allocated not in (8, 16)
    or pixels.samples not in (1, 3)
    or pixels.photometric not in ("MONOCHROME1", "MONOCHROME2", "RGB")
)


class TestJpegXlLossless(CodecContract):
    uid = _LOSSLESS
    refused = _FORMLESS


class TestJpegXl(CodecContract):
    """Decodes lossless codestreams too."""

    uid = "1.2.840.10008.1.2.4.112"
    refused = _FORMLESS
    encodes = False

    def frame(self, samples: PixelArray, pixels: PixelFormat) -> tuple[bytes, PixelFormat]:
        encoder = Registry.default().encoder(_LOSSLESS)
        return encoder.encode(samples, pixels=pixels).data, encoder.encoded_format(pixels)
