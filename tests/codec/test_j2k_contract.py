"""J2K keeps the codec contract; frames are read back by another build of OpenJPEG too."""

from __future__ import annotations

import imagecodecs
import numpy as np
from codec_contract import CodecContract
from codec_images import IMAGES, make_samples
from mersey.codecs.codestream import scan_codestream
from mersey.codecs.independent import decode_independently
from mersey.codecs.pixels import PixelArray, PixelFormat


class TestJ2k(CodecContract):
    uid = "1.2.840.10008.1.2.4.90"
    refused = frozenset({"1 bit", "64 bit", "float", "double", "32 bit", "signed 32 bit"})

    def reduced(
        self, data: bytes, samples: PixelArray, pixels: PixelFormat, reduce: int
    ) -> PixelArray:
        inside = min(reduce, scan_codestream(data).decompositions)
        smaller = np.asarray(imagecodecs.jpeg2k_decode(data, skipres=inside, planar=False))
        return super().reduced(data, smaller.astype(samples.dtype), pixels, reduce - inside)

    def test_another_build_reads_the_same_samples(self) -> None:
        for name, samples, pixels in self.images():
            if name in ("large", "65535 x 1"):
                continue
            data, stored = self.frame(samples, pixels)
            decoded = decode_independently(data, pixels=stored)
            np.testing.assert_array_equal(decoded, samples, err_msg=name)

    def test_written_frames_are_progressive_and_of_bits_stored(self) -> None:
        for name in ("12 in 16 bit", "8 in 16 bit", "20 in 32 bit", "RGB 8 bit", "signed 8 bit"):
            pixels = IMAGES[name]
            data, stored = self.frame(make_samples(pixels), pixels)
            layout = scan_codestream(data)
            assert layout.progression == "RPCL", name
            assert set(layout.precision) == {pixels.bits_stored}, name
            assert set(layout.signed) == {pixels.signed}, name
            assert layout.reversible, name
            assert layout.colour_transform == (pixels.photometric == "RGB"), name
            points = layout.cut_points
            assert points is not None, name
            assert len(points) == layout.decompositions + 1
            for reduce in range(1, len(points)):
                whole = self.codec.decode(data, pixels=stored, reduce=reduce)
                prefix = self.codec.decode(data[: points[reduce]], pixels=stored, reduce=reduce)
                np.testing.assert_array_equal(prefix, whole, err_msg=f"{name} at {reduce}")
