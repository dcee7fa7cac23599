"""Frames whose packets were put in order: verified, decoded, refused."""

from __future__ import annotations

from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from mersey.codecs.codestream import scan_codestream
from mersey.codecs.errors import CodestreamError, IntegrityError
from mersey.codecs.pixels import PixelFormat
from mersey.codecs.registry import Registry
from mersey.codecs.surgery import to_progressive
from mersey.codecs.syntaxes import (
    HTJ2K_LOSSLESS,
    J2K_LOSSLESS,
)
from mersey.engine.runtime.rearranging import NotRearrangedError, verify_rearranged

from .progressive_frames import frames_of, ht, j2k, real_files


@pytest.mark.parametrize("verify", ["self", "independent"])
def test_other_samples_are_found_out(images: list[np.ndarray], verify: str) -> None:
    pixels = PixelFormat(128, 128, bits_stored=12, high_bit=11)
    one, other = j2k(images[0]), j2k(images[1])
    verify_rearranged(to_progressive(one), one, uid=J2K_LOSSLESS, pixels=pixels, verify=verify)
    with pytest.raises(IntegrityError, match="other samples"):
        verify_rearranged(
            to_progressive(other), one, uid=J2K_LOSSLESS, pixels=pixels, verify=verify
        )
    with pytest.raises(IntegrityError, match="does not decode"):
        verify_rearranged(one[:200], one, uid=J2K_LOSSLESS, pixels=pixels, verify=verify)


def test_a_stored_frame_that_does_not_decode_is_no_fault_of_ours(images: list[np.ndarray]) -> None:
    data = j2k(images[0])
    wrong = PixelFormat(64, 64, bits_stored=12, high_bit=11)
    with pytest.raises(CodestreamError, match="the data set says 64"):
        verify_rearranged(data, data, uid=J2K_LOSSLESS, pixels=wrong, verify="self")


def test_not_rearranged_is_an_error_that_crosses_processes() -> None:
    import pickle

    error = NotRearrangedError("it has a feature", feature="a feature").at(frame=3)
    again = pickle.loads(pickle.dumps(error))
    assert isinstance(again, NotRearrangedError)
    assert (again.feature, again.frame, again.message) == ("a feature", 3, "it has a feature")


def test_reductions_of_real_frames_are_those_of_the_originals(shared_data: Path) -> None:
    from mersey.codecs.surgery import reduce_codestream

    compared = 0
    for name, _ in real_files(shared_data):
        stored = frames_of(shared_data / name)[0]
        bare = stored[scan_codestream(stored).jp2_offset :]
        made = to_progressive(bare)
        for reduce in range(1, scan_codestream(bare).decompositions + 1):
            small = reduce_codestream(made, reduce=reduce)
            expected = imagecodecs.jpeg2k_decode(bare, skipres=reduce)
            assert np.array_equal(imagecodecs.jpeg2k_decode(small), expected), (name, reduce)
            compared += 1
    assert compared >= 100


def test_registry_codecs_decode_what_was_rearranged(images: list[np.ndarray]) -> None:
    pixels = PixelFormat(128, 128, bits_stored=12, high_bit=11)
    for uid, encode in ((J2K_LOSSLESS, j2k), (HTJ2K_LOSSLESS, ht)):
        decoder = Registry.default().decoder(uid)
        made = to_progressive(encode(images[0]))
        layout = scan_codestream(made)
        assert layout.cut_points is not None
        for reduce, end in enumerate(layout.cut_points):
            whole = decoder.decode(made, pixels=pixels, reduce=reduce)
            prefix = decoder.decode(made[:end], pixels=pixels, reduce=reduce)
            assert np.array_equal(prefix, whole)
