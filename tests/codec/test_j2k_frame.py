"""A J2K frame against its data set: what must agree, what gives way, what must be there."""

from __future__ import annotations

import struct

import imagecodecs
import numpy as np
import pytest
from codec_images import IMAGES, make_samples, pixel_format
from mersey.codecs.codestream import CodestreamLayout, scan_codestream
from mersey.codecs.errors import CodestreamError, UnsupportedError
from mersey.codecs.htj2k import Htj2kCodec
from mersey.codecs.independent import decode_independently
from mersey.codecs.j2k import J2kCodec

_RPCL = Htj2kCodec("htj2k-rpcl")
_XTSIZ = 24
_SSIZ = 42
_EOC = b"\xff\xd9"


def _layout(data: bytes) -> CodestreamLayout:
    layout = scan_codestream(data)
    assert layout.cut_points is not None
    return layout


def _without_tlm(data: bytes) -> bytes:
    start = data.index(b"\xff\x55")
    (length,) = struct.unpack_from(">H", data, start + 2)
    return data[:start] + data[start + 2 + length :]


def _without_counts(data: bytes) -> bytes:
    """TNsot 0: no tile-part says how many there are (ISO/IEC 15444-1 §A.4.2)."""
    out = bytearray(data)
    for part in scan_codestream(data).tile_parts:
        out[part.offset_bytes + 11] = 0
    return bytes(out)


class TestCompleteness:
    """A frame that ends early is refused, however well it is closed."""

    pixels = pixel_format(128, 100, 12)

    @pytest.mark.parametrize("end", [b"", _EOC, _EOC + b"\0"])
    @pytest.mark.parametrize("reduce", [1, 2, 5])
    def test_a_frame_without_its_last_resolutions_is_refused(self, reduce: int, end: bytes) -> None:
        samples = make_samples(self.pixels)
        full = _RPCL.encode(samples, pixels=self.pixels).data
        for whole in (full, _without_tlm(full), _without_counts(_without_tlm(full))):
            points = _layout(whole).cut_points
            assert points is not None
            short = whole[: points[reduce]] + end
            for codec in (_RPCL, J2kCodec("j2k")):
                np.testing.assert_array_equal(codec.decode(whole, pixels=self.pixels), samples)
                with pytest.raises(CodestreamError):
                    codec.decode(short, pixels=self.pixels)
                with pytest.raises(CodestreamError):
                    codec.decode(short, pixels=self.pixels, reduce=reduce - 1)

    @pytest.mark.parametrize("end", [b"", _EOC])
    def test_a_prefix_proves_itself_without_a_table_of_lengths(self, end: bytes) -> None:
        full = _RPCL.encode(make_samples(self.pixels), pixels=self.pixels).data
        for whole in (_without_tlm(full), _without_counts(_without_tlm(full))):
            points = _layout(whole).cut_points
            assert points is not None
            decoded = _RPCL.decode(whole[: points[2]] + end, pixels=self.pixels, reduce=2)
            np.testing.assert_array_equal(decoded, imagecodecs.jpeg2k_decode(full, skipres=2))

    @pytest.mark.parametrize("reduce", [0, 1, 9])
    def test_a_frame_without_its_last_tile_is_refused(self, reduce: int) -> None:
        data = bytes(
            imagecodecs.htj2k_encode(
                make_samples(self.pixels),
                reversible=True,
                tile=(64, 64),
                bitspersample=12,
                planar=False,
                rgb=False,
            )
        )
        last = scan_codestream(data).tile_parts[-1]
        for codec in (_RPCL, J2kCodec("j2k")):
            assert codec.decode(data, pixels=self.pixels, reduce=reduce).ndim == 2
            with pytest.raises(CodestreamError, match="tiles"):
                codec.decode(data[: last.offset_bytes] + _EOC, pixels=self.pixels, reduce=reduce)

    def test_a_main_header_alone_is_no_frame(self) -> None:
        data = _RPCL.encode(make_samples(self.pixels), pixels=self.pixels).data
        header = data[: scan_codestream(data).main_header_bytes]
        for reduce in (0, 1, 5, 9):
            for end in (b"", _EOC):
                with pytest.raises(CodestreamError):
                    _RPCL.decode(header + end, pixels=self.pixels, reduce=reduce)


@pytest.mark.parametrize("tile", [1, 2])
def test_a_bomb_of_tiny_tiles_is_refused_unread(tile: int) -> None:
    pixels = pixel_format(200, 200, 12)
    data = bytearray(_without_tlm(_RPCL.encode(make_samples(pixels), pixels=pixels).data))
    struct.pack_into(">II", data, _XTSIZ, tile, tile)
    parts = b"".join(
        b"\xff\x90\0\x0a" + struct.pack(">HIBB", index, 14, 0, 1) + b"\xff\x93"
        for index in range((200 // tile) ** 2)
    )
    bomb = bytes(data[: data.index(b"\xff\x90")]) + parts + _EOC
    with pytest.raises(UnsupportedError) as caught:
        _RPCL.decode(bomb, pixels=pixels)
    assert caught.value.feature == "very many tiles"


def test_a_table_of_lengths_that_lies_never_makes_a_partial_image_pass() -> None:
    pixels = pixel_format(128, 128, 12)
    samples = make_samples(pixels)
    data = _RPCL.encode(samples, pixels=pixels).data
    points = scan_codestream(data).cut_points
    assert points is not None
    expected = imagecodecs.jpeg2k_decode(data, skipres=1)
    start = data.index(b"\xff\x55") + 2
    (length,) = struct.unpack_from(">H", data, start)
    refused = 0
    for at in range(start + 4, start + length):
        lying = bytearray(data)
        lying[at] = (lying[at] - 1) % 256
        for cut in (points[1] - 300, points[1] - 1, points[1], len(data)):
            try:
                decoded = _RPCL.decode(lying[:cut], pixels=pixels, reduce=1)
            except CodestreamError:
                refused += 1
                continue
            np.testing.assert_array_equal(decoded, expected)
    assert refused > 0


class TestDisagreement:
    """SIZ against the data set: the rule that `j2k_frame` writes down."""

    pixels = pixel_format(40, 30, 13, signed=False)

    def test_a_precision_of_other_bits_stored_keeps_the_samples(self) -> None:
        samples = make_samples(self.pixels)
        data = _RPCL.encode(samples, pixels=self.pixels).data
        for bits in (8, 12, 16):
            declared = self.pixels.with_(bits_stored=bits, high_bit=bits - 1)
            np.testing.assert_array_equal(_RPCL.decode(data, pixels=declared), samples)
            np.testing.assert_array_equal(decode_independently(data, pixels=declared), samples)

    def test_unsigned_bits_in_a_signed_data_set_are_read_as_signed(self) -> None:
        samples = make_samples(self.pixels)
        samples[3, 4] = 6192
        data = _RPCL.encode(samples, pixels=self.pixels).data
        declared = self.pixels.with_(signed=True)
        expected = np.where(samples >= 4096, samples.astype(int) - 8192, samples)
        assert expected[3, 4] == -2000
        for decoded in (
            _RPCL.decode(data, pixels=declared),
            decode_independently(data, pixels=declared),
        ):
            assert decoded.dtype == np.int16
            np.testing.assert_array_equal(decoded, expected)

    def test_signed_bits_in_an_unsigned_data_set_are_read_as_unsigned(self) -> None:
        pixels = self.pixels.with_(signed=True)
        samples = make_samples(pixels)
        data = _RPCL.encode(samples, pixels=pixels).data
        for decoded in (
            _RPCL.decode(data, pixels=self.pixels),
            decode_independently(data, pixels=self.pixels),
        ):
            assert decoded.dtype == np.uint16
            np.testing.assert_array_equal(decoded, samples.astype(int) & 0x1FFF)

    def test_more_bits_than_the_container_has_are_refused(self) -> None:
        data = _RPCL.encode(make_samples(self.pixels), pixels=self.pixels).data
        declared = self.pixels.with_(bits_allocated=8, bits_stored=8, high_bit=7)
        with pytest.raises(CodestreamError, match="13 bits"):
            _RPCL.decode(data, pixels=declared)

    def test_other_components_are_refused(self) -> None:
        data = _RPCL.encode(make_samples(self.pixels), pixels=self.pixels).data
        with pytest.raises(CodestreamError, match="1 components") as caught:
            _RPCL.decode(data, pixels=self.pixels.with_(samples=3))
        assert caught.value.marker == 0xFF51

    def test_components_that_differ_among_themselves_are_refused_by_name(self) -> None:
        pixels = IMAGES["YBR_FULL"]
        data = bytearray(_RPCL.encode(make_samples(pixels), pixels=pixels).data)
        data[_SSIZ + 3] = 6
        with pytest.raises(UnsupportedError) as caught:
            _RPCL.decode(data, pixels=pixels)
        assert caught.value.feature == "components of different precision"
