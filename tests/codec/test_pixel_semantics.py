"""What samples mean before and after a change of transfer syntax, for every syntax we write.

Each is held to the same laws: Photometric Interpretation is told right, sample values come back
(PS3.5 §8.1.1: Bits Stored bits from High Bit down), and what lies in unused bits is kept or the
frame is refused, never dropped in silence.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from codec_images import make_samples, pixel_format
from hypothesis import given, settings
from hypothesis import strategies as st
from mersey.codecs.codec import Codec
from mersey.codecs.errors import UnsupportedError
from mersey.codecs.pixels import PixelArray, PixelFormat
from mersey.codecs.quality import Quality
from mersey.codecs.registry import TARGETS, Registry
from mersey.codecs.samples import true_samples
from mersey.engine.runtime.verification import verify_frame

_REGISTRY = Registry.default()
_LOSSY = frozenset({"htj2k-lossy", "j2k-lossy", "jpegls-near", "jpeg-baseline"})
_LOSSLESS = sorted(set(TARGETS) - _LOSSY)
_KEEP_CONTAINERS = ("explicit-le", "rle", "deflated-frame")
"""These write what lies in Pixel Data; the others write Bits Stored bits."""

_SOURCES = {
    "explicit-le": "1.2.840.10008.1.2.1",
    "rle": "1.2.840.10008.1.2.5",
    "jpeg-baseline": "1.2.840.10008.1.2.4.50",
    "jpegls": "1.2.840.10008.1.2.4.80",
    "j2k": "1.2.840.10008.1.2.4.90",
    "j2k-lossy": "1.2.840.10008.1.2.4.91",
    "htj2k": "1.2.840.10008.1.2.4.202",
}

_AFTER = {
    # What a source decodes to: the names that its samples have then.
    ("explicit-le", "MONOCHROME1"): "MONOCHROME1",
    ("explicit-le", "MONOCHROME2"): "MONOCHROME2",
    ("explicit-le", "PALETTE COLOR"): "PALETTE COLOR",
    ("explicit-le", "RGB"): "RGB",
    ("explicit-le", "YBR_FULL"): "YBR_FULL",
    ("explicit-le", "YBR_FULL_422"): "YBR_FULL",
    ("rle", "MONOCHROME1"): "MONOCHROME1",
    ("rle", "RGB"): "RGB",
    ("rle", "YBR_FULL"): "YBR_FULL",
    ("rle", "PALETTE COLOR"): "PALETTE COLOR",
    ("jpeg-baseline", "MONOCHROME1"): "MONOCHROME1",
    ("jpeg-baseline", "RGB"): "RGB",
    ("jpeg-baseline", "YBR_FULL"): "YBR_FULL",
    ("jpeg-baseline", "YBR_FULL_422"): "YBR_FULL",
    ("jpegls", "MONOCHROME2"): "MONOCHROME2",
    ("jpegls", "RGB"): "RGB",
    ("jpegls", "YBR_FULL"): "YBR_FULL",
    ("j2k", "MONOCHROME2"): "MONOCHROME2",
    ("j2k", "PALETTE COLOR"): "PALETTE COLOR",
    ("j2k", "YBR_RCT"): "RGB",
    ("j2k", "RGB"): "RGB",
    ("j2k", "YBR_FULL"): "YBR_FULL",
    ("j2k-lossy", "YBR_ICT"): "RGB",
    ("j2k-lossy", "YBR_FULL_422"): "YBR_FULL",
    ("htj2k", "YBR_RCT"): "RGB",
    ("htj2k", "MONOCHROME1"): "MONOCHROME1",
}

_RENAMED = {
    # What a target calls samples of that name; others keep theirs, None has no form.
    ("htj2k", "RGB"): "YBR_RCT",
    ("htj2k-rpcl", "RGB"): "YBR_RCT",
    ("j2k", "RGB"): "YBR_RCT",
    ("htj2k-lossy", "RGB"): "YBR_ICT",
    ("j2k-lossy", "RGB"): "YBR_ICT",
    ("jpeg-baseline", "RGB"): "YBR_FULL_422",
    ("jpeg-baseline", "YBR_FULL"): "YBR_FULL_422",
    ("jpegxl", "YBR_FULL"): None,
    ("jpegxl", "PALETTE COLOR"): None,
    ("htj2k-lossy", "PALETTE COLOR"): None,
    ("j2k-lossy", "PALETTE COLOR"): None,
    ("jpegls-near", "PALETTE COLOR"): None,
    ("jpeg-baseline", "PALETTE COLOR"): None,
}


def _colour(photometric: str) -> PixelFormat:
    if photometric in ("MONOCHROME1", "MONOCHROME2", "PALETTE COLOR"):
        return pixel_format(10, 12, 8, photometric=photometric)
    return pixel_format(10, 12, 8, samples=3, photometric=photometric)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(("source", "photometric"), _AFTER)
def test_the_photometric_interpretation_after_a_change_of_syntax(
    source: str, photometric: str, target: str
) -> None:
    decoded = _REGISTRY.decoder(_SOURCES[source]).decoded_format(_colour(photometric))
    assert decoded.photometric == _AFTER[source, photometric]
    assert decoded.planar == 0
    encoder = _REGISTRY.encoder(TARGETS[target])
    expected = _RENAMED.get((target, decoded.photometric), decoded.photometric)
    if expected is None:
        with pytest.raises(UnsupportedError) as caught:
            encoder.encoded_format(decoded)
        assert decoded.photometric in str(caught.value)
        return
    written = encoder.encoded_format(decoded)
    assert written.photometric == expected
    assert written.planar == 0
    # And what is read of it has the name that the samples had.
    again = _REGISTRY.decoder(TARGETS[target]).decoded_format(written)
    colour = {"jpeg-baseline": "YBR_FULL"} if decoded.samples == 3 else {}
    assert again.photometric == colour.get(target, decoded.photometric)


@pytest.mark.parametrize("target", _LOSSLESS)
@pytest.mark.parametrize("photometric", ["RGB", "YBR_FULL", "MONOCHROME1", "PALETTE COLOR"])
def test_colours_come_back_as_they_were(target: str, photometric: str) -> None:
    pixels = _colour(photometric)
    samples = make_samples(pixels)
    encoder = _REGISTRY.encoder(TARGETS[target])
    if _RENAMED.get((target, photometric), "") is None:
        return
    written = encoder.encoded_format(pixels)
    data = encoder.encode(samples, pixels=pixels).data
    decoded = _REGISTRY.decoder(TARGETS[target]).decode(data, pixels=written)
    np.testing.assert_array_equal(decoded, samples)


def _planar_source(samples: PixelArray) -> bytes:
    return np.ascontiguousarray(np.moveaxis(samples, -1, 0)).tobytes()


@pytest.mark.parametrize("target", _LOSSLESS)
def test_colour_by_plane_becomes_colour_by_pixel_and_says_so(target: str) -> None:
    pixels = _colour("RGB").with_(planar=1)
    samples = make_samples(pixels)
    source = _REGISTRY.decoder(_SOURCES["explicit-le"])
    decoded = source.decode(_planar_source(samples), pixels=pixels)
    form = source.decoded_format(pixels)
    encoder = _REGISTRY.encoder(TARGETS[target])
    written = encoder.encoded_format(form)
    assert written.planar == 0
    data = encoder.encode(decoded, pixels=form).data
    again = _REGISTRY.decoder(TARGETS[target]).decode(data, pixels=written)
    np.testing.assert_array_equal(again, samples)


def _encoders() -> Iterator[tuple[str, Codec]]:
    for target in _LOSSLESS:
        yield target, _REGISTRY.encoder(TARGETS[target])


def _encoded_or_refused(encoder: Codec, samples: PixelArray, pixels: PixelFormat) -> bytes | None:
    """None where the encoder says that unused bits hold something."""
    try:
        return encoder.encode(samples, pixels=pixels).data
    except UnsupportedError as error:
        if error.feature != "samples outside Bits Stored":
            raise
        return None


class TestUnusedBits:
    @given(
        bits=st.integers(2, 15),
        shift=st.integers(0, 14),
        signed=st.booleans(),
        seed=st.integers(0, 9),
    )
    @settings(max_examples=60, deadline=None)
    def test_sample_values_survive_wherever_high_bit_is(
        self, bits: int, shift: int, signed: bool, seed: int
    ) -> None:
        plain = pixel_format(9, 17, bits, bits_allocated=16, signed=signed)
        pixels = plain.with_(high_bit=min(bits - 1 + shift, 15))
        values = make_samples(plain, seed=seed)
        samples = values << (pixels.high_bit + 1 - bits)
        np.testing.assert_array_equal(true_samples(samples, pixels=pixels), values)
        for target, encoder in _encoders():
            if signed and target == "jpegxl":
                continue
            written = encoder.encoded_format(pixels)
            data = encoder.encode(samples, pixels=pixels).data
            decoded = _REGISTRY.decoder(TARGETS[target]).decode(data, pixels=written)
            found = true_samples(decoded, pixels=written)
            np.testing.assert_array_equal(found, values, err_msg=target)
            assert (written.bits_stored, written.signed) == (bits, signed)
            verify_frame(data, samples, encoder=encoder, pixels=pixels, verify="self")

    @pytest.mark.parametrize("signed", [False, True])
    @pytest.mark.parametrize("place", [0x8000, 0x1000])
    def test_garbage_is_kept_or_refused(self, place: int, signed: bool) -> None:
        pixels = pixel_format(20, 30, 12, signed=signed)
        samples = make_samples(pixels)
        samples[3, 4] = 5
        samples[3, 4] |= np.uint16(place).astype(pixels.dtype)
        for target, encoder in _encoders():
            if signed and target == "jpegxl":
                continue
            data = _encoded_or_refused(encoder, samples, pixels)
            if data is None:
                assert target not in _KEEP_CONTAINERS, target
                continue
            written = encoder.encoded_format(pixels)
            decoded = _REGISTRY.decoder(TARGETS[target]).decode(data, pixels=written)
            np.testing.assert_array_equal(decoded, samples, err_msg=target)
            verify_frame(data, samples, encoder=encoder, pixels=pixels, verify="self")

    def test_garbage_below_the_sample_is_kept_or_refused(self) -> None:
        pixels = pixel_format(20, 30, 12).with_(high_bit=15)
        samples = make_samples(pixel_format(20, 30, 12)) << 4
        samples[7, 7] |= 3
        for target, encoder in _encoders():
            data = _encoded_or_refused(encoder, samples, pixels)
            if data is None:
                assert target not in _KEEP_CONTAINERS, target
                continue
            written = encoder.encoded_format(pixels)
            decoded = _REGISTRY.decoder(TARGETS[target]).decode(data, pixels=written)
            np.testing.assert_array_equal(decoded, samples, err_msg=target)

    def test_negative_samples_without_their_upper_bits_keep_their_values(self) -> None:
        """Bits Stored 12, signed, the upper four bits 0: -1 lies there as 0x0FFF."""
        pixels = pixel_format(16, 16, 12, signed=True)
        values = make_samples(pixels)
        samples = values & np.int16(0x0FFF)
        for target, encoder in _encoders():
            if target == "jpegxl":
                continue
            data = encoder.encode(samples, pixels=pixels).data
            written = encoder.encoded_format(pixels)
            decoded = _REGISTRY.decoder(TARGETS[target]).decode(data, pixels=written)
            found = true_samples(decoded, pixels=written)
            np.testing.assert_array_equal(found, values, err_msg=target)
            verify_frame(data, samples, encoder=encoder, pixels=pixels, verify="self")

    def test_some_negative_samples_extended_and_some_not_is_garbage(self) -> None:
        """As in pydicom's mlut_18: 0x0BB8 beside -2048 may be 3000, whatever Bits Stored says."""
        pixels = pixel_format(16, 16, 12, signed=True)
        samples = make_samples(pixels)
        samples[2, 2] = 3000
        assert true_samples(samples, pixels=pixels)[2, 2] == 3000 - 4096
        for target, encoder in _encoders():
            if target in _KEEP_CONTAINERS:
                data = encoder.encode(samples, pixels=pixels).data
                decoded = _REGISTRY.decoder(TARGETS[target]).decode(data, pixels=pixels)
                np.testing.assert_array_equal(decoded, samples)
            elif target in ("htj2k", "htj2k-rpcl", "j2k", "jpegls"):
                with pytest.raises(UnsupportedError, match="outside Bits Stored"):
                    encoder.encode(samples, pixels=pixels)


@pytest.mark.parametrize("target", sorted(_LOSSY))
def test_lossy_values_lie_in_the_low_bits_and_stay_close(target: str) -> None:
    quality = Quality(psnr_db=40)
    encoder = _REGISTRY.encoder(TARGETS[target], quality=quality)
    plain = pixel_format(64, 64, 8, bits_allocated=16)
    pixels = plain.with_(high_bit=11)
    y, x = np.indices((64, 64))
    values = ((np.sin(y / 9) + np.cos(x / 7) + 2) * 60).astype(np.uint16)
    written = encoder.encoded_format(pixels)
    assert (written.bits_stored, written.high_bit) == (8, 7)
    data = encoder.encode(values << 4, pixels=pixels).data
    decoded = _REGISTRY.decoder(TARGETS[target]).decode(data, pixels=written)
    assert np.abs(decoded.astype(int) - values).max() < 16


@pytest.mark.parametrize("reduce", [1, 2])
def test_a_smaller_image_has_its_values_where_high_bit_says(reduce: int) -> None:
    plain = pixel_format(24, 40, 12)
    pixels = plain.with_(high_bit=15)
    values = make_samples(plain)
    for target in _KEEP_CONTAINERS:
        encoder = _REGISTRY.encoder(TARGETS[target])
        decoder = _REGISTRY.decoder(TARGETS[target])
        data = encoder.encode(values << 4, pixels=pixels).data
        small = decoder.decode(data, pixels=encoder.encoded_format(pixels), reduce=reduce)
        plain_data = encoder.encode(values, pixels=plain).data
        expected = decoder.decode(plain_data, pixels=plain, reduce=reduce)
        np.testing.assert_array_equal(true_samples(small, pixels=pixels), expected)
