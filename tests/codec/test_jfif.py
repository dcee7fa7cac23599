"""JPEG files for a screen."""

from __future__ import annotations

import imagecodecs
import numpy as np
import pytest
from mersey.codecs.errors import UnsupportedError, UsageError
from mersey.codecs.jfif import jpeg_bytes


@pytest.mark.parametrize("shape", [(40, 33), (40, 33, 3)])
def test_a_jpeg_shows_what_it_was_made_of(shape) -> None:
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    picture = (rows * 3 + columns * 2).astype(np.uint8)
    if len(shape) == 3:
        picture = np.stack([picture, picture // 2, 255 - picture // 2], axis=2)
    data = jpeg_bytes(picture, quality=95)
    assert data[:4] == b"\xff\xd8\xff\xe0"
    assert data[6:11] == b"JFIF\0"
    shown = imagecodecs.jpeg8_decode(data)
    assert shown.shape == shape
    assert np.abs(shown.astype(int) - picture).mean() < 4


def test_the_same_picture_gives_the_same_bytes() -> None:
    picture = np.random.default_rng(1).integers(0, 256, (16, 16), dtype=np.uint8)
    assert jpeg_bytes(picture, quality=80) == jpeg_bytes(picture, quality=80)


def test_what_is_no_picture_is_refused() -> None:
    with pytest.raises(UsageError):
        jpeg_bytes(np.zeros((4, 4), np.uint16), quality=90)
    with pytest.raises(UsageError):
        jpeg_bytes(np.zeros((4, 4, 2), np.uint8), quality=90)
    with pytest.raises(UsageError):
        jpeg_bytes(np.zeros((4, 4), np.uint8), quality=101)
    with pytest.raises(UnsupportedError):
        jpeg_bytes(np.zeros((1, 65501), np.uint8), quality=90)
