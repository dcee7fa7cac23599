"""Scaling pictures: areas, means, and what stays as it was."""

from __future__ import annotations

import numpy as np
import pytest
from mersey.codecs.resizing import resize


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 3)])
def test_a_picture_of_that_size_is_returned_as_it_is(shape) -> None:
    picture = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    assert resize(picture, rows=5, columns=7) is picture


@pytest.mark.parametrize("size", [(1, 1), (3, 200), (64, 48), (97, 31), (200, 3)])
def test_a_flat_picture_stays_flat_at_any_size(size) -> None:
    picture = np.full((50, 60, 3), 117, np.uint8)
    scaled = resize(picture, rows=size[0], columns=size[1])
    assert scaled.shape == (*size, 3)
    assert scaled.dtype == np.uint8
    assert (scaled == 117).all()


def test_the_mean_stays_when_a_picture_shrinks() -> None:
    picture = np.random.default_rng(2).integers(0, 256, (120, 90), dtype=np.uint8)
    scaled = resize(picture, rows=12, columns=9)
    assert abs(scaled.mean() - picture.mean()) < 2


def test_a_ramp_stays_a_ramp_when_it_grows() -> None:
    ramp = np.tile(np.arange(0, 200, 4, dtype=np.uint8), (3, 1))
    scaled = resize(ramp, rows=3, columns=200).astype(int)
    assert (np.diff(scaled, axis=1) >= 0).all()
    # Pixel i covers i/4 to (i+1)/4 of the old ones.
    expected = 4 * ((np.arange(200) + 0.5) / 4 - 0.5)
    assert np.abs(scaled[0, 2:-2] - expected[2:-2]).max() <= 0.5


def test_scaling_a_mirror_image_gives_the_mirror_image() -> None:
    picture = np.random.default_rng(3).integers(0, 256, (40, 30), dtype=np.uint8)
    one = resize(picture[:, ::-1], rows=17, columns=11).astype(int)
    other = resize(picture, rows=17, columns=11)[:, ::-1].astype(int)
    assert np.abs(one - other).max() <= 1
