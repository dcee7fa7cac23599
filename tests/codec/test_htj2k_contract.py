"""The three HTJ2K transfer syntaxes keep the codec contract; OpenJPEG is the second opinion."""

from __future__ import annotations

import imagecodecs
import numpy as np
from codec_contract import CodecContract
from mersey.codecs.codestream import scan_codestream
from mersey.codecs.pixels import PixelArray, PixelFormat

_FORMLESS = frozenset({"1 bit", "64 bit", "float", "double"})


class TestHtj2kLosslessRpcl(CodecContract):
    uid = "1.2.840.10008.1.2.4.202"
    refused = _FORMLESS

    def reduced(
        self, data: bytes, samples: PixelArray, pixels: PixelFormat, reduce: int
    ) -> PixelArray:
        """OpenJPEG's image of the least resolution, and halving by area beyond it."""
        if pixels.bits_stored > 28:
            return super().reduced(data, samples, pixels, reduce)
        inside = min(reduce, scan_codestream(data).decompositions)
        smaller = np.asarray(imagecodecs.jpeg2k_decode(data, skipres=inside, planar=False))
        smaller = smaller.astype(samples.dtype)
        return super().reduced(data, smaller, pixels, reduce - inside)


class TestHtj2kLossless(TestHtj2kLosslessRpcl):
    uid = "1.2.840.10008.1.2.4.201"
