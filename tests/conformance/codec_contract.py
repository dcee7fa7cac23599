"""What every codec promises: subclass `CodecContract`, say which transfer syntax, inherit.

A subclass names what its transfer syntax has no form for (`refused`), how frames are made
where the codec only decodes, and what a smaller image must look like.
"""

from __future__ import annotations

import pickle
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import ClassVar

import numpy as np
import pytest
from codec_images import IMAGES, make_samples, pixel_format
from hypothesis import given, settings
from hypothesis import strategies as st
from mersey.codecs.codec import Codec
from mersey.codecs.errors import FormatError, MerseyError, UnsupportedError, UsageError
from mersey.codecs.kernels import reference
from mersey.codecs.pixels import PixelArray, PixelFormat
from mersey.codecs.registry import Registry

__all__ = ["CodecContract"]


_STAND_INS = {
    "YBR_FULL": "RGB of 3 rows",
    "signed 12 in 16 bit": "12 in 16 bit",
    "signed 16 bit": "16 bit",
}


class CodecContract:
    """The promises of one lossless transfer syntax."""

    uid: ClassVar[str]
    encodes: ClassVar[bool] = True
    """False: `frame` is overridden, and what only an encoder can break is left out."""
    refused: ClassVar[frozenset[str]] = frozenset()
    """Images of `IMAGES` that the transfer syntax has no form for."""
    releases_gil: ClassVar[bool] = True
    notices_truncation: ClassVar[bool] = True

    @property
    def codec(self) -> Codec:
        return Registry.default().decoder(self.uid)

    def frame(self, samples: PixelArray, pixels: PixelFormat) -> tuple[bytes, PixelFormat]:
        """One encoded frame and the attributes that go with it."""
        encoder = Registry.default().encoder(self.uid)
        return encoder.encode(samples, pixels=pixels).data, encoder.encoded_format(pixels)

    def reduced(
        self,
        data: bytes,
        samples: PixelArray,
        pixels: PixelFormat,
        reduce: int,
    ) -> PixelArray:
        """What another implementation makes of the frame at `reduce`: here, means of 2 x 2."""
        if pixels.photometric == "PALETTE COLOR":
            return samples[:: 1 << reduce, :: 1 << reduce]
        for _ in range(reduce):
            samples = reference.halve(samples)
        return samples

    def images(self) -> Iterator[tuple[str, PixelArray, PixelFormat]]:
        """Every image that the transfer syntax has a form for."""
        for name, pixels in IMAGES.items():
            if name not in self.refused:
                yield name, make_samples(pixels), pixels

    def _image(self, name: str) -> tuple[PixelArray, PixelFormat]:
        """The image `name`, or one like it where the transfer syntax has no form for that."""
        pixels = IMAGES[_STAND_INS[name] if name in self.refused else name]
        return make_samples(pixels), pixels

    def test_every_image_comes_back_exactly(self) -> None:
        for name, samples, pixels in self.images():
            data, stored = self.frame(samples, pixels)
            decoded = self.codec.decode(data, pixels=stored)
            np.testing.assert_array_equal(decoded, samples, err_msg=name)
            form = self.codec.decoded_format(stored)
            assert (decoded.shape, decoded.dtype) == (form.shape, form.dtype), name
            assert decoded.flags.c_contiguous, name
            assert decoded.flags.writeable, name
            assert decoded.dtype.isnative, name
            assert form.photometric == pixels.photometric, name

    def test_an_image_without_a_form_is_refused_by_name(self) -> None:
        if not self.encodes:
            pytest.skip("only decodes")
        encoder = Registry.default().encoder(self.uid)
        for name in self.refused:
            pixels = IMAGES[name]
            with pytest.raises(UnsupportedError) as caught:
                encoder.encoded_format(pixels)
            assert caught.value.feature, name
            with pytest.raises(UnsupportedError):
                encoder.encode(make_samples(pixels), pixels=pixels)

    def test_any_small_image_comes_back_exactly(self) -> None:
        @given(
            rows=st.integers(1, 40),
            columns=st.integers(1, 40),
            bits=st.integers(2, 16),
            signed=st.sampled_from([False] if "signed 16 bit" in self.refused else [False, True]),
            only_extremes=st.booleans(),
            seed=st.integers(0, 1 << 32),
        )
        @settings(max_examples=60, deadline=None)
        def comes_back(
            rows: int, columns: int, bits: int, signed: bool, only_extremes: bool, seed: int
        ) -> None:
            pixels = pixel_format(rows, columns, bits, signed=signed)
            low = -(1 << (bits - 1)) if signed else 0
            high = low + (1 << bits) - 1
            drawn = np.random.default_rng(seed).integers(low, high + 1, pixels.shape)
            if only_extremes:
                drawn = np.where(drawn % 2 == 0, low, high)
            samples = drawn.astype(pixels.dtype)
            encoded, stored = self.frame(samples, pixels)
            np.testing.assert_array_equal(self.codec.decode(encoded, pixels=stored), samples)

        comes_back()

    @pytest.mark.parametrize("name", ["12 in 16 bit", "RGB 8 bit"])
    def test_the_same_samples_give_the_same_bytes(self, name: str) -> None:
        samples, pixels = self._image(name)
        assert self.frame(samples, pixels) == self.frame(samples.copy(), pixels)

    @pytest.mark.parametrize("name", ["12 in 16 bit", "signed 16 bit", "RGB 16 bit"])
    def test_samples_may_be_read_only_or_big_endian_or_lie_apart(self, name: str) -> None:
        if not self.encodes:
            pytest.skip("only decodes")
        samples, pixels = self._image(name)
        plain = self.frame(samples, pixels)
        frozen = samples.copy()
        frozen.setflags(write=False)
        apart = np.repeat(np.repeat(samples, 2, axis=0), 3, axis=1)[::2, ::3]
        assert not apart.flags.c_contiguous
        for other in (frozen, apart, samples.astype(samples.dtype.newbyteorder(">"))):
            assert self.frame(other, pixels) == plain
        backwards = samples[::-1, ::-1]
        assert self.frame(backwards, pixels) == self.frame(backwards.copy(), pixels)

    def test_samples_of_another_shape_or_dtype_are_a_usage_error(self) -> None:
        if not self.encodes:
            pytest.skip("only decodes")
        samples, pixels = self._image("8 bit")
        for wrong in (
            samples[:-1],
            samples.T,
            samples[..., None],
            samples.astype(np.int8),
            samples.astype(np.uint16),
            samples.astype(bool),
        ):
            with pytest.raises(UsageError, match="expected"):
                self.frame(wrong, pixels)

    @pytest.mark.parametrize("buffer", [bytes, bytearray, memoryview])
    def test_frames_may_come_in_any_buffer(self, buffer: Callable[[bytes], bytes]) -> None:
        samples, pixels = self._image("12 in 16 bit")
        data, stored = self.frame(samples, pixels)
        decoded = self.codec.decode(buffer(data), pixels=stored)
        np.testing.assert_array_equal(decoded, samples)
        assert decoded.flags.writeable

    @pytest.mark.parametrize("reduce", [1, 2, 3, 5, 8, 20])
    def test_a_smaller_image_is_what_another_implementation_makes_of_it(self, reduce: int) -> None:
        for name, samples, pixels in self.images():
            data, stored = self.frame(samples, pixels)
            smaller = self.codec.decode(data, pixels=stored, reduce=reduce)
            sides = tuple(-(-side >> reduce) for side in samples.shape[:2])
            assert smaller.shape == sides + samples.shape[2:], name
            assert smaller.dtype == samples.dtype, name
            assert smaller.flags.c_contiguous, name
            expected = self.reduced(data, samples, stored, reduce)
            np.testing.assert_array_equal(smaller, expected, err_msg=name)

    @pytest.mark.parametrize("name", ["8 bit", "odd", "RGB 8 bit", "signed 12 in 16 bit"])
    def test_a_padding_byte_after_the_frame_is_no_harm(self, name: str) -> None:
        samples, pixels = self._image(name)
        data, stored = self.frame(samples, pixels)
        np.testing.assert_array_equal(self.codec.decode(data + b"\0", pixels=stored), samples)

    @pytest.mark.parametrize("name", ["signed 12 in 16 bit", "RGB of 4 x 4", "YBR_FULL"])
    def test_a_truncated_frame_is_an_error_or_exact_wherever_it_ends(self, name: str) -> None:
        samples, pixels = self._image(name)
        data, stored = self.frame(samples, pixels)
        step = max(1, len(data) // 400)
        errors = 0
        for length in {*range(0, len(data), step), *range(max(len(data) - 40, 0), len(data))}:
            try:
                decoded = self.codec.decode(data[:length], pixels=stored)
            except FormatError:
                errors += 1
            else:
                np.testing.assert_array_equal(decoded, samples)
        assert errors > len(data) // step * 0.9 or not self.notices_truncation

    @pytest.mark.parametrize("name", ["12 in 16 bit", "RGB 8 bit"])
    def test_a_frame_of_another_size_is_refused(self, name: str) -> None:
        samples, pixels = self._image(name)
        data, stored = self.frame(samples, pixels)
        for other in (stored.with_(rows=stored.rows + 1), stored.with_(columns=65535)):
            with pytest.raises(FormatError):
                self.codec.decode(data, pixels=other)

    @pytest.mark.parametrize(
        "data", [b"", b"\0", b"\xff\xd8\xff\xe0", b"\xff\x4f\xff\x51", b"x" * 50]
    )
    def test_bytes_that_are_no_frame_are_refused(self, data: bytes) -> None:
        with pytest.raises(FormatError):
            self.codec.decode(data, pixels=IMAGES["12 in 16 bit"])

    @pytest.mark.parametrize("seed", range(3))
    def test_a_damaged_frame_gives_an_image_of_the_right_size_or_our_error(self, seed: int) -> None:
        samples, pixels = self._image("signed 12 in 16 bit")
        data, stored = self.frame(samples, pixels)
        rng = np.random.default_rng(seed)
        for _ in range(60):
            damaged = bytearray(data)
            for place in rng.integers(0, len(data), rng.integers(1, 5)):
                damaged[place] ^= int(rng.integers(1, 256))
            try:
                decoded = self.codec.decode(damaged, pixels=stored)
            except MerseyError:
                continue
            assert decoded.shape == samples.shape
            assert decoded.dtype == samples.dtype

    def test_many_threads_at_once_change_nothing(self) -> None:
        small = [row for row in self.images() if row[2].decoded_bytes < 50_000]
        frames = [self.frame(samples, pixels) for _, samples, pixels in small]

        def work(turn: int) -> bool:
            _, samples, pixels = small[turn % len(small)]
            data, stored = frames[turn % len(small)]
            same = np.array_equal(self.codec.decode(data, pixels=stored), samples)
            return same and (not self.encodes or self.frame(samples, pixels)[0] == data)

        with ThreadPoolExecutor(8) as pool:
            assert all(pool.map(work, range(200)))

    def test_codec_and_errors_cross_process_borders(self) -> None:
        assert pickle.loads(pickle.dumps(self.codec)) == self.codec
        with pytest.raises(FormatError) as caught:
            self.codec.decode(b"", pixels=IMAGES["8 bit"])
        copy = pickle.loads(pickle.dumps(caught.value))
        assert (str(copy), vars(copy)) == (str(caught.value), vars(caught.value))

    def test_others_run_while_it_works(self) -> None:
        if not self.releases_gil:
            pytest.skip("numpy copies, which are over before anybody could run")
        samples, pixels = self._image("large")
        data, stored = self.frame(samples, pixels)
        assert _lets_others_run(lambda: self.codec.decode(data, pixels=stored))
        if self.encodes:
            assert _lets_others_run(lambda: self.frame(samples, pixels))

    def test_name_and_library_say_who_did_it(self) -> None:
        assert self.codec.name
        assert self.codec.library


def _lets_others_run(call: Callable[[], object]) -> bool:
    """Whether a thread that waits for the GIL gets it during `call`.

    Nobody is made to give the GIL up (the switch interval is longer than the test), so the
    other thread runs only if `call` lets go of it. A busy machine may take a few calls to
    notice; a codec that holds on never passes.
    """
    call()
    ran: list[bool] = []
    go = threading.Event()

    def other() -> None:
        go.wait()
        ran.append(True)

    thread = threading.Thread(target=other)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(3600)
    try:
        thread.start()
        go.set()
        early = bool(ran)
        for _ in range(50):
            call()
            if ran:
                break
        return bool(ran) and not early
    finally:
        sys.setswitchinterval(interval)
        thread.join()
