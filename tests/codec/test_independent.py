"""The second opinion agrees with the first, and says where it has none."""

from __future__ import annotations

import numpy as np
import pytest
from codec_images import IMAGES, make_samples, pixel_format
from mersey.codecs.errors import CodestreamError, FormatError, UnsupportedError
from mersey.codecs.htj2k import Htj2kCodec
from mersey.codecs.independent import decode_independently

_RPCL = Htj2kCodec("htj2k-rpcl")
_FORMLESS = {"1 bit", "64 bit", "float", "double"}


@pytest.mark.parametrize("name", [name for name in IMAGES if name not in _FORMLESS])
def test_it_sees_the_samples_that_were_encoded(name: str) -> None:
    pixels = IMAGES[name]
    samples = make_samples(pixels)
    data = _RPCL.encode(samples, pixels=pixels).data
    stored = _RPCL.encoded_format(pixels)
    if pixels.bits_stored > 26:
        with pytest.raises(UnsupportedError, match="no independent decoder"):
            decode_independently(data, pixels=stored)
        return
    decoded = decode_independently(data, pixels=stored)
    assert decoded.dtype == pixels.dtype
    np.testing.assert_array_equal(decoded, samples)


def test_it_sees_a_wrong_sample() -> None:
    pixels = pixel_format(32, 32, 12)
    samples = make_samples(pixels)
    data = _RPCL.encode(samples, pixels=pixels).data
    samples[7, 9] ^= 1
    assert not np.array_equal(decode_independently(data, pixels=pixels), samples)


@pytest.mark.parametrize("length", [0, 10, 200, -3])
def test_it_takes_no_truncated_frame(length: int) -> None:
    pixels = pixel_format(32, 32, 12)
    data = _RPCL.encode(make_samples(pixels), pixels=pixels).data
    with pytest.raises(FormatError):
        decode_independently(data[:length], pixels=pixels)


def test_it_takes_no_frame_of_another_size() -> None:
    pixels = pixel_format(32, 32, 12)
    data = _RPCL.encode(make_samples(pixels), pixels=pixels).data
    with pytest.raises(CodestreamError, match="32 rows"):
        decode_independently(data, pixels=pixels.with_(rows=33))
