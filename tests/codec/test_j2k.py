"""What J2K writes: lossy aims, threads, the precisions it refuses; and Part 2 as far as it goes."""

from __future__ import annotations

import struct
from concurrent.futures import ThreadPoolExecutor

import imagecodecs
import numpy as np
import pytest
from codec_images import IMAGES, make_samples, pixel_format
from mersey.codecs.codestream import scan_codestream
from mersey.codecs.errors import CodestreamError, UnsupportedError, UsageError
from mersey.codecs.independent import decode_independently
from mersey.codecs.j2k import J2kCodec, open_codec
from mersey.codecs.quality import Quality, psnr_db
from mersey.codecs.registry import Registry, resolve_target
from mersey.codecs.syntaxes import J2K, J2K_LOSSLESS, J2K_PART_2, J2K_PART_2_LOSSLESS

_LOSSLESS = J2kCodec("j2k")


class TestLossy:
    @pytest.mark.parametrize("name", ["12 in 16 bit", "signed 12 in 16 bit", "RGB 8 bit"])
    def test_a_fidelity_is_kept_and_not_far_exceeded(self, name: str) -> None:
        pixels = IMAGES[name]
        samples = make_samples(pixels)
        codec = open_codec(J2K, quality=Quality(psnr_db=45))
        encoded = codec.encode(samples, pixels=pixels)
        assert encoded.lossy
        layout = scan_codestream(encoded.data)
        assert not layout.reversible
        assert set(layout.precision) == {pixels.bits_stored}
        stored = codec.encoded_format(pixels)
        decoded = codec.decode(encoded.data, pixels=stored)
        found = psnr_db(decoded, samples, pixels=pixels)
        assert encoded.psnr_db == pytest.approx(found)
        assert 45 <= found < 47
        np.testing.assert_array_equal(decode_independently(encoded.data, pixels=stored), decoded)

    @pytest.mark.parametrize("ratio", [8.0, 20.0])
    def test_a_ratio_is_kept_and_not_far_exceeded(self, ratio: float) -> None:
        pixels = pixel_format(256, 256, 12)
        samples = make_samples(pixels)
        codec = open_codec(J2K, quality=Quality(ratio=ratio))
        encoded = codec.encode(samples, pixels=pixels)
        assert encoded.ratio == pixels.decoded_bytes / len(encoded.data)
        assert ratio <= encoded.ratio < 1.1 * ratio
        assert codec.encode(samples, pixels=pixels) == encoded

    def test_colour_goes_through_ict(self) -> None:
        pixels = IMAGES["RGB 8 bit"]
        codec = Registry.default().encoder(J2K, quality=Quality(psnr_db=40))
        assert codec.encoded_format(pixels).photometric == "YBR_ICT"
        data = codec.encode(make_samples(pixels), pixels=pixels).data
        assert scan_codestream(data).colour_transform
        plain = pixels.with_(photometric="YBR_FULL")
        assert codec.encoded_format(plain).photometric == "YBR_FULL"
        data = codec.encode(make_samples(pixels), pixels=plain).data
        assert not scan_codestream(data).colour_transform

    def test_a_fidelity_that_the_wavelet_cannot_give_is_refused(self) -> None:
        pixels = IMAGES["8 bit"]
        codec = open_codec(J2K, quality=Quality(psnr_db=99))
        with pytest.raises(UnsupportedError, match="99 dB were asked for"):
            codec.encode(make_samples(pixels), pixels=pixels)

    def test_overshoot_is_clamped(self) -> None:
        pixels = pixel_format(128, 128, 8)
        rng = np.random.default_rng(0)
        samples = np.where(rng.integers(0, 2, (128, 128)), 255, 0).astype(np.uint8)
        codec = open_codec(J2K, quality=Quality(psnr_db=30))
        decoded = codec.decode(codec.encode(samples, pixels=pixels).data, pixels=pixels)
        assert np.abs(decoded.astype(int) - samples).max() < 120

    @pytest.mark.parametrize("name", ["palette", "20 in 32 bit", "float"])
    def test_what_has_no_lossy_form_is_refused(self, name: str) -> None:
        with pytest.raises(UnsupportedError):
            open_codec(J2K).encoded_format(IMAGES[name])


class TestWritten:
    @pytest.mark.parametrize("bits", [1, 7, 8, 9, 16, 17, 21])
    @pytest.mark.parametrize("signed", [False, True])
    def test_noise_of_every_precision_comes_back(self, bits: int, signed: bool) -> None:
        if signed and bits == 1:
            pytest.skip("a signed bit")
        allocated = 8 if bits <= 8 else 16 if bits <= 16 else 32
        pixels = pixel_format(65, 70, bits, signed=signed, bits_allocated=allocated)
        low = -(1 << bits - 1) if signed else 0
        rng = np.random.default_rng(bits)
        samples = rng.integers(low, low + (1 << bits), pixels.shape).astype(pixels.dtype)
        data = _LOSSLESS.encode(samples, pixels=pixels).data
        assert scan_codestream(data).precision == (bits,)
        for decoded in (
            _LOSSLESS.decode(data, pixels=pixels),
            decode_independently(data, pixels=pixels),
        ):
            np.testing.assert_array_equal(decoded, samples)

    @pytest.mark.parametrize("most", [0, 1])
    def test_colour_noise_of_the_highest_precision_comes_back(self, most: int) -> None:
        pixels = pixel_format(65, 70, 21, samples=3, photometric="RGB", bits_allocated=32)
        rng = np.random.default_rng(most)
        samples = rng.integers(0, 1 << 21, pixels.shape, np.uint32)
        if most:
            samples = np.where(samples & 1, (1 << 21) - 1, 0).astype(np.uint32)
        stored = _LOSSLESS.encoded_format(pixels)
        data = _LOSSLESS.encode(samples, pixels=pixels).data
        np.testing.assert_array_equal(_LOSSLESS.decode(data, pixels=stored), samples)
        np.testing.assert_array_equal(decode_independently(data, pixels=stored), samples)

    def test_more_bits_than_openjpeg_writes_are_refused(self) -> None:
        """Trap 10: its encoder wraps, far below the 26 bits that its decoder keeps."""
        pixels = pixel_format(65, 70, 25)
        samples = np.random.default_rng(0).integers(0, 1 << 25, pixels.shape, np.uint32)
        naive = imagecodecs.jpeg2k_encode(
            samples, codecformat="j2k", reversible=True, bitspersample=25
        )
        assert not np.array_equal(imagecodecs.jpeg2k_decode(naive), samples)
        for bits in (22, 25):
            with pytest.raises(UnsupportedError) as caught:
                _LOSSLESS.encode(samples & 1, pixels=pixel_format(65, 70, bits))
            assert caught.value.feature == f"{bits} bits stored"

    def test_colour_is_by_pixel_whatever_the_shape_looks_like(self) -> None:
        """Trap 9: a few rows of many columns are not taken for planes."""
        for shape in ((3, 64), (4, 4), (2, 300), (64, 3)):
            pixels = pixel_format(*shape, 8, samples=3, photometric="RGB")
            samples = make_samples(pixels)
            data = _LOSSLESS.encode(samples, pixels=pixels).data
            layout = scan_codestream(data)
            assert (layout.height, layout.width, layout.components) == (*shape, 3)
            decoded = _LOSSLESS.decode(data, pixels=_LOSSLESS.encoded_format(pixels))
            np.testing.assert_array_equal(decoded, samples)

    def test_threads_encode_what_one_thread_encodes(self) -> None:
        """Trap 8: pylibjpeg-openjpeg's encoder dies of this; ours is imagecodecs' OpenJPEG."""
        names = ["12 in 16 bit", "RGB 8 bit", "signed 12 in 16 bit", "odd"]
        frames = [
            (make_samples(IMAGES[name], seed=i), IMAGES[name]) for i, name in enumerate(names)
        ]
        lossy = open_codec(J2K, quality=Quality(psnr_db=40))

        def encode(turn: int) -> tuple[bytes, bytes]:
            samples, pixels = frames[turn % len(frames)]
            return (
                _LOSSLESS.encode(samples, pixels=pixels).data,
                lossy.encode(samples, pixels=pixels).data if turn % 8 == 0 else b"",
            )

        expected = [encode(turn) for turn in range(8)]
        with ThreadPoolExecutor(8) as pool:
            for turn, found in enumerate(pool.map(encode, range(64))):
                assert found == expected[turn % 8]

    def test_frames_wider_than_a_precinct_stay_as_openjpeg_orders_them(self) -> None:
        for samples, progression in ((1, "RPCL"), (3, "LRCP")):
            photometric = "MONOCHROME2" if samples == 1 else "RGB"
            pixels = pixel_format(2, 40_000, 8, samples=samples, photometric=photometric)
            image = make_samples(pixels)
            data = _LOSSLESS.encode(image, pixels=pixels).data
            assert scan_codestream(data).progression == progression
            stored = _LOSSLESS.encoded_format(pixels)
            np.testing.assert_array_equal(_LOSSLESS.decode(data, pixels=stored), image)
            np.testing.assert_array_equal(decode_independently(data, pixels=stored), image)


class TestHighBitElsewhere:
    @pytest.mark.parametrize("signed", [False, True])
    @pytest.mark.parametrize("high_bit", [11, 12, 15])
    def test_the_values_move_to_the_low_bits_and_the_attributes_say_so(
        self, high_bit: int, signed: bool
    ) -> None:
        plain = pixel_format(40, 50, 12, signed=signed)
        values = make_samples(plain)
        pixels = plain.with_(high_bit=high_bit)
        stored = _LOSSLESS.encoded_format(pixels)
        assert (stored.high_bit, stored.bits_stored, stored.bits_allocated) == (11, 12, 16)
        data = _LOSSLESS.encode(values << (high_bit - 11), pixels=pixels).data
        np.testing.assert_array_equal(_LOSSLESS.decode(data, pixels=stored), values)

    def test_bits_below_the_sample_are_not_dropped(self) -> None:
        pixels = pixel_format(4, 4, 12, signed=False).with_(high_bit=15)
        samples = np.full((4, 4), 0x1230, np.uint16)
        samples[1, 1] |= 4
        with pytest.raises(UnsupportedError, match="lowest 4 bits") as caught:
            _LOSSLESS.encode(samples, pixels=pixels)
        assert caught.value.feature == "samples outside Bits Stored"


class TestPart2:
    @pytest.mark.parametrize("uid", [J2K_PART_2_LOSSLESS, J2K_PART_2])
    def test_part_1_frames_are_read_and_none_are_written(self, uid: str) -> None:
        pixels = IMAGES["RGB 8 bit"]
        samples = make_samples(pixels)
        data = _LOSSLESS.encode(samples, pixels=pixels).data
        codec = Registry.default().decoder(uid)
        stored = _LOSSLESS.encoded_format(pixels)
        np.testing.assert_array_equal(codec.decode(data, pixels=stored), samples)
        with pytest.raises(UnsupportedError):
            codec.encoded_format(pixels)
        with pytest.raises(UnsupportedError):
            Registry.default().encoder(uid)

    def test_several_frames_in_one_codestream_are_refused_by_name(self) -> None:
        pixels = pixel_format(20, 30, 8, samples=3)
        data = _LOSSLESS.encode(make_samples(pixels), pixels=pixels).data
        grey = pixels.with_(samples=1)
        with pytest.raises(UnsupportedError) as caught:
            open_codec(J2K_PART_2).decode(data, pixels=grey)
        assert caught.value.feature == "multi-component J2K"
        with pytest.raises(CodestreamError):
            open_codec(J2K_LOSSLESS).decode(data, pixels=grey)

    def test_a_transform_of_part_2_is_refused(self) -> None:
        pixels = IMAGES["RGB 8 bit"]
        data = bytearray(_LOSSLESS.encode(make_samples(pixels), pixels=pixels).data)
        cod = data.index(b"\xff\x52")
        assert struct.unpack_from(">BBHB", data, cod + 4) == (0, 2, 1, 1)
        data[cod + 8] = 2  # array-based component transform, ISO/IEC 15444-2 Table A.10
        with pytest.raises(UnsupportedError) as caught:
            open_codec(J2K_PART_2).decode(data, pixels=_LOSSLESS.encoded_format(pixels))
        assert caught.value.feature == "multi-component transforms"


def test_names_and_qualities() -> None:
    assert resolve_target("j2k") == J2K_LOSSLESS
    assert resolve_target("j2k-lossy") == J2K
    with pytest.raises(UsageError, match="takes no quality"):
        open_codec(J2K_LOSSLESS, quality=Quality(ratio=8))
    lossless = pixel_format(8, 8, 8)
    assert not open_codec(J2K_LOSSLESS).encode(make_samples(lossless), pixels=lossless).lossy
