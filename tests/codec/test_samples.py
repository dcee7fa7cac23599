"""Which sample values a frame holds, and whether they fit Bits Stored."""

from __future__ import annotations

import numpy as np
import pytest
from codec_images import IMAGES, make_samples, pixel_format
from hypothesis import given
from hypothesis import strategies as st
from mersey.codecs.errors import UnsupportedError, UsageError
from mersey.codecs.samples import fit_samples, require_samples, true_samples


@pytest.mark.parametrize("name", [name for name in IMAGES if "float" not in name])
def test_samples_that_fit_are_not_copied(name: str) -> None:
    samples = make_samples(IMAGES[name])
    assert fit_samples(samples, pixels=IMAGES[name]) is samples
    assert np.shares_memory(require_samples(samples, pixels=IMAGES[name]), samples)


@given(bits=st.integers(1, 16), value=st.integers(0, 0xFFFF))
def test_an_unsigned_sample_fits_its_bits_or_is_refused(bits: int, value: int) -> None:
    pixels = pixel_format(1, 1, bits, bits_allocated=16)
    samples = np.array([[value]], dtype=np.uint16)
    if value < 1 << bits:
        assert fit_samples(samples, pixels=pixels).item() == value
    else:
        with pytest.raises(UnsupportedError) as caught:
            fit_samples(samples, pixels=pixels)
        assert caught.value.feature == "samples outside Bits Stored"


@given(bits=st.integers(1, 16), value=st.integers(-0x8000, 0x7FFF))
def test_a_signed_sample_fits_or_is_extended_or_is_refused(bits: int, value: int) -> None:
    pixels = pixel_format(1, 1, bits, bits_allocated=16, signed=True)
    samples = np.array([[value]], dtype=np.int16)
    half = 1 << (bits - 1)
    if -half <= value < half:
        assert fit_samples(samples, pixels=pixels).item() == value
    elif half <= value < 2 * half:
        assert fit_samples(samples, pixels=pixels).item() == value - 2 * half
    else:
        with pytest.raises(UnsupportedError):
            fit_samples(samples, pixels=pixels)


def test_true_samples_leave_out_what_lies_above_high_bit() -> None:
    unsigned = np.array([0xF123, 0x0456], dtype=np.uint16)
    pixels = pixel_format(1, 2, 12)
    assert true_samples(unsigned, pixels=pixels).tolist() == [0x123, 0x456]
    signed = np.array([0x0FFF, 0x7001, -1], dtype=np.int16)
    assert true_samples(signed, pixels=pixels.with_(signed=True)).tolist() == [-1, 1, -1]
    whole = np.array([7], dtype=np.uint16)
    assert true_samples(whole, pixels=pixel_format(1, 1, 16)) is whole


def test_a_wrong_array_is_the_callers_fault() -> None:
    with pytest.raises(UsageError, match="expected"):
        require_samples(np.zeros((2, 3), np.uint8), pixels=pixel_format(3, 2, 8))
