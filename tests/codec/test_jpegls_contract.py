"""The two JPEG-LS transfer syntaxes keep the codec contract."""

from __future__ import annotations

from codec_contract import CodecContract
from mersey.codecs.pixels import PixelArray, PixelFormat
from mersey.codecs.registry import Registry

_FORMLESS = frozenset(
    {
        "1 bit",
        "32 bit",
        "signed 32 bit",
        "20 in 32 bit",
        "64 bit",
        "float",
        "double",
        "two samples",
    }
)
_LOSSLESS = "1.2.840.10008.1.2.4.80"


class TestJpegLsLossless(CodecContract):
    uid = _LOSSLESS
    refused = _FORMLESS


class TestJpegLsNearLossless(CodecContract):
    """Decodes lossless codestreams too; that it encodes lossily is for other tests."""

    uid = "1.2.840.10008.1.2.4.81"
    refused = _FORMLESS
    encodes = False

    def frame(self, samples: PixelArray, pixels: PixelFormat) -> tuple[bytes, PixelFormat]:
        encoder = Registry.default().encoder(_LOSSLESS)
        return encoder.encode(samples, pixels=pixels).data, encoder.encoded_format(pixels)
