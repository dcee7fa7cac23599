"""J2K keeps the codec contract, on frames that OpenJPEG wrote."""

from __future__ import annotations

import imagecodecs
import numpy as np
import pytest
from codec_contract import CodecContract
from mersey.codecs.errors import UnsupportedError
from mersey.codecs.pixels import PixelArray, PixelFormat
from mersey.codecs.registry import Registry


class TestJ2k(CodecContract):
    uid = "1.2.840.10008.1.2.4.90"
    encodes = False
    refused = frozenset(
        {"1 bit", "64 bit", "float", "double", "32 bit", "signed 32 bit", "8 in 16 bit"}
    )

    def frame(self, samples: PixelArray, pixels: PixelFormat) -> tuple[bytes, PixelFormat]:
        data = imagecodecs.jpeg2k_encode(
            np.ascontiguousarray(samples),
            codecformat="j2k",
            reversible=True,
            bitspersample=pixels.bits_stored,
            planar=False,
            mct=pixels.photometric == "RGB",
        )
        photometric = "YBR_RCT" if pixels.photometric == "RGB" else pixels.photometric
        return bytes(data), pixels.with_(photometric=photometric)

    def reduced(
        self, data: bytes, samples: PixelArray, pixels: PixelFormat, reduce: int
    ) -> PixelArray:
        from mersey.codecs.codestream import scan_codestream

        inside = min(reduce, scan_codestream(data).decompositions)
        smaller = np.asarray(imagecodecs.jpeg2k_decode(data, skipres=inside, planar=False))
        return super().reduced(data, smaller.astype(samples.dtype), pixels, reduce - inside)

    def test_it_is_not_encoded(self) -> None:
        with pytest.raises(UnsupportedError) as caught:
            Registry.default().encoder(self.uid)
        assert caught.value.feature == self.uid
