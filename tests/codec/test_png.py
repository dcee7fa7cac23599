"""PNG files: another implementation reads back the pixels, and the text is there."""

from __future__ import annotations

import zlib

import imagecodecs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from mersey.codecs.errors import UsageError
from mersey.codecs.png import png_bytes


@settings(max_examples=40, deadline=None)
@given(
    arrays.arrays(
        st.sampled_from([np.uint8, np.uint16]),
        st.one_of(
            st.tuples(st.integers(1, 20), st.integers(1, 20)),
            st.tuples(st.integers(1, 20), st.integers(1, 20), st.just(3)),
        ),
    )
)
def test_another_decoder_reads_the_same_pixels(image: np.ndarray) -> None:
    decoded = imagecodecs.png_decode(png_bytes(image))
    assert decoded.dtype == image.dtype
    assert np.array_equal(decoded, image)


def test_text_lies_before_the_pixels_with_a_right_checksum() -> None:
    png = png_bytes(np.zeros((2, 2), np.uint8), text={"Comment": "REDUCED 3 times"})
    body = b"tEXtComment\0REDUCED 3 times"
    assert 0 < png.index(body) < png.index(b"IDAT")
    assert body + zlib.crc32(body).to_bytes(4, "big") in png


@pytest.mark.parametrize(
    "image",
    [np.zeros((2, 2), np.int16), np.zeros((2, 2, 2), np.uint8), np.zeros(4, np.uint8)],
)
def test_what_a_png_cannot_hold_is_refused(image: np.ndarray) -> None:
    with pytest.raises(UsageError, match="a PNG holds no image"):
        png_bytes(image)
