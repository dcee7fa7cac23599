"""A smaller image is read in as few bytes as its packets' order and lists allow."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

import imagecodecs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mersey.codecs.codestream import scan_codestream
from mersey.codecs.codestream_report import packet_table
from mersey.codecs.errors import CodestreamError, UnsupportedError
from mersey.codecs.pixels import PixelFormat
from mersey.codecs.registry import Registry
from mersey.codecs.surgery import reorder, resolution_ranges
from mersey.codecs.syntaxes import J2K_LOSSLESS
from mersey.engine.dicom.frame_index import Frame, Span
from mersey.engine.runtime.frame_read import FrameBytes
from mersey.engine.runtime.reduced_read import read_reduced
from phantom import Thorax

SIZE = 512


@dataclass
class Source:
    """A codestream in a file of its own, in two fragments, which counts what is read."""

    data: bytes
    reads: list[tuple[int, int]] = field(default_factory=list)

    @property
    def frame(self) -> Frame:
        half = len(self.data) // 3
        return Frame(0, (Span(100, half), Span(100 + half + 8, len(self.data) - half)))

    def read_at(self, offset_bytes: int, length_bytes: int, /) -> bytes:
        half = len(self.data) // 3
        file = b"H" * 100 + self.data[:half] + b"item tag" + self.data[half:]
        found = file[offset_bytes : offset_bytes + length_bytes]
        self.reads.append((offset_bytes, len(found)))
        return found

    @property
    def bytes_read(self) -> int:
        return sum(length for _, length in self.reads)


@pytest.fixture(scope="module")
def lrcp() -> bytes:
    """As nearly all J2K in DICOM: LRCP, one layer, one tile-part, no list of anything."""
    image = Thorax(size=SIZE, slices=10, seed=0).frame(4)
    data: bytes = imagecodecs.jpeg2k_encode(
        image, codecformat="j2k", reversible=True, bitspersample=12, resolutions=6
    )
    return data


@pytest.fixture(scope="module")
def by_component() -> bytes:
    """One component after the other, each with all its resolutions; packets are listed."""
    grey = Thorax(size=SIZE, slices=10, seed=0).frame(4) >> 4
    image = np.stack([grey, np.roll(grey, 9, 0), grey.T], axis=-1).astype(np.uint8)
    data = imagecodecs.jpeg2k_encode(
        image, codecformat="j2k", reversible=True, mct=False, resolutions=6
    )
    return with_plt(reorder(data, progression="CPRL"))


def with_plt(data: bytes) -> bytes:
    """`data` with the lengths of its packets in each tile-part (ISO/IEC 15444-1 A.7.3)."""
    packets = packet_table(data)
    layout = scan_codestream(data)
    made = data[: layout.main_header_bytes]
    for part in layout.tile_parts:
        tile = packets[packets["tile"] == part.tile]
        lengths = tile["header_length"].astype(int) + tile["body_length"]
        coded = b"".join(map(_coded, lengths.tolist()))
        plt = b"\xff\x58" + struct.pack(">HB", 3 + len(coded), 0) + coded
        old = data[part.offset_bytes : part.offset_bytes + part.length_bytes]
        assert old[12:14] == b"\xff\x93"
        made += old[:6] + struct.pack(">I", len(old) + len(plt)) + old[10:12] + plt + old[12:]
    return made + b"\xff\xd9"


def _coded(length: int) -> bytes:
    groups = [length & 0x7F]
    while length := length >> 7:
        groups.append(length & 0x7F | 0x80)
    return bytes(reversed(groups))


def decoded(found: FrameBytes, *, reduce: int) -> np.ndarray:
    rest = reduce - found.reduced
    side = SIZE >> found.reduced
    pixels = PixelFormat(rows=side, columns=side, bits_stored=12, high_bit=11)
    if found.layout is not None and found.layout.components == 3:
        pixels = PixelFormat(
            side,
            side,
            samples=3,
            bits_allocated=8,
            bits_stored=8,
            high_bit=7,
            photometric="RGB",
        )
    return Registry.default().decoder(J2K_LOSSLESS).decode(found.data, pixels=pixels, reduce=rest)


@pytest.mark.parametrize("reduce", range(1, 6))
def test_a_growing_prefix_ends_soon_after_its_packets_prove_it_complete(
    lrcp: bytes, reduce: int
) -> None:
    source = Source(lrcp)
    found = read_reduced(source.read_at, source.frame, reduce=reduce)
    needed = (scan_codestream(lrcp).cut_points or ())[reduce]
    assert needed <= source.bytes_read <= max(2 * needed, 512) < len(lrcp)
    assert found.is_prefix
    expected = imagecodecs.jpeg2k_decode(lrcp, skipres=reduce)
    assert np.array_equal(decoded(found, reduce=reduce), expected)


@pytest.mark.parametrize("reduce", range(1, 6))
def test_where_packets_are_listed_only_those_of_the_image_are_read(
    by_component: bytes, reduce: int
) -> None:
    assert scan_codestream(by_component).cut_points is None
    source = Source(by_component)
    found = read_reduced(source.read_at, source.frame, reduce=reduce)
    needed = sum(length for _, length in resolution_ranges(by_component, reduce=reduce))
    assert needed < len(by_component) / 2
    # And headers: of the frame, of its tile-part, and of 18 packets that are not needed.
    assert needed <= source.bytes_read <= needed + 18 * 256 + len(by_component) // 16
    assert source.bytes_read < len(by_component) / 2 + 18 * 256
    assert found.reduced == reduce
    expected = imagecodecs.jpeg2k_decode(by_component, skipres=reduce)
    assert np.array_equal(decoded(found, reduce=reduce), expected)


def test_a_reduction_beyond_the_last_resolution_starts_from_that(by_component: bytes) -> None:
    source = Source(by_component)
    found = read_reduced(source.read_at, source.frame, reduce=7)
    assert found.reduced == 5
    assert decoded(found, reduce=7).shape == (4, 4, 3)


def test_lists_that_do_not_add_up_are_not_believed(by_component: bytes) -> None:
    data = bytearray(by_component)
    data[data.index(b"\xff\x58") + 5] ^= 1
    source = Source(bytes(data))
    found = read_reduced(source.read_at, source.frame, reduce=3)
    assert not found.is_prefix
    expected = imagecodecs.jpeg2k_decode(by_component, skipres=3)
    assert np.array_equal(decoded(found, reduce=3), expected)


def test_components_without_lists_are_read_whole(by_component: bytes) -> None:
    source = Source(by_component.replace(b"\xff\x58", b"\xff\x64"))  # COM: a comment
    found = read_reduced(source.read_at, source.frame, reduce=3)
    assert not found.is_prefix
    expected = imagecodecs.jpeg2k_decode(by_component, skipres=3)
    assert np.array_equal(decoded(found, reduce=3), expected)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_frame_cut_short_or_damaged_is_an_error_or_complete(by_component: bytes, data) -> None:
    length = data.draw(st.integers(0, len(by_component)))
    damaged = bytearray(by_component[:length])
    if length and data.draw(st.booleans()):
        damaged[data.draw(st.integers(0, min(length - 1, 600)))] ^= 1 << data.draw(
            st.integers(0, 7)
        )
    source = Source(bytes(damaged))
    try:
        found = read_reduced(source.read_at, source.frame, reduce=3)
    except (CodestreamError, UnsupportedError):
        return
    assert len(found.data) <= length + 1000
