"""Lossless JPEG keeps the codec contract: as libjpeg-turbo writes it, and as the standard does."""

from __future__ import annotations

import numpy as np
import pytest
from codec_contract import CodecContract
from jpeg_streams import lossless_jpeg
from mersey.codecs.errors import UnsupportedError
from mersey.codecs.pixels import PixelArray, PixelFormat
from mersey.codecs.registry import Registry

_NO_FORM = frozenset(
    {"1 bit", "32 bit", "signed 32 bit", "20 in 32 bit", "64 bit", "float", "double"}
)


class TestJpegLosslessFirstOrder(CodecContract):
    uid = "1.2.840.10008.1.2.4.70"
    refused = _NO_FORM


class TestJpegLossless(CodecContract):
    """Each image with another predictor; signed samples in as many bits as they have."""

    uid = "1.2.840.10008.1.2.4.57"
    encodes = False
    refused = _NO_FORM

    def frame(self, samples: PixelArray, pixels: PixelFormat) -> tuple[bytes, PixelFormat]:
        bits = pixels.bits_stored
        unsigned = samples.astype(np.int64) & ((1 << bits) - 1)
        predictor = 1 + (pixels.rows + pixels.columns) % 7
        return lossless_jpeg(unsigned, precision=bits, predictor=predictor), pixels

    def test_it_is_not_encoded(self) -> None:
        with pytest.raises(UnsupportedError) as caught:
            Registry.default().encoder(self.uid)
        assert caught.value.feature == self.uid
